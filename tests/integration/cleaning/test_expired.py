"""What has expired stops working: share links, external links, invitations. The rows stay, and so does what has not expired."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from app import App, SomeEdges, owner_of
from doubles import FakeJob
from integration.cleaning.tidying import AN_HOUR_AGO, TOMORROW, YESTERDAY, cleanup, gone
from kayan_workers.processors.cleaning import run

# -- EXPIRED_LINKS ---------------------------------------------------------------------------------------------------------------


def test_expired_links_are_switched_off_and_no_others(app: App, edges: SomeEdges) -> None:
    asset = app.asset()
    expired = app.share_link(asset, expiresAt=AN_HOUR_AGO)
    app.share_link(asset, expiresAt=TOMORROW)
    app.share_link(asset, expiresAt=None)
    app.share_link(asset, expiresAt=YESTERDAY, isActive=False)

    assert gone(cleanup("EXPIRED_LINKS", edges)) == {"share link": 1}
    assert sorted(app.rows("asset_share_links", "isActive")) == [False, False, True, True]
    assert (expired, False) in app.rows("asset_share_links", "id", "isActive")
    assert gone(cleanup("EXPIRED_LINKS", edges)) == {}


@pytest.mark.parametrize("zone", ["Asia/Riyadh", "America/New_York"])
def test_a_link_expires_at_its_utc_moment_wherever_the_server_lives(app: App, edges: SomeEdges, zone: str) -> None:
    app.set_zone(zone)
    asset = app.asset()
    app.share_link(asset, expiresAt=AN_HOUR_AGO)
    app.share_link(asset, expiresAt=TOMORROW)

    assert gone(cleanup("EXPIRED_LINKS", edges)) == {"share link": 1}


def test_many_rows_go_in_bounded_batches_with_progress(app: App, edges: SomeEdges, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ROWS", 10)
    asset = app.asset()
    for _ in range(35):
        app.share_link(asset, expiresAt=YESTERDAY)
    job = FakeJob()

    assert gone(cleanup("EXPIRED_LINKS", edges, job=job)) == {"share link": 35}
    assert job.told == [29, 57, 86, 99, 100]


def test_links_that_expire_at_one_moment_go_however_many_batches_they_fill(
    app: App, edges: SomeEdges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch begins where the one before it ended, and here that is the same moment."""
    monkeypatch.setattr(run, "ROWS", 4)
    asset = app.asset()
    for _ in range(11):
        app.share_link(asset, expiresAt=AN_HOUR_AGO)

    assert gone(cleanup("EXPIRED_LINKS", edges)) == {"share link": 11}


def test_a_link_that_somebody_else_holds_is_left_to_the_next_run(app: App, edges: SomeEdges, database_url: str) -> None:
    asset = app.asset()
    held, free = app.share_link(asset, expiresAt=AN_HOUR_AGO), app.share_link(asset, expiresAt=AN_HOUR_AGO)
    with psycopg.connect(owner_of(database_url)) as somebody:
        somebody.execute('UPDATE asset_share_links SET "viewCount" = 1 WHERE id = %s', [held])

        assert [found["id"] for found in cleanup("EXPIRED_LINKS", edges)["listed"]] == [free]

    assert gone(cleanup("EXPIRED_LINKS", edges)) == {"share link": 1}


# -- EXPIRED_EXTERNAL_LINKS ------------------------------------------------------------------------------------------------------


def external_link(app: App, **columns: Any) -> str:
    asset, owner = app.asset(), app.user()
    return app.insert("asset_external_links", **{"assetId": asset, "token": f"x-{asset}", "createdById": owner, **columns})


def test_expired_external_links_are_switched_off_and_no_others(app: App, edges: SomeEdges) -> None:
    expired = external_link(app, expiresAt=AN_HOUR_AGO)
    external_link(app, expiresAt=TOMORROW)
    external_link(app, expiresAt=None)
    external_link(app, expiresAt=YESTERDAY, isActive=False)

    summary = cleanup("EXPIRED_EXTERNAL_LINKS", edges)

    assert [found["id"] for found in summary["listed"]] == [expired]
    assert sorted(app.rows("asset_external_links", "isActive")) == [False, False, True, True]
    assert gone(cleanup("EXPIRED_EXTERNAL_LINKS", edges)) == {}


@pytest.mark.parametrize(
    ("kind", "table"), [("EXPIRED_EXTERNAL_LINKS", "asset_external_links"), ("EXPIRED_INVITATIONS", "invitations")]
)
def test_an_app_without_the_table_has_nothing_to_clean_in_it(app: App, edges: SomeEdges, kind: str, table: str) -> None:
    app.connection.execute(f"DROP TABLE {table}")  # type: ignore[arg-type]

    summary = cleanup(kind, edges)

    assert gone(summary) == {}
    assert summary["notes"] == [f"this app has no table {table}, so there is nothing to do in it"]


# -- EXPIRED_INVITATIONS ---------------------------------------------------------------------------------------------------------


def invitation(app: App, **columns: Any) -> str:
    project = app.project()
    needed = {
        "email": "guest@example.com", "token": f"i-{project}", "expires": AN_HOUR_AGO, "projectId": project, "invitedById": app.user(),
        "updatedAt": "2025-01-01",
    }  # fmt: skip
    return app.insert("invitations", **{**needed, **columns})


def test_invitations_nobody_answered_expire_and_no_others(app: App, edges: SomeEdges) -> None:
    expired = invitation(app)
    others = [invitation(app, expires=TOMORROW), invitation(app, status="ACCEPTED"), invitation(app, status="CANCELLED")]

    summary = cleanup("EXPIRED_INVITATIONS", edges)

    assert [found["id"] for found in summary["listed"]] == [expired]
    assert "guest@example.com" not in str(summary)
    found = dict(app.rows("invitations", "id", "status"))
    assert found[expired] == "EXPIRED"
    assert [found[other] for other in others] == ["PENDING", "ACCEPTED", "CANCELLED"]
    [touched] = [day for invited, day in app.rows("invitations", "id", "updatedAt") if invited == expired]
    assert touched > AN_HOUR_AGO


def test_an_invitation_that_is_sent_again_meanwhile_stays_open(app: App, edges: SomeEdges, database_url: str) -> None:
    invited = invitation(app)
    with psycopg.connect(owner_of(database_url)) as somebody:
        somebody.execute("UPDATE invitations SET expires = now() + interval '2 days' WHERE id = %s", [invited])

        assert gone(cleanup("EXPIRED_INVITATIONS", edges)) == {}

    assert gone(cleanup("EXPIRED_INVITATIONS", edges)) == {}
    assert app.rows("invitations", "status") == ["PENDING"]
