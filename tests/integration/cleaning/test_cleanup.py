"""What all cleanups have in common: their switches, the dry run that touches nothing, and how they account for what they removed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from app import App, SomeEdges, as_role
from doubles import FakeJob
from integration.cleaning.tidying import AN_HOUR_AGO, NOW, YESTERDAY, cleanup, gone, pending
from kayan_workers.database import Database
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.processors import cleanup as processor
from kayan_workers.processors.cleaning import run
from kayan_workers.processors.cleaning.policy import KINDS, RETENTIONS, SWITCHES, Policy
from kayan_workers.storage import FolderStorage

ALL_ON = Policy(on=frozenset(SWITCHES), retention_days=dict.fromkeys(RETENTIONS, 30))


def audited(app: App, *columns: str) -> list[Any]:
    """The runs that are remembered, oldest first."""
    return app.connection.execute(f"SELECT {', '.join(columns)} FROM kayan_workers.cleanups ORDER BY id").fetchall()  # type: ignore[arg-type]


def test_every_kind_that_may_be_queued_is_there() -> None:
    assert list(processor.CLEAN) == list(KINDS)


@pytest.mark.parametrize("kind", ["", "EVERYTHING", "expired_links", "__init__"])
def test_an_unknown_kind_fails_for_good_and_names_those_there_are(edges: SomeEdges, kind: str) -> None:
    with pytest.raises(PermanentError, match="known are EXPIRED_LINKS, OLD_VARIANTS, TEMP_FILES, OLD_ANALYTICS, EXPIRED_EXTERNAL_LINKS, "):
        cleanup(kind, edges)


@pytest.mark.parametrize("kind", KINDS)
def test_with_nothing_to_do_a_cleanup_does_nothing_and_ends_at_a_hundred_percent(edges: SomeEdges, kind: str) -> None:
    edges.cleanup = ALL_ON
    job = FakeJob()

    summary = cleanup(kind, edges, job=job)

    assert (summary["examined"], summary["removed"], summary["listed"]) == (0, 0, [])
    assert job.told[-1] == 100


# -- switches --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind in SWITCHES])
def test_a_kind_that_is_switched_off_fails_for_good_and_names_its_switch(app: App, edges: SomeEdges, kind: str) -> None:
    edges.cleanup = replace(ALL_ON, on=ALL_ON.on - {kind})

    with pytest.raises(PermanentError, match=f"{kind} is switched off; set KAYAN_CLEANUP_{kind}=on where the cleanup worker runs"):
        cleanup(kind, edges)
    assert cleanup(kind, edges, dry_run=True)["dryRun"] is True


def test_what_is_not_safe_everywhere_is_off_where_nobody_says_otherwise() -> None:
    assert set(SWITCHES) - Policy().on == {"ORPHANED_OBJECTS", "STUCK_ASSETS"}
    assert Policy().retention_days == {}


# -- dry runs --------------------------------------------------------------------------------------------------------------------


def outlived(app: App, storage: FolderStorage) -> None:
    """Something for every kind."""
    asset, user = app.asset(), app.user()
    app.share_link(asset, expiresAt=YESTERDAY)
    app.insert("asset_external_links", assetId=asset, token="x", createdById=user, expiresAt=YESTERDAY)
    app.insert("invitations", email="g@example.com", token="i", expires=YESTERDAY, projectId=app.project(), invitedById=user, updatedAt=NOW)
    app.insert("asset_analytics", assetId=asset, date="2020-01-01")
    app.insert("search_history", query="secret", userId=user, createdAt="2020-01-01")
    app.variant(app.asset(isArchived=True), fileKey="variants/archived.jpg")
    storage.upload(b"x", "variants/archived.jpg", "image/jpeg")
    app.asset(processingStatus="PROCESSING", updatedAt="2020-01-01")
    pending(app)


def everything(app: App, storage: FolderStorage) -> dict[str, Any]:
    names = [name for (name,) in app.connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    found: dict[str, Any] = {
        name: sorted(map(str, app.connection.execute(f'SELECT * FROM "{name}"').fetchall())) for name in names  # type: ignore[arg-type]
    }
    own = app.connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'kayan_workers'").fetchone()
    return found | {"own tables": own, "objects": list(storage.list(""))}


@pytest.mark.parametrize("kind", KINDS)
def test_a_dry_run_says_what_would_go_and_touches_nothing(app: App, edges: SomeEdges, storage: FolderStorage, kind: str) -> None:
    edges.cleanup = ALL_ON
    outlived(app, storage)
    before, job = everything(app, storage), FakeJob()

    summary = cleanup(kind, edges, dry_run=True, job=job)

    assert everything(app, storage) == before
    assert summary["dryRun"] is True
    assert summary["removed"] == (0 if kind in ("OWN_RECORDS", "ORPHANED_OBJECTS") else 1)
    for found in summary["listed"]:
        assert f"{found['what']} {found['id']} would go: {found['reason']}, since 20" in "\n".join(job.rows)
    assert gone(cleanup(kind, edges)) == gone(summary)


def test_a_list_is_bounded_and_the_count_is_not(app: App, edges: SomeEdges, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ROWS", 700)
    asset = app.asset()
    app.connection.execute(
        """INSERT INTO asset_share_links (id, token, "assetId", "createdById", "expiresAt")
            SELECT 'l' || n, 't' || n, asset.id, asset."uploadedBy", timestamp '2025-01-01' + n * interval '1 minute'
            FROM generate_series(1, 1500) AS n, assets AS asset WHERE asset.id = %s""",
        [asset],
    )
    dry_job, job = FakeJob(), FakeJob()

    dry = cleanup("EXPIRED_LINKS", edges, dry_run=True, job=dry_job)
    wet = cleanup("EXPIRED_LINKS", edges, job=job)

    for summary in (dry, wet):
        assert (summary["removed"], summary["examined"]) == (1500, 1500)
        assert [found["id"] for found in summary["listed"]] == [f"l{n}" for n in range(1, 51)]
    assert len(dry_job.rows) == 51
    [(removed, listed)] = audited(app, "removed", "listed")
    assert removed == 1500
    assert [found["id"] for found in listed] == [f"l{n}" for n in range(1, 1001)]


def test_what_stays_is_remarked_upon_a_hundred_times_at_most(app: App, edges: SomeEdges) -> None:
    archived = app.asset(isArchived=True)
    for number in range(105):
        app.variant(archived, fileKey=f"/nowhere/{number}.jpg")
    job = FakeJob()

    summary = cleanup("OLD_VARIANTS", edges, job=job)

    assert summary["kept"] == 105
    assert len(summary["notes"]) == 50
    assert len([row for row in job.rows if "is kept" in row]) == 100


# -- accounts --------------------------------------------------------------------------------------------------------------------


def test_a_run_is_remembered_with_who_when_by_which_rule_and_what(app: App, edges: SomeEdges, storage: FolderStorage) -> None:
    arrived = pending(app, fileKey="assets/arrived.png")
    storage.upload(b"x", "assets/arrived.png", "image/png")
    abandoned = pending(app)
    job = FakeJob(queue="cleanup", id="cleanup-TEMP_FILES-2026-11-24T02", attempt=2)

    cleanup("TEMP_FILES", edges, job=job)

    [row] = audited(app, "type", "pod", "job_id", "added_ms", "attempt", "examined", "removed", "kept", "bytes", "error", "listed",
                    "cutoffs", "finished_at >= recorded_at AND recorded_at > now() - interval '1 minute'")  # fmt: skip
    assert row[:10] == ("TEMP_FILES", "test-pod", job.id, job.timestamp_ms, 2, 2, 1, 1, 0, None)
    assert [(found["what"], found["id"]) for found in row[10]] == [("asset", abandoned)]
    cutoff = datetime.fromisoformat(row[11]["asset"])
    assert abs(cutoff - (datetime.now(UTC) - timedelta(hours=24))) < timedelta(minutes=5)
    assert row[12] is True
    assert app.rows("assets", "id") == [arrived]


def test_a_run_leaves_one_line_in_the_workers_log_and_one_in_the_jobs(app: App, edges: SomeEdges) -> None:
    app.share_link(app.asset(), expiresAt=AN_HOUR_AGO)
    job = FakeJob(queue="cleanup")

    cleanup("EXPIRED_LINKS", edges, job=job)

    [line] = edges.noted
    assert line.pop("duration_ms") >= 0
    assert line.pop("cutoffs").keys() == {"share link"}
    assert line == {"event": "cleanup.ended", "job_id": job.id, "type": "EXPIRED_LINKS", "dry_run": False, "examined": 1, "removed": 1,
                    "kept": 0, "bytes": 0}  # fmt: skip
    [row] = job.rows
    assert row.startswith("EXPIRED_LINKS: 1 removed (share link 1), 0 kept, 1 examined, in ")


def test_a_dry_run_leaves_a_line_too_and_no_memory(app: App, edges: SomeEdges) -> None:
    app.share_link(app.asset(), expiresAt=AN_HOUR_AGO)

    cleanup("EXPIRED_LINKS", edges, dry_run=True)

    assert [(line["dry_run"], line["removed"]) for line in edges.noted] == [(True, 1)]
    assert app.connection.execute("SELECT to_regclass('kayan_workers.cleanups')").fetchone() == (None,)


def test_a_cleanup_nobody_wants_any_more_stops_between_two_batches_and_accounts_for_what_it_did(
    app: App, edges: SomeEdges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "ROWS", 10)
    asset = app.asset()
    for _ in range(25):
        app.share_link(asset, expiresAt=YESTERDAY)
    job = FakeJob()
    job.cancelled.set()

    with pytest.raises(TemporaryError, match="stopped after 10 of 25"):
        cleanup("EXPIRED_LINKS", edges, job=job)

    assert app.rows("asset_share_links", "isActive").count(False) == 10
    assert audited(app, "removed", "error IS NOT NULL", "finished_at IS NOT NULL") == [(10, True, True)]
    assert "stopped after 10 of 25" in str(edges.noted[0]["error"])
    assert gone(cleanup("EXPIRED_LINKS", edges)) == {"share link": 15}
    assert audited(app, "removed") == [(10,), (15,)]


def test_without_the_right_to_remember_it_nothing_is_removed(app: App, edges: SomeEdges, database_url: str, lesser_role: str) -> None:
    app.share_link(app.asset(), expiresAt=YESTERDAY)
    app.connection.execute("DROP SCHEMA kayan_workers")
    app.connection.execute(f"GRANT USAGE ON SCHEMA public TO {lesser_role}")  # type: ignore[arg-type]
    app.connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {lesser_role}")  # type: ignore[arg-type]
    edges.database = Database(as_role(database_url, lesser_role), pool_size=1, application_name="kayan-test")

    with pytest.raises(TemporaryError, match="CREATE SCHEMA kayan_workers"):
        cleanup("EXPIRED_LINKS", edges)
    edges.database.close()

    assert app.rows("asset_share_links", "isActive") == [True]


def test_what_a_job_returns_is_json_for_whoever_asks_redis(app: App, edges: SomeEdges) -> None:
    app.insert("asset_analytics", assetId=app.asset(), date="2020-01-01")

    summary = json.loads(msgspec.json.encode(cleanup("OLD_ANALYTICS", edges)))

    assert summary["listed"][0]["since"] == "2020-01-01T00:00:00+00:00"
