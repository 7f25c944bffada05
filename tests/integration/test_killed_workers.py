"""A worker is killed between its effect and the report of it, or in the middle of its effect. The next one runs the job again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from app import App, SomeEdges, app_of
from doubles import FakeJob
from kayan_workers.database import Database
from kayan_workers.processors import analytics, notification
from waiting import wait_until

TESTS = Path(__file__).parent.parent

WORKER = """
import json, sys, time
import msgspec
from app import SomeEdges
from doubles import FakeJob
from kayan_workers.database import Database
from kayan_workers.processors import analytics, notification

queue, url, jobs = json.load(sys.stdin)
module = {"analytics": analytics, "notification": notification}[queue]
work = [(msgspec.convert(payload, module.Payload), FakeJob(queue=queue, id=job_id)) for job_id, payload in jobs]
print("started", flush=True)
module.process_batch(work, SomeEdges(Database(url, pool_size=1, application_name="kayan-victim")))
print("effect", flush=True)
time.sleep(60)
"""

Jobs = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    with app_of(database_url) as app:
        yield app


@pytest.fixture
def edges(database_url: str) -> Iterator[Any]:
    database = Database(database_url, pool_size=1, application_name="kayan-test")
    yield SomeEdges(database)
    database.close()


@pytest.fixture
def workers() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for worker in started:
        worker.kill()
        worker.wait(10)
        if worker.stdout is not None:
            worker.stdout.close()


def start(workers: list[subprocess.Popen[str]], queue: str, url: str, jobs: Jobs) -> subprocess.Popen[str]:
    worker = subprocess.Popen([sys.executable, "-c", WORKER], cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    workers.append(worker)
    assert worker.stdin is not None
    worker.stdin.write(json.dumps([queue, url, jobs]))
    worker.stdin.close()
    return worker


def says(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline().strip()


def killed(worker: subprocess.Popen[str]) -> bool:
    worker.kill()
    return worker.wait(10) == -signal.SIGKILL


def views(asset: str, user: str, number: int = 20) -> Jobs:
    payload = {"type": "ASSET_VIEW", "assetId": asset, "userId": user, "data": {}, "timestamp": "2025-11-24T12:00:00.000Z"}
    return [(str(job_id), payload) for job_id in range(number)]


def again(module: Any, jobs: Jobs, edges: Any) -> list[Any]:
    queue = module.__name__.rpartition(".")[2]
    work = [(msgspec.convert(payload, module.Payload), FakeJob(queue=queue, id=job_id)) for job_id, payload in jobs]
    outcomes: list[Any] = module.process_batch(work, edges)
    return outcomes


def test_views_counted_by_a_worker_that_died_before_saying_so_are_not_counted_again(
    app: App, edges: Any, database_url: str, workers: list[subprocess.Popen[str]]
) -> None:
    asset = app.asset()
    jobs = views(asset, app.user())
    worker = start(workers, "analytics", database_url, jobs)
    assert (says(worker), says(worker)) == ("started", "effect")
    assert killed(worker)

    outcomes = again(analytics, jobs, edges)

    assert outcomes == [{"recorded": ["asset_activities", "asset_analytics"]}] * 20
    assert app.rows("asset_analytics", "assetId", "date", "views") == [(asset, date(2025, 11, 24), 20)]
    assert len(app.rows("asset_activities", "id")) == 20


async def test_a_worker_killed_in_the_middle_of_its_transaction_leaves_nothing_behind(
    app: App, edges: Any, database_url: str, workers: list[subprocess.Popen[str]]
) -> None:
    asset = app.asset()
    jobs = views(asset, app.user())
    app.insert("asset_analytics", assetId=asset, date="2025-11-24", views=5)
    with psycopg.connect(database_url) as somebody:
        # Whoever counts now waits for us, with its other rows written but not committed.
        somebody.execute("UPDATE asset_analytics SET views = views + 1")
        worker = start(workers, "analytics", database_url, jobs)
        await wait_until(lambda: _victim_waits(app), what="the worker to wait for the counter")
        assert killed(worker)
    await wait_until(lambda: not _victim_is_connected(app), what="the server to notice")
    assert app.rows("asset_analytics", "views") == [6]
    assert app.rows("asset_activities", "id") == []

    again(analytics, jobs, edges)

    assert app.rows("asset_analytics", "views") == [26]
    assert len(app.rows("asset_activities", "id")) == 20


def test_notifications_of_a_worker_that_died_before_saying_so_are_not_doubled(
    app: App, edges: Any, database_url: str, workers: list[subprocess.Popen[str]]
) -> None:
    payload = {"userId": app.user(), "type": "TASK_COMMENT", "title": "New comment", "message": "m"}
    jobs: Jobs = [(str(job_id), payload) for job_id in range(20)]
    worker = start(workers, "notification", database_url, jobs)
    assert (says(worker), says(worker)) == ("started", "effect")
    assert killed(worker)
    before = app.rows("notifications", "id")

    outcomes = again(notification, jobs, edges)

    assert sorted(outcome["id"] for outcome in outcomes) == before == app.rows("notifications", "id")
    assert len(before) == 20


def _victim_waits(app: App) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kayan-victim' AND wait_event_type = 'Lock'"
    row = app.connection.execute(query).fetchone()
    return row is not None and row[0] == 1


def _victim_is_connected(app: App) -> bool:
    row = app.connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kayan-victim'").fetchone()
    return row is not None and row[0] > 0
