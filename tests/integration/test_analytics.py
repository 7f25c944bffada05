"""Analytics on a real database: rows and counters for every event, exact under duplicates, concurrency and poison."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from app import App, SomeEdges, app_of, owner_of
from doubles import FakeJob
from kayan_workers import ledger
from kayan_workers.database import Database
from kayan_workers.errors import NotNowError, PermanentError, TemporaryError
from kayan_workers.ids import derive_id
from kayan_workers.processors import batching
from kayan_workers.processors.analytics import Payload, process_batch
from kayan_workers.processors.batching import Patience
from waiting import wait_until

NOON = "2025-11-24T12:00:00.123Z"
DAY_AFTER_TOMORROW = (datetime.now(UTC) + timedelta(days=2)).isoformat()
NESTED: dict[str, Any] = {}
for _ in range(5000):
    NESTED = {"in": NESTED}
NOON_AS_STORED = datetime.fromisoformat(NOON).replace(tzinfo=None)


@pytest.fixture
def rights() -> str:
    return "analytics"


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    with app_of(database_url) as app:
        yield app


@pytest.fixture
def edges(database_url: str) -> Iterator[Any]:
    database = Database(database_url, pool_size=8, application_name="kayan-test", wait_seconds=20)
    yield SomeEdges(database)
    database.close()


def event(kind: str, **fields: Any) -> Payload:
    return msgspec.convert({"type": kind, "data": {}, "timestamp": NOON, **fields}, Payload)


def job(**fields: Any) -> FakeJob:
    return FakeJob(queue="analytics", **fields)


def one(payload: Payload, edges: Any, a_job: FakeJob | None = None) -> Any:
    (outcome,) = process_batch([(payload, a_job or job())], edges)
    return outcome


def counters(app: App) -> list[tuple[str, date, int, int]]:
    return app.rows("asset_analytics", "assetId", "date", "views", "downloads")


def in_threads(*batches: list[tuple[Payload, FakeJob]], edges: Any) -> list[list[Any]]:
    together = threading.Barrier(len(batches))
    outcomes: list[list[Any]] = []

    def run(batch: list[tuple[Payload, FakeJob]]) -> None:
        together.wait(10)
        outcomes.append(process_batch(batch, edges))

    threads = [threading.Thread(target=run, args=(batch,)) for batch in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.parametrize(
    ("kind", "activity", "description", "views", "downloads"),
    [("ASSET_VIEW", "ASSET_VIEWED", "Asset viewed", 1, 0), ("ASSET_DOWNLOAD", "ASSET_DOWNLOADED", "Asset downloaded", 0, 1)],
)
def test_a_view_and_a_download_are_an_activity_and_a_count(
    app: App, edges: Any, kind: str, activity: str, description: str, views: int, downloads: int
) -> None:
    asset, user = app.asset(), app.user()

    outcome = one(event(kind, assetId=asset, userId=user, data={"action": "upload"}), edges)

    assert outcome == {"recorded": ["asset_activities", "asset_analytics"]}
    assert counters(app) == [(asset, date(2025, 11, 24), views, downloads)]
    assert app.rows("asset_activities", "type", "description", "userId", "assetId", "metadata", "createdAt") == [
        (activity, description, user, asset, None, NOON_AS_STORED)
    ]


@pytest.mark.parametrize("missing", [{}, {"userId": None}])
def test_without_a_user_only_the_counter_grows(app: App, edges: Any, missing: dict[str, Any]) -> None:
    asset = app.asset()

    outcome = one(event("ASSET_VIEW", assetId=asset, **missing), edges)

    assert outcome == {"recorded": ["asset_analytics"]}
    assert counters(app) == [(asset, date(2025, 11, 24), 1, 0)]
    assert app.rows("asset_activities", "id") == []


def test_a_deleted_user_costs_no_view_and_the_job_says_what_is_missing(app: App, edges: Any) -> None:
    asset, the_job = app.asset(), job()

    outcome = one(event("ASSET_VIEW", assetId=asset, userId="cgone"), edges, the_job)

    assert counters(app) == [(asset, date(2025, 11, 24), 1, 0)]
    assert outcome["recorded"] == ["asset_analytics"]
    assert "userId 'cgone' no longer exists" in outcome["skipped"]
    assert the_job.rows == [outcome["skipped"]]


def test_a_share_is_an_activity_that_keeps_its_data(app: App, edges: Any) -> None:
    asset, user = app.asset(), app.user()

    one(event("ASSET_SHARE", assetId=asset, userId=user, data={"with": "sara@example.com", "by": None}), edges)

    assert app.rows("asset_activities", "type", "description", "assetId", "metadata") == [
        ("ASSET_SHARED", "Asset shared", asset, {"with": "sara@example.com", "by": None})
    ]
    assert counters(app) == []


def test_a_search_is_remembered_with_its_filters_and_the_number_of_results(app: App, edges: Any) -> None:
    user = app.user()
    one(event("SEARCH", userId=user, data={"query": "كشك", "filters": {"type": ["IMAGE"]}, "resultCount": 7}), edges)
    one(event("SEARCH", userId=user, data={"query": "zelt", "filters": None, "resultCount": None}), edges)
    one(event("SEARCH", userId=user, data={"query": "booth"}), edges)

    assert sorted(app.rows("search_history", "query", "resultCount", "createdAt")) == sorted(
        [(query, count, NOON_AS_STORED) for query, count in (("كشك", 7), ("zelt", 0), ("booth", 0))]
    )
    row = app.connection.execute("SELECT filters FROM search_history ORDER BY filters IS NULL, filters").fetchall()
    assert row == [({"type": ["IMAGE"]},), (None,), (None,)]


def test_an_activity_is_stored_under_the_type_its_data_names(app: App, edges: Any) -> None:
    user = app.user()
    collection = app.collection(user)
    one(event("ACTIVITY", userId=user, data={"type": "COLLECTION_CREATED", "collectionId": collection}), edges)
    one(event("ACTIVITY", userId=user, data={"type": "ASSET_APPROVED", "description": "Approved by Mona"}, assetId=app.asset()), edges)

    assert app.rows("asset_activities", "description", "type", "collectionId") == [
        ("Approved by Mona", "ASSET_APPROVED", None),
        ("Collection created", "COLLECTION_CREATED", collection),
    ]


@pytest.mark.parametrize(
    ("kind", "data"),
    [("ASSET_SHARE", {}), ("SEARCH", {"query": "booth"}), ("ACTIVITY", {"type": "ASSET_UPDATED"})],
)
def test_what_needs_a_user_completes_without_one_and_says_that_nothing_was_kept(
    app: App, edges: Any, kind: str, data: dict[str, Any]
) -> None:
    outcome = one(event(kind, assetId=app.asset(), data=data), edges)

    assert outcome["recorded"] == []
    assert "userId" in outcome["skipped"]
    assert app.rows("asset_activities", "id") + app.rows("search_history", "id") == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": "ASSET_VIEW"}, "assetId: missing, and ASSET_VIEW needs it"),
        ({"type": "ASSET_DOWNLOAD", "assetId": None}, "assetId: missing"),
        ({"type": "ASSET_SHARE"}, "assetId: missing"),
        ({"type": "ASSET_VIEW", "assetId": "cgone"}, "assetId 'cgone'"),
        ({"type": "ASSET_SHARE", "assetId": "cgone", "userId": "cgone"}, "assetId 'cgone' and userId 'cgone'"),
        ({"type": "SEARCH", "userId": "cgone", "data": {"query": "x"}}, "userId 'cgone'"),
        ({"type": "SEARCH", "userId": "cgone", "data": {}}, "missing required field `query`"),
        ({"type": "SEARCH", "userId": "cgone"}, "missing required field `query`"),
        ({"type": "SEARCH", "data": {"query": 5}}, "$.query"),
        ({"type": "SEARCH", "data": {"query": "x", "resultCount": "7"}}, "$.resultCount"),
        ({"type": "SEARCH", "data": {"query": "x", "resultCount": 2**31}}, "$.resultCount"),
        ({"type": "ACTIVITY", "userId": "cgone", "data": {}}, "missing required field `type`"),
        ({"type": "ACTIVITY", "userId": "cgone", "data": {"type": "DANCED"}}, "data.type: not an AssetActivityType; known are "),
        ({"type": "ACTIVITY", "data": {"type": "ASSET_UPDATED", "collectionId": "cgone"}}, "collectionId 'cgone'"),
        ({"type": "PAGE_VIEW"}, "type: not an analytics event; known are ASSET_VIEW, "),
        ({"type": ""}, "type: not an analytics event"),
        ({"type": "SEARCH", "timestamp": "9999-12-31T23:59:59-12:00", "userId": "user", "data": {"query": "x"}}, "timestamp: no time"),
        ({"type": "ASSET_VIEW", "timestamp": "0001-01-01T00:00:00Z", "assetId": "asset"}, "timestamp: no time"),
        ({"type": "ASSET_VIEW", "timestamp": "1999-12-31T23:59:59Z", "assetId": "asset"}, "between 2000 and a day from now"),
        ({"type": "ASSET_VIEW", "timestamp": DAY_AFTER_TOMORROW, "assetId": "asset"}, "timestamp: no time"),
    ],
)
def test_a_bad_event_fails_for_good_naming_the_field(app: App, edges: Any, fields: dict[str, Any], words: str) -> None:
    app.user(id="user")
    app.asset(id="asset")
    values = {"timestamp": NOON, **fields}

    outcome = one(msgspec.convert(values, Payload), edges)

    assert isinstance(outcome, PermanentError)
    assert words in str(outcome)
    assert counters(app) == app.rows("asset_activities", "id") == app.rows("search_history", "id") == []


@pytest.mark.parametrize("zone", ["UTC", "Asia/Riyadh", "America/New_York"])
@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2025-11-24T02:00:00.000Z", date(2025, 11, 24)),
        ("2025-11-24T22:30:00.000Z", date(2025, 11, 24)),
        ("2025-11-25T01:30:00.000+03:00", date(2025, 11, 24)),
        ("2025-11-24T23:59:59.999Z", date(2025, 11, 24)),
        ("2025-11-25T00:00:00.000Z", date(2025, 11, 25)),
    ],
)
def test_the_day_is_the_events_utc_day_wherever_server_and_worker_live(
    app: App, edges: Any, monkeypatch: pytest.MonkeyPatch, zone: str, moment: str, day: date
) -> None:
    app.set_zone(zone)
    with monkeypatch.context() as local:
        local.setenv("TZ", zone)
        time.tzset()
        one(event("ASSET_VIEW", assetId=app.asset(), userId=app.user(), timestamp=moment), edges)
    time.tzset()

    assert app.rows("asset_analytics", "date") == [day]
    assert app.rows("asset_activities", "createdAt") == [datetime.fromisoformat(moment).astimezone(UTC).replace(tzinfo=None)]


def test_counters_continue_what_the_web_app_has_counted(app: App, edges: Any) -> None:
    asset = app.asset()
    app.insert("asset_analytics", assetId=asset, date="2025-11-24", views=10, downloads=3)

    process_batch([(event(kind, assetId=asset), job()) for kind in ("ASSET_VIEW", "ASSET_VIEW", "ASSET_DOWNLOAD")], edges)

    assert counters(app) == [(asset, date(2025, 11, 24), 12, 4)]


def test_a_batch_run_again_changes_nothing_and_says_the_same(app: App, edges: Any) -> None:
    asset, user = app.asset(), app.user()
    work = [(event("ASSET_VIEW", assetId=asset, userId=user), job()) for _ in range(40)]
    work += [(event("SEARCH", userId=user, data={"query": "booth"}), job()) for _ in range(5)]

    first, again = process_batch(work, edges), process_batch(work, edges)

    assert first == again
    assert counters(app) == [(asset, date(2025, 11, 24), 40, 0)]
    assert len(app.rows("asset_activities", "id")) == 40
    assert len(app.rows("search_history", "id")) == 5


def test_the_ledger_has_only_those_events_that_leave_no_row_to_tell_that_they_were_counted(app: App, edges: Any) -> None:
    asset, user = app.asset(), app.user()
    told, untold = job(), job()
    work = [(event("ASSET_VIEW", assetId=asset, userId=user), told), (event("ASSET_VIEW", assetId=asset), untold)]

    for _ in range(2):
        process_batch(work, edges)

    assert app.connection.execute("SELECT job_id FROM kayan_workers.ledger").fetchall() == [(untold.id,)]
    assert app.rows("asset_analytics", "views") == [2]


def test_events_that_an_older_worker_wrote_into_the_ledger_are_not_counted_again(app: App, edges: Any) -> None:
    """It did so for all of them."""
    asset, user = app.asset(), app.user()
    work = [(event("ASSET_VIEW", assetId=asset, userId=user), job()), (event("ASSET_DOWNLOAD", assetId=asset), job())]
    process_batch(work, edges)
    with edges.database.transaction() as connection:
        ledger.record_many_once(connection, [a_job for _, a_job in work], "asset_analytics")

    process_batch(work, edges)

    assert counters(app) == [(asset, date(2025, 11, 24), 1, 1)]


def test_a_job_that_is_in_a_batch_twice_counts_once(app: App, edges: Any) -> None:
    twice = (event("ASSET_VIEW", assetId=app.asset()), job())

    process_batch([twice, twice], edges)

    assert app.rows("asset_analytics", "views") == [1]


def test_the_same_id_after_redis_was_emptied_is_another_job(app: App, edges: Any) -> None:
    asset = app.asset()
    for added in (1_000, 2_000):
        one(event("ASSET_VIEW", assetId=asset), edges, job(id="1", timestamp_ms=added))

    assert app.rows("asset_analytics", "views") == [2]


def test_counters_are_exact_when_overlapping_batches_run_at_once_in_any_order(app: App, edges: Any) -> None:
    assets, user = [app.asset() for _ in range(10)], app.user()
    choice = random.Random(7)
    work = [
        (event(choice.choice(["ASSET_VIEW", "ASSET_DOWNLOAD"]), assetId=choice.choice(assets), userId=user), job()) for _ in range(600)
    ]
    batches = [work[:200], work[100:300], work[200:400], work[300:500], work[400:], work[::-1][:200], work[::3], work[::-5]]

    outcomes = in_threads(*batches, edges=edges)

    assert all(outcome == {"recorded": ["asset_activities", "asset_analytics"]} for batch in outcomes for outcome in batch)
    assert sum(views + downloads for _, _, views, downloads in counters(app)) == 600
    for asset, _, views, downloads in counters(app):
        mine = [payload.type for payload, _ in work if payload.asset_id == asset]
        assert (views, downloads) == (mine.count("ASSET_VIEW"), mine.count("ASSET_DOWNLOAD"))
    assert len(app.rows("asset_activities", "id")) == 600


@pytest.mark.parametrize(
    ("poison", "word"),
    [
        ({"type": "ASSET_VIEW", "assetId": "cgone"}, "cgone"),
        ({"type": "SEARCH", "data": {"query": "a\0b"}}, "data.query"),
        ({"type": "SEARCH", "data": {"query": "x", "filters": {"name": "a\0b"}}}, "data.filters.name: holds a NUL"),
        ({"type": "SEARCH", "data": {"query": "".join(chr(0x4E00 + (i * 7919) % 20000) for i in range(9000))}}, "index row"),
        ({"type": "NO_SUCH_EVENT"}, "type: not an analytics event"),
        ({"type": "SEARCH", "data": {"query": "half an emoji \ud83c"}}, "data.query: holds a NUL character or half a surrogate pair"),
        ({"type": "SEARCH", "data": {"query": "x", "filters": {"\ud83c": 1}}}, "a name in data.filters"),
        ({"type": "SEARCH", "data": {"query": "x", "filters": NESTED}}, "nested too deep"),
        ({"type": "ASSET_VIEW", "assetId": "c\ud83c"}, "assetId"),
        ({"type": "SEARCH", "userId": "c\0", "data": {"query": "x"}}, "userId"),
    ],
    ids=["dead asset", "nul in the query", "nul in the filters", "longer than its index allows", "unknown type", "half a character",
         "half a character in a name", "nested without end", "half a character in an id", "nul in an id"],
)
def test_a_poisonous_event_among_a_hundred_fails_alone(app: App, edges: Any, poison: dict[str, Any], word: str) -> None:
    asset, user = app.asset(), app.user()
    work = [(event("ASSET_VIEW", assetId=asset, userId=user), job()) for _ in range(100)]
    work[63] = (msgspec.convert({"timestamp": NOON, "userId": user, **poison}, Payload), job())

    outcomes = process_batch(work, edges)

    failed = [position for position, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
    assert failed == [63]
    assert isinstance(outcomes[63], PermanentError)
    assert word in str(outcomes[63])
    assert app.rows("asset_analytics", "views") == [99]


def test_a_counter_that_is_full_fails_the_events_of_its_asset_alone(app: App, edges: Any) -> None:
    full, other, user = app.asset(), app.asset(), app.user()
    app.insert("asset_analytics", assetId=full, date="2025-11-24", views=2**31 - 2)
    work = [(event("ASSET_VIEW", assetId=full if place in (7, 20, 33) else other, userId=user), job()) for place in range(40)]

    outcomes = process_batch(work, edges)

    failed = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, PermanentError)]
    assert failed == [20, 33]  # there was room for one
    assert {asset: views for asset, _, views, _ in counters(app)} == {full: 2**31 - 1, other: 37}
    assert len(app.rows("asset_activities", "id")) == 38


def test_a_row_that_a_trigger_of_the_app_refuses_fails_alone(app: App, edges: Any) -> None:
    asset, user = app.asset(), app.user()
    _refuse_by_trigger(app, "search_history", "query", "forbidden")
    work = [(event("SEARCH", userId=user, data={"query": "forbidden" if place == 11 else "booth"}), job()) for place in range(30)]
    work.append((event("ASSET_VIEW", assetId=asset, userId=user), job()))

    outcomes = process_batch(work, edges)

    assert [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Exception)] == [11]
    assert "the database refuses a value of this job: not on our premises" in str(outcomes[11])
    assert len(app.rows("search_history", "id")) == 29
    assert app.rows("asset_analytics", "views") == [1]


@pytest.mark.parametrize("deleted", ["user", "asset"])
async def test_what_is_deleted_between_the_look_and_the_insert_takes_no_batch_down(
    app: App, edges: Any, database_url: str, deleted: str
) -> None:
    gone, others, user, leaver = app.asset(), app.asset(), app.user(), app.user()
    work = [(event("ASSET_VIEW", assetId=others, userId=user), job()) for _ in range(30)]
    work[5] = (event("ASSET_VIEW", assetId=gone, userId=leaver), job())
    with psycopg.connect(owner_of(database_url)) as somebody:
        somebody.execute('DELETE FROM "User" WHERE id = %s' if deleted == "user" else "DELETE FROM assets WHERE id = %s",
                         (leaver if deleted == "user" else gone,))
        batch = asyncio.create_task(asyncio.to_thread(process_batch, work, edges))
        waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'kayan-test' AND wait_event_type = 'Lock'"
        await wait_until(lambda: app.connection.execute(waiting).rowcount == 1, what="the batch to wait for the row that is going")
        somebody.commit()
        outcomes = await batch

    if deleted == "user":
        assert "no longer exists" in outcomes[5]["skipped"]
    else:
        assert isinstance(outcomes[5], PermanentError)
        assert f"assetId {gone!r}: no such row" in str(outcomes[5])
    assert not [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Exception) and place != 5]
    views = {asset: views for asset, _, views, _ in counters(app)}
    assert views == ({others: 29, gone: 1} if deleted == "user" else {others: 29})


async def test_two_batches_that_wait_for_each_other_both_count(app: App, edges: Any, database_url: str) -> None:
    """Ours take their locks in one order, but the app's transactions need not. PostgreSQL ends one of two that wait in a ring."""
    first, second = app.asset(), app.asset()
    for asset in (first, second):
        app.insert("asset_analytics", id=derive_id("asset_analytics", asset, "2025-11-24"), assetId=asset, date="2025-11-24")
    first, second = sorted((first, second), key=lambda asset: derive_id("asset_analytics", asset, "2025-11-24"))
    work = [(event("ASSET_VIEW", assetId=asset), job()) for asset in (first, second) for _ in range(5)]
    with psycopg.connect(owner_of(database_url)) as somebody:
        somebody.execute("SET deadlock_timeout TO '60s'")  # so that it is ours that PostgreSQL ends
        somebody.execute('UPDATE asset_analytics SET views = views + 1 WHERE "assetId" = %s', (second,))
        batch = asyncio.create_task(asyncio.to_thread(process_batch, work, edges))
        waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'kayan-test' AND wait_event_type = 'Lock'"
        await wait_until(lambda: app.connection.execute(waiting).rowcount == 1, what="the batch to wait for the second counter")
        await asyncio.to_thread(somebody.execute, 'UPDATE asset_analytics SET views = views + 1 WHERE "assetId" = %s', (first,))
        somebody.commit()
        outcomes = await batch

    assert outcomes == [{"recorded": ["asset_analytics"]}] * 10
    assert {asset: views for asset, _, views, _ in counters(app)} == {first: 6, second: 6}


