"""Notifications on a real database: every type, preferences, dead ids, and the row that must not take its batch down."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import pytest
from app import App, SomeEdges, app_of, owner_of
from doubles import FakeJob
from kayan_workers.database import Database
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.processors.notification import APP_TYPES, Payload, process_batch
from waiting import wait_until

NESTED: dict[str, Any] = {}
for _ in range(5000):
    NESTED = {"in": NESTED}


@pytest.fixture
def rights() -> str:
    return "notification"


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    with app_of(database_url) as app:
        yield app


@pytest.fixture
def edges(database_url: str) -> Iterator[Any]:
    database = Database(database_url, pool_size=4, application_name="kayan-test", wait_seconds=5)
    yield SomeEdges(database)
    database.close()


def note(user: str, **fields: Any) -> Payload:
    values = {"userId": user, "type": "TASK_ASSIGNED", "title": "New Task Assigned", "message": "Booth render", **fields}
    return msgspec.convert(values, Payload)


def job(**fields: Any) -> FakeJob:
    return FakeJob(queue="notification", **fields)


def one(payload: Payload, edges: Any) -> object:
    (outcome,) = process_batch([(payload, job())], edges)
    return outcome


def test_what_the_app_queues_becomes_a_row_with_everything_it_says(app: App, edges: Any) -> None:
    user, project = app.user(), app.project()
    task, milestone, meeting = app.task(project), app.milestone(project), app.meeting()
    ids = {"projectId": project, "taskId": task, "milestoneId": milestone, "meetingId": meeting}

    outcome = one(note(user, data={"taskName": "كشك", "assignedBy": None}, **ids), edges)

    columns = ("id", "type", "title", "message", "read", "data", "userId", "projectId", "taskId", "milestoneId", "meetingId", "articleId")
    (row,) = app.rows("notifications", *columns)
    assert outcome == {"id": row[0]}
    assert row[1:] == (
        "TASK_ASSIGNED", "New Task Assigned", "Booth render", False, {"taskName": "كشك", "assignedBy": None}, user, project, task,
        milestone, meeting, None,
    )


def test_absent_and_null_fields_are_null_in_the_row(app: App, edges: Any) -> None:
    process_batch([(note(app.user(), data=None, projectId=None), job()), (note(app.user()), job())], edges)

    assert app.rows("notifications", "data", "projectId", "taskId") == [(None, None, None)] * 2


def test_the_row_is_dated_in_utc_though_the_server_lives_in_riyadh(app: App, edges: Any) -> None:
    app.set_zone("Asia/Riyadh")
    one(note(app.user()), edges)

    (created,) = app.rows("notifications", "createdAt")
    assert abs(created.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)


def test_every_type_of_the_enum_is_stored_as_it_is(app: App, edges: Any) -> None:
    user = app.user()
    row = app.connection.execute('SELECT enum_range(NULL::"NotificationType")::text[]').fetchone()
    assert row is not None
    types = row[0]

    outcomes = process_batch([(note(user, type=name), job()) for name in types], edges)

    assert len(types) == 24
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert sorted(app.rows("notifications", "type")) == sorted(types)


@pytest.mark.parametrize(
    ("queued", "stored"),
    [("TASK_UPDATED", "TASK_STATUS_CHANGED"), ("TASK_COMMENT", "TASK_COMMENT_ADDED"), ("MILESTONE_REVIEW", "MILESTONE_SIGNED_OFF")],
)
def test_a_type_the_enum_lacks_is_stored_as_the_member_that_means_the_same(app: App, edges: Any, queued: str, stored: str) -> None:
    one(note(app.user(), type=queued), edges)

    assert app.rows("notifications", "type") == [stored]


@pytest.mark.parametrize("queued", ["TASK_UNASSIGNED", "MILESTONE_REJECTED"])
def test_a_type_without_a_counterpart_fails_and_says_what_would_help(app: App, edges: Any, queued: str) -> None:
    outcome = one(note(app.user(), type=queued), edges)

    assert isinstance(outcome, PermanentError)
    assert queued in str(outcome)
    assert "add it to the enum" in str(outcome)
    assert app.rows("notifications", "id") == []


@pytest.mark.parametrize("queued", ["TASK_UNASSIGNED", "TASK_UPDATED", "SOMETHING_NEW"])
def test_a_type_the_app_adds_to_its_enum_is_stored_from_then_on(app: App, edges: Any, queued: str) -> None:
    app.connection.execute(f"ALTER TYPE \"NotificationType\" ADD VALUE '{queued}'")

    one(note(app.user(), type=queued), edges)

    assert app.rows("notifications", "type") == [queued]


@pytest.mark.parametrize("queued", ["", "task_assigned", "constructor", "TASK_ASSIGNED'; DROP TABLE notifications; --"])
def test_an_unknown_type_fails_at_once_and_is_told_the_known_ones(app: App, edges: Any, queued: str) -> None:
    outcome = one(note(app.user(), type=queued), edges)

    assert isinstance(outcome, PermanentError)
    assert str(outcome).startswith("type: not a NotificationType; known are ASSET_DOWNLOAD_APPROVED, ")
    assert not queued or queued not in str(outcome)
    assert app.rows("notifications", "id") == []


@pytest.mark.parametrize("field", ["userId", "projectId", "taskId", "milestoneId", "meetingId"])
def test_a_dead_id_fails_the_job_and_is_named(app: App, edges: Any, field: str) -> None:
    payload = note(**{"user": app.user(), field: "cgone"}) if field != "userId" else note("cgone")

    outcome = one(payload, edges)

    assert isinstance(outcome, PermanentError)
    assert f"{field} 'cgone'" in str(outcome)


def test_all_dead_ids_of_a_job_are_named_together(app: App, edges: Any) -> None:
    outcome = one(note("cnobody", projectId="cnothing"), edges)

    assert "userId 'cnobody' and projectId 'cnothing'" in str(outcome)


def test_a_user_who_wants_no_in_app_notifications_gets_none_and_the_job_completes(app: App, edges: Any) -> None:
    quiet, loud = app.user(), app.user()
    app.insert("notification_preferences", userId=quiet, inAppEnabled=False, updatedAt="2025-01-01")
    app.insert("notification_preferences", userId=loud, emailEnabled=False, inAppSystemUpdates=False, updatedAt="2025-01-01")

    outcomes = process_batch([(note(quiet), job()), (note(loud), job())], edges)

    assert outcomes[0] == {"skipped": "the user has switched off inAppEnabled"}
    assert app.rows("notifications", "userId") == [loud]


@pytest.mark.parametrize(
    ("queued", "switch"),
    [
        ("ASSET_DOWNLOAD_APPROVED", "inAppAssetApproved"),
        ("ASSET_DOWNLOAD_REJECTED", "inAppAssetRejected"),
        ("MILESTONE_REVIEW", "inAppReviewAssigned"),
        ("TRANSLATION_REVIEW_REQUESTED", "inAppReviewAssigned"),
    ],
)
def test_a_narrower_switch_declines_its_own_types_only(app: App, edges: Any, queued: str, switch: str) -> None:
    user = app.user()
    app.insert("notification_preferences", userId=user, updatedAt="2025-01-01", **{switch: False})

    outcomes = process_batch([(note(user, type=queued), job()), (note(user, type="TASK_ASSIGNED"), job())], edges)

    assert outcomes[0] == {"skipped": f"the user has switched off {switch}"}
    assert app.rows("notifications", "type") == ["TASK_ASSIGNED"]


def test_without_a_database_the_types_are_those_of_the_apps_enum(app: App) -> None:
    found = app.connection.execute("SELECT enumlabel FROM pg_enum WHERE enumtypid = '\"NotificationType\"'::regtype").fetchall()

    assert {name for (name,) in found} == APP_TYPES


def test_running_a_batch_again_inserts_nothing_and_says_the_same(app: App, edges: Any) -> None:
    user = app.user()
    work = [(note(user), job()) for _ in range(50)]

    first, second = process_batch(work, edges), process_batch(work, edges)

    assert first == second
    assert len(app.rows("notifications", "id")) == 50


def test_two_workers_with_the_same_jobs_at_once_leave_one_row_each(app: App, edges: Any) -> None:
    user = app.user()
    work = [(note(user), job()) for _ in range(100)]
    together = threading.Barrier(4)
    outcomes: list[list[object]] = []

    def run(some: list[tuple[Payload, FakeJob]]) -> None:
        together.wait(10)
        outcomes.append(process_batch(some, edges))

    threads = [threading.Thread(target=run, args=(some,)) for some in (work, work, work[::-1], work[50:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not [outcome for some in outcomes for outcome in some if isinstance(outcome, Exception)]
    assert len(app.rows("notifications", "id")) == 100


@pytest.mark.parametrize(
    ("poison", "word"),
    [
        ({"title": "a\0b"}, "title"),
        ({"data": {"notes": [{"note": "a\0b"}]}}, "data.notes[0].note: holds a NUL"),
        ({"data": {"no\0te": 1}}, "a name in data: holds a NUL"),
        ({"projectId": "cgone"}, "projectId"),
        ({"projectId": "c\0gone"}, "projectId"),
        ({"type": "NO_SUCH_TYPE"}, "type: not a NotificationType"),
        ({"message": "half an emoji \ud83c"}, "message: holds a NUL character or half a surrogate pair"),
        ({"data": {"list": [{"a": "\ud83c"}]}}, "data.list[0].a: holds"),
        ({"data": NESTED}, "nested too deep"),
    ],
    ids=["nul in the title", "nul in the data", "nul in a name", "dead id", "nul in an id", "unknown type", "half a character",
         "half a character in the data", "nested without end"],
)
def test_a_poisonous_row_among_a_hundred_fails_alone(app: App, edges: Any, poison: dict[str, Any], word: str) -> None:
    user = app.user()
    work = [(note(user), job()) for _ in range(100)]
    values = {"userId": user, "type": "TASK_ASSIGNED", "title": "t", "message": "m", **poison}
    work[37] = (msgspec.convert(values, Payload), job())

    outcomes = process_batch(work, edges)

    failed = [position for position, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
    assert failed == [37]
    assert isinstance(outcomes[37], PermanentError)
    assert word in str(outcomes[37])
    assert len(app.rows("notifications", "id")) == 99


def test_a_database_that_is_away_is_everybodys_temporary_error() -> None:
    database = Database("postgresql://u@127.0.0.1:1/app", pool_size=1, application_name="kayan-test", wait_seconds=0.2)

    outcomes = process_batch([(note("c1"), job()) for _ in range(3)], SomeEdges(database))  # type: ignore[arg-type]

    assert [type(outcome) for outcome in outcomes] == [TemporaryError] * 3
    database.close()


async def test_a_task_deleted_between_the_look_and_the_insert_fails_its_own_notification_and_no_other(
    app: App, edges: Any, database_url: str
) -> None:
    user, project = app.user(), app.project()
    gone, kept = app.task(project), app.task(project)
    work = [(note(user, projectId=project, taskId=gone if place in (3, 17) else kept), job()) for place in range(40)]
    with psycopg.connect(owner_of(database_url)) as somebody:
        somebody.execute("DELETE FROM tasks WHERE id = %s", (gone,))
        batch = asyncio.create_task(asyncio.to_thread(process_batch, work, edges))
        waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'kayan-test' AND wait_event_type = 'Lock'"
        await wait_until(lambda: app.connection.execute(waiting).rowcount == 1, what="the batch to wait for the task that is going")
        somebody.commit()
        outcomes = await batch

    assert [place for place, outcome in enumerate(outcomes) if isinstance(outcome, PermanentError)] == [3, 17]
    assert f"taskId {gone!r}: no such row" in str(outcomes[3])
    assert app.rows("notifications", "taskId") == [kept] * 38


@pytest.mark.parametrize(
    "data", [None, {}, {"empty": None, "list": [], "n": 1.5, "big": 2**70, "text": "مرحبا \u2028 🎉", "quote": '\\" \\u0041'}]
)
def test_data_is_stored_as_it_came(app: App, edges: Any, data: dict[str, Any] | None) -> None:
    one(note(app.user(), data=data), edges)

    assert app.connection.execute("SELECT data FROM notifications").fetchall() == [(data,)]


def test_an_empty_batch_asks_nobody(edges: Any) -> None:
    assert process_batch([], edges) == []
