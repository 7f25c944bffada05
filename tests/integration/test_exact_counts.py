"""Analytics and notifications to the last row, whatever happens on the way: whole worker processes that are killed and cut off, jobs that
run twice, and a model beside them that counts what should be there."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import kayan
import msgspec
import psycopg
import pytest
from app import App, SomeEdges, app_of, owner_of
from at_work import queue_at
from doubles import FakeJob
from kayan_workers.bull.options import JobOptions
from kayan_workers.database import Database
from kayan_workers.errors import TemporaryError
from kayan_workers.processors import analytics, notification
from proxy import Proxy
from redis.asyncio import Redis
from waiting import wait_until

QUICK = {"LOCK_DURATION_MS": "2000", "LOCK_RENEW_MS": "700", "STALLED_INTERVAL_MS": "700", "MAX_STALLED_COUNT": "100"}
_OUR_SESSIONS = "FROM pg_stat_activity WHERE application_name LIKE 'kayan-workers%' AND datname = current_database()"
_TABLES = {"analytics": "asset_activities", "notification": "notifications"}
"""Where each job of a queue leaves a row."""
KEEP = JobOptions(attempts=100, priority=5)
"""Every job stays, so that the test can let any of them run again."""


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    with app_of(database_url) as app:
        yield app


def settings(redis_url: str, database_url: str) -> dict[str, str]:
    return QUICK | {"REDIS_URL": redis_url, "DATABASE_URL": database_url}


def event(kind: str, asset: str, user: str | None, day: int) -> dict[str, Any]:
    fields = {"type": kind, "assetId": asset, "userId": user, "data": {"query": "booth"}, "timestamp": f"2025-11-{day:02}T23:59:59.999Z"}
    return {name: value for name, value in fields.items() if value is not None}


class Model:
    """What the tables must hold after all of ``events``, each counted once."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        counted = [one for one in events if one["type"] in ("ASSET_VIEW", "ASSET_DOWNLOAD")]
        self.views = Counter((one["assetId"], one["timestamp"][:10]) for one in counted if one["type"] == "ASSET_VIEW")
        self.downloads = Counter((one["assetId"], one["timestamp"][:10]) for one in counted if one["type"] == "ASSET_DOWNLOAD")
        self.activities = sum(one["type"] != "SEARCH" and "userId" in one for one in events)
        self.searches = sum(one["type"] == "SEARCH" and "userId" in one for one in events)

    def matches(self, app: App) -> None:
        days = app.rows("asset_analytics", "assetId", "date", "views", "downloads")
        assert {(asset, str(day)): views for asset, day, views, _ in days if views} == self.views
        assert {(asset, str(day)): downloads for asset, day, _, downloads in days if downloads} == self.downloads
        assert len(app.rows("asset_activities", "id")) == self.activities
        assert len(app.rows("search_history", "id")) == self.searches


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_event_counts_once_while_workers_are_killed_connections_cut_and_jobs_run_again(
    app: App, redis_url: str, redis: Redis, database_url: str, seed: int
) -> None:
    choice = random.Random(seed)
    users, assets = [app.user() for _ in range(5)], [app.asset() for _ in range(8)]
    kinds = ["ASSET_VIEW", "ASSET_VIEW", "ASSET_DOWNLOAD", "ASSET_SHARE", "SEARCH"]
    events = [
        event(choice.choice(kinds), choice.choice(assets), choice.choice([*users, None]), choice.randint(22, 24)) for _ in range(4000)
    ]

    async def all_finished() -> bool:
        async with redis.pipeline(transaction=True) as pipe:  # at one moment: jobs of the dead go from active back to wait
            pipe.llen("bull:analytics:wait").llen("bull:analytics:active").zcard("bull:analytics:delayed")
            return not sum(await pipe.execute())

    with ExitStack() as stack:

        def hire() -> kayan.WorkerProcess:
            return stack.enter_context(kayan.worker("analytics", variables=settings(redis_url, database_url)))

        async with queue_at(redis_url, "analytics", defaults=KEEP) as queue:
            jobs = await queue.add_bulk([{"data": one} for one in events[:3000]])
            crew = [hire(), hire()]
            for part in range(4):
                await wait_until(lambda part=part: len(app.rows("asset_activities", "id")) > part * 300, 60, what="some work done")
                jobs += await queue.add_bulk([{"data": one} for one in events[3000 + part * 250 : 3250 + part * 250]])
                again = choice.sample([job.id for job in jobs], 200)
                await redis.lpush("bull:analytics:wait", *again)  # type: ignore[misc]
                app.connection.execute(f"SELECT pg_terminate_backend(pid) {_OUR_SESSIONS}")
                crew.pop(0).process.kill()
                crew.append(hire())
            await wait_until(all_finished, 90, what="every job finished")

    assert await redis.zcard("bull:analytics:failed") == 0
    Model(events).matches(app)