def test_events_of_a_counter_that_somebody_holds_are_put_off_and_the_others_counted(
    app: App, edges: Any, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "TOGETHER", Patience(statement_seconds=20, lock_seconds=0.3))
    monkeypatch.setattr(batching, "APART", Patience(statement_seconds=5, lock_seconds=0.1))
    held, others, user = app.asset(), [app.asset() for _ in range(9)], app.user()
    app.insert("asset_analytics", assetId=held, date="2025-11-24", views=5)
    work = [(event("ASSET_VIEW", assetId=asset, userId=user), job()) for _ in range(12) for asset in (*others, held)]
    with psycopg.connect(owner_of(database_url)) as somebody:
        somebody.execute("UPDATE asset_analytics SET views = views + 1")
        outcomes = process_batch(work, edges)
        somebody.commit()

    for (payload, _), outcome in zip(work, outcomes, strict=True):
        assert isinstance(outcome, NotNowError) == (payload.asset_id == held)
    assert {asset: views for asset, _, views, _ in counters(app)} == dict.fromkeys(others, 12) | {held: 6}

    assert process_batch(work, edges) == [{"recorded": ["asset_activities", "asset_analytics"]}] * 120
    assert {asset: views for asset, _, views, _ in counters(app)} == dict.fromkeys(others, 12) | {held: 18}


