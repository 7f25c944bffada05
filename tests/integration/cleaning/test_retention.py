"""What goes by its age alone: daily counters, the fleet's own records, personal data, assets stuck in processing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from app import App, SomeEdges
from doubles import FakeJob
from integration.cleaning.tidying import cleanup, days_ago, gone
from kayan_workers import assets, deliveries, ledger
from kayan_workers.errors import PermanentError
from kayan_workers.processors.cleaning.old_analytics import a_year_before
from kayan_workers.processors.cleaning.policy import RETENTIONS, Policy

# -- OLD_ANALYTICS ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
def test_counters_of_a_year_ago_go_by_utc_day_and_younger_ones_stay(app: App, edges: SomeEdges, zone: str) -> None:
    app.set_zone(zone)
    asset, limit = app.asset(), a_year_before(datetime.now(UTC).date())
    for day in (limit - timedelta(days=400), limit - timedelta(days=1), limit, limit + timedelta(days=1)):
        app.insert("asset_analytics", assetId=asset, date=day, views=1)

    assert gone(cleanup("OLD_ANALYTICS", edges)) == {"daily counter": 3}
    assert app.rows("asset_analytics", "date") == [limit + timedelta(days=1)]


@pytest.mark.parametrize(
    ("day", "year_before"),
    [(date(2025, 11, 24), date(2024, 11, 24)), (date(2024, 2, 29), date(2023, 2, 28)), (date(2025, 2, 28), date(2024, 2, 28))],
)
def test_a_year_before_a_leap_day_is_the_last_of_february(day: date, year_before: date) -> None:
    assert a_year_before(day) == year_before


# -- OWN_RECORDS -----------------------------------------------------------------------------------------------------------------


def own_records(app: App, edges: SomeEdges) -> FakeJob:
    """A ledger entry and a mail of 31 days ago, a cleanup of 367, and the same of today, by the job returned."""
    old, new = FakeJob(), FakeJob()
    with edges.database.transaction() as connection:
        ledger.record_many_once(connection, [old], "counted")
        connection.execute("UPDATE kayan_workers.ledger SET recorded_at = now() - interval '31 days'")
        ledger.record_many_once(connection, [new], "counted")
    for mail in (old, new):
        delivery = deliveries.Delivery(mail.queue, mail.id, mail.timestamp_ms, "0" * 64, f"<{mail.id}@example.com>")
        deliveries.claim(edges.database, delivery, mail.cancelled)
        deliveries.record(edges.database, delivery, "ses-1")
    app.connection.execute("UPDATE kayan_workers.mails SET recorded_at = now() - interval '31 days' WHERE job_id = %s", (old.id,))
    cleanup("EXPIRED_LINKS", edges, job=old)
    app.connection.execute("UPDATE kayan_workers.cleanups SET recorded_at = now() - interval '367 days'")
    cleanup("EXPIRED_LINKS", edges, job=new)
    app.connection.execute("UPDATE kayan_workers.cleanups SET recorded_at = now() - interval '365 days' WHERE job_id = %s", (new.id,))
    return new


@pytest.mark.parametrize("kind", ["OWN_RECORDS", "OLD_ANALYTICS"])
def test_the_fleets_own_tables_forget_mails_and_effects_after_a_month_and_cleanups_after_a_year(
    app: App, edges: SomeEdges, kind: str
) -> None:
    new, this = own_records(app, edges), FakeJob()
    expected = {"ledger entry": 1, "record of a mail": 1, "record of a cleanup": 1}

    assert gone(cleanup(kind, edges, dry_run=True)) == expected
    assert gone(cleanup(kind, edges, job=this)) == expected
    for table, left in (("mails", [new.id]), ("ledger", [new.id]), ("cleanups", [new.id, this.id])):
        found = app.connection.execute(f"SELECT job_id FROM kayan_workers.{table} ORDER BY recorded_at")  # type: ignore[arg-type]
        assert [job_id for (job_id,) in found] == left


def test_old_analytics_leave_the_fleets_own_tables_alone_when_that_is_switched_off(app: App, edges: SomeEdges) -> None:
    own_records(app, edges)
    edges.cleanup = replace(edges.cleanup, on=edges.cleanup.on - {"OWN_RECORDS"})

    assert gone(cleanup("OLD_ANALYTICS", edges)) == {}
    with pytest.raises(PermanentError, match="set KAYAN_CLEANUP_OWN_RECORDS=on"):
        cleanup("OWN_RECORDS", edges)


# -- RETENTION -------------------------------------------------------------------------------------------------------------------


def activity(app: App, **columns: Any) -> str:
    return app.insert("asset_activities", type="ASSET_VIEWED", description="Viewed", userId=app.user(), **columns)


def notification(app: App, **columns: Any) -> str:
    needed = {"type": "ASSET_UPLOADED", "title": "t", "message": "m", "userId": app.user(), "read": True}
    return app.insert("notifications", **needed | columns)


def search(app: App, **columns: Any) -> str:
    return app.insert("search_history", query="the secret booth", userId=app.user(), **columns)


def access(app: App, **columns: Any) -> str:
    return app.insert("share_link_access", shareLinkId=app.share_link(app.asset()), accessType="VIEW", ipAddress="192.0.2.7", **columns)


ROWS: dict[str, tuple[str, str, Callable[..., str]]] = {
    "ASSET_ACTIVITIES": ("activity", "asset_activities", activity),
    "NOTIFICATIONS": ("notification", "notifications", notification),
    "SEARCH_HISTORY": ("search", "search_history", search),
    "SHARE_LINK_ACCESS": ("share link access", "share_link_access", access),
}


def test_every_table_with_a_retention_is_tested_here() -> None:
    assert set(ROWS) == set(RETENTIONS)


@pytest.mark.parametrize("name", ROWS)
def test_rows_older_than_their_retention_go_and_no_others_nor_any_of_another_table(app: App, edges: SomeEdges, name: str) -> None:
    for _, _, insert in ROWS.values():
        insert(app, createdAt=days_ago(91))
        insert(app, createdAt=days_ago(89))
    what, table, _ = ROWS[name]
    edges.cleanup = Policy(retention_days={name: 90})

    assert gone(cleanup("RETENTION", edges, dry_run=True)) == {what: 1}
    summary = cleanup("RETENTION", edges)

    assert gone(summary) == {what: 1}
    assert [app.rows(other, "createdAt") for _, other, _ in ROWS.values() if other != table] == [[days_ago(91), days_ago(89)]] * 3
    assert app.rows(table, "createdAt") == [days_ago(89)]
    assert "secret booth" not in str(summary)
    assert "192.0.2.7" not in str(summary)


def test_a_notification_that_nobody_has_read_stays_however_old_it_is(app: App, edges: SomeEdges) -> None:
    unread = notification(app, createdAt=days_ago(1000), read=False)
    notification(app, createdAt=days_ago(1000))
    edges.cleanup = Policy(retention_days={"NOTIFICATIONS": 30})

    assert gone(cleanup("RETENTION", edges)) == {"notification": 1}
    assert app.rows("notifications", "id") == [unread]


def test_personal_data_stays_for_ever_where_no_retention_is_set(app: App, edges: SomeEdges) -> None:
    for _, _, insert in ROWS.values():
        insert(app, createdAt="2001-01-01")

    for dry_run in (True, False):
        with pytest.raises(PermanentError, match=r"set one of KAYAN_RETENTION_ASSET_ACTIVITIES_DAYS, .* where the cleanup worker runs"):
            cleanup("RETENTION", edges, dry_run=dry_run)
    assert all(len(app.rows(table, "id")) == 1 for _, table, _ in ROWS.values())


# -- STUCK_ASSETS ----------------------------------------------------------------------------------------------------------------


STUCK = Policy(on=frozenset({"STUCK_ASSETS"}))


def test_an_asset_in_processing_for_more_than_a_day_fails_and_says_what_to_do(app: App, edges: SomeEdges) -> None:
    edges.cleanup = STUCK
    stuck = app.asset(processingStatus="PROCESSING", updatedAt=days_ago(1.1))
    others = [
        app.asset(processingStatus="PROCESSING", updatedAt=days_ago(0.9)), app.asset(processingStatus="PENDING", updatedAt=days_ago(9)),
        app.asset(processingStatus="COMPLETED", updatedAt=days_ago(9)), app.asset(processingStatus="REVIEWING", updatedAt=days_ago(9)),
    ]  # fmt: skip

    assert gone(cleanup("STUCK_ASSETS", edges)) == {"asset": 1}

    found = {asset: (status, said) for asset, status, said in app.rows("assets", "id", "processingStatus", "processingError")}
    assert found[stuck][0] == "FAILED"
    assert "Upload the file again" in found[stuck][1]
    assert [found[other] for other in others] == [(status, None) for status in ("PROCESSING", "PENDING", "COMPLETED", "REVIEWING")]
    assert gone(cleanup("STUCK_ASSETS", edges)) == {}


def test_an_asset_whose_job_runs_after_all_is_processed_and_its_outcome_stands(app: App, edges: SomeEdges) -> None:
    edges.cleanup = STUCK
    asset = app.asset(processingStatus="PROCESSING", updatedAt=days_ago(2))
    cleanup("STUCK_ASSETS", edges)

    with edges.database.transaction() as connection:
        assets.begin_processing(connection, asset)
    assert gone(cleanup("STUCK_ASSETS", edges)) == {}
    assert app.rows("assets", "processingStatus") == ["PROCESSING"]