async def test_what_a_killed_worker_had_committed_and_not_reported_is_not_counted_again(
    app: App, redis_url: str, redis: Redis, database_url: str
) -> None:
    asset, user = app.asset(), app.user()
    events = [event("ASSET_VIEW", asset, user, 24) for _ in range(50)]
    app.insert("asset_analytics", assetId=asset, date="2025-11-24", views=0)
    variables = settings(redis_url, database_url)
    async with queue_at(redis_url, "analytics", defaults=KEEP) as queue:
        await queue.add_bulk([{"data": one} for one in events])
    with psycopg.connect(owner_of(database_url)) as somebody, kayan.worker("analytics", variables=variables) as first:
        somebody.execute("UPDATE asset_analytics SET views = 0")
        waiting = f"SELECT {_OUR_SESSIONS} AND wait_event_type = 'Lock'"
        await wait_until(lambda: app.connection.execute(waiting).rowcount == 1, 30, what="the batch to wait for the counter")
        await redis.client_pause(60_000, all=False)
        somebody.commit()
        await wait_until(lambda: app.rows("asset_analytics", "views") == [50], what="the commit")
        first.process.kill()
        first.process.wait()
        await redis.client_unpause()
    assert await redis.llen("bull:analytics:active") == 50  # type: ignore[misc]

    with kayan.worker("analytics", variables=variables):
        await wait_until(lambda: _has(redis, 50), 30, what="the jobs to be finished")

    Model(events).matches(app)
    assert json.loads(await redis.hget("bull:analytics:7", "returnvalue") or "") == {"recorded": ["asset_activities", "asset_analytics"]}  # type: ignore[misc]


@pytest.mark.parametrize("queue", ["analytics", "notification"])
async def test_jobs_that_wait_together_are_written_in_a_few_transactions(
    app: App, redis_url: str, redis: Redis, database_url: str, queue: str
) -> None:
    """PostgreSQL keeps with each row the transaction that wrote it."""
    payload = _payload(app, queue)
    async with queue_at(redis_url, queue, defaults=KEEP) as waiting:
        await waiting.add_bulk([{"data": payload} for _ in range(100)])
    with kayan.worker(queue, variables=settings(redis_url, database_url)):
        await wait_until(lambda: _has(redis, 100, queue), 30, what="the jobs to be finished")

    assert len(_rows(app, queue)) == 100
    transactions = app.connection.execute(f'SELECT DISTINCT xmin::text FROM "{_TABLES[queue]}"').fetchall()
    assert len(transactions) <= 10


@pytest.mark.parametrize("queue", ["analytics", "notification"])
async def test_a_commit_whose_answer_was_lost_is_not_made_twice(app: App, database_url: str, queue: str) -> None:
    """The worker cannot know; it runs the batch again."""
    module: Any = {"analytics": analytics, "notification": notification}[queue]
    payload = _payload(app, queue)
    work = [(msgspec.convert(payload, module.Payload), FakeJob(queue=queue)) for _ in range(30)]
    info = app.connection.info
    async with Proxy(info.port, info.host) as proxy:
        url = f"postgresql://{info.user}:{info.password or 'x'}@127.0.0.1:{proxy.port}/{info.dbname}"
        database = Database(url, pool_size=1, application_name="kayan-test", wait_seconds=10)
        proxy.swallow_reply_to(b"COMMIT\0")  # the statement, not READ COMMITTED
        lost = await asyncio.to_thread(module.process_batch, work, SomeEdges(database))
        assert [type(outcome) for outcome in lost] == [TemporaryError] * 30
        await wait_until(lambda: len(_rows(app, queue)) == 30, what="the commit that nobody heard of")

        again = await asyncio.to_thread(module.process_batch, work, SomeEdges(database))

        database.close()
    assert not [outcome for outcome in again if isinstance(outcome, Exception)]
    assert len(_rows(app, queue)) == 30
    if queue == "analytics":
        assert app.rows("asset_analytics", "views") == [30]


def _payload(app: App, queue: str) -> dict[str, Any]:
    note = {"userId": app.user(), "type": "TASK_ASSIGNED", "title": "t", "message": "m"}
    return {"analytics": event("ASSET_VIEW", app.asset(), app.user(), 24), "notification": note}[queue]


def _rows(app: App, queue: str) -> list[Any]:
    return app.rows(_TABLES[queue], "id")


async def _has(redis: Redis, completed: int, queue: str = "analytics") -> bool:
    return bool(await redis.zcard(f"bull:{queue}:completed") == completed)