async def test_a_connection_lost_in_mid_batch_is_everybodys_temporary_error_and_leaves_nothing(
    app: App, edges: Any, database_url: str
) -> None:
    asset = app.asset()
    app.insert("asset_analytics", assetId=asset, date="2025-11-24", views=5)
    work = [(event("ASSET_VIEW", assetId=asset, userId=app.user()), job()) for _ in range(30)]
    with psycopg.connect(owner_of(database_url)) as somebody:
        somebody.execute("UPDATE asset_analytics SET views = views + 1")
        batch = asyncio.create_task(asyncio.to_thread(process_batch, work, edges))
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kayan-test' AND wait_event_type = 'Lock'"
        await wait_until(lambda: app.connection.execute(cut).rowcount == 1, what="the batch to wait for the counter")
        assert [type(outcome) for outcome in await batch] == [TemporaryError] * 30
        somebody.rollback()
    assert app.rows("asset_analytics", "views") == [5]
    assert app.rows("asset_activities", "id") == []

    process_batch(work, edges)

    assert app.rows("asset_analytics", "views") == [35]


def _refuse_by_trigger(app: App, table: str, column: str, value: str) -> None:
    app.connection.execute(f"""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF NEW."{column}" = '{value}' THEN RAISE EXCEPTION 'not on our premises'; END IF; RETURN NEW; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()""")


def test_an_activity_that_cannot_be_written_leaves_no_count_and_no_entry_behind(app: App, edges: Any) -> None:
    asset, user, the_job = app.asset(), app.user(), job()
    app.connection.execute("ALTER TABLE asset_activities ADD CONSTRAINT nobody CHECK (false)")
    refused = one(event("ASSET_VIEW", assetId=asset, userId=user), edges, the_job)
    assert isinstance(refused, PermanentError)
    assert counters(app) == []

    app.connection.execute("ALTER TABLE asset_activities DROP CONSTRAINT nobody")
    one(event("ASSET_VIEW", assetId=asset, userId=user), edges, the_job)

    assert app.rows("asset_analytics", "views") == [1]
