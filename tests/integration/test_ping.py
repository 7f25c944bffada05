"""``kayan ping`` against real workers, idle, busy, absent and paused."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import psycopg
from app import App, owner_of
from at_work import queue_at, working
from kayan import kayan, worker
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.settle import Limiter
from redis.asyncio import Redis
from waiting import wait_until

Done = subprocess.CompletedProcess[str]


@asynccontextmanager
async def asking(redis_url: str, *arguments: str) -> AsyncIterator[asyncio.Task[Done]]:
    """``kayan ping ARGUMENTS``, under way."""
    running = asyncio.create_task(asyncio.to_thread(kayan, "ping", *arguments, variables={"REDIS_URL": redis_url}))
    yield running
    await running


async def ask(redis_url: str, *arguments: str) -> Done:
    async with asking(redis_url, *arguments) as running:
        return await running


async def is_next(redis: Redis, queue: str) -> bool:
    """Whether a ping stands where the next job is taken from."""
    return str(await redis.lindex(f"bull:{queue}:wait", -1)).startswith("kayan-ping-")


async def leftovers(redis: Redis) -> list[str]:
    return [key async for key in redis.scan_iter(match="*kayan-ping*", count=1000)]


async def test_each_queue_answers_with_its_pod_before_everything_that_waits(redis_url: str, redis: Redis, database_url: str) -> None:
    async with queue_at(redis_url, "email") as queue:
        await queue.add_bulk([{"data": {"malformed": True}, "options": JobOptions(priority=1)} for _ in range(30)])
    async with asking(redis_url, "messaging") as running:
        await wait_until(lambda: is_next(redis, "email"))
        settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "KAYAN_MAIL": "outbox:/nowhere", "POD_NAME": "messaging-7",
                    "CONCURRENCY_EMAIL": "1", "HOME": "/nonexistent"}  # fmt: skip
        with worker("messaging", variables=settings) as fleet:
            done = await running
            fleet.wait_for("job.failed", count=30)
            first = fleet.events("job.started")
    assert (done.returncode, done.stderr) == (0, "")
    for line, name in zip(done.stdout.splitlines(), ("email/email", "notification/notification"), strict=True):
        assert line.startswith(f"{name}: messaging-7, version {version('kayan-workers')}, waited "), line
    assert next(event["job_id"] for event in first if event["queue"] == "email").startswith("kayan-ping-")
    assert await leftovers(redis) == []


async def test_a_ping_among_events_is_answered_and_every_event_is_counted(redis_url: str, redis: Redis, database_url: str) -> None:
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        app = App(connection)
        asset, user = app.asset(), app.user()
        event = {"type": "ASSET_VIEW", "assetId": asset, "userId": user, "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"}
        async with queue_at(redis_url, "analytics") as queue:
            await queue.add_bulk([{"data": event} for _ in range(200)])
            async with asking(redis_url, "analytics", "--json") as running:
                await wait_until(lambda: is_next(redis, "analytics"))
                with worker("analytics", variables={"REDIS_URL": redis_url, "DATABASE_URL": database_url}) as fleet:
                    done = await running
                    fleet.wait_for("job.completed", count=201)
                    assert fleet.events("job.failed") + fleet.events("job.retried") == []
        [views] = connection.execute("SELECT count(*) FROM asset_activities").fetchone() or [0]
    [answer] = json.loads(done.stdout)
    assert (answer["role"], answer["queue"], answer["answered"], answer["why"]) == ("analytics", "analytics", True, None)
    assert answer["waited_ms"] >= 0
    assert answer["took_ms"] >= 0
    assert views == 200


async def test_a_queue_that_is_paused_or_has_no_worker_is_told_as_that_and_nothing_stays_in_it(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url, "email") as paused:
        await paused.pause()
        done = await ask(redis_url, "email", "cleanup", "--timeout", "1s")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "email/email: no answer: it is paused: kayan resume email",
        "cleanup/cleanup: no answer: nobody works it: kayan worker cleanup",
    ]
    assert await leftovers(redis) == []
    assert not await redis.exists("bull:email:paused", "bull:cleanup:wait")


async def test_a_queue_that_is_paused_while_the_ping_waits_is_not_waited_for(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url, "email") as queue, asking(redis_url, "email", "--timeout", "50s") as running:
        await wait_until(lambda: is_next(redis, "email"))
        await queue.pause()
        done = await running
    assert (done.returncode, done.stdout) == (1, "email/email: no answer: it is paused: kayan resume email\n")
    assert await leftovers(redis) == []


async def test_a_busy_worker_is_told_with_what_it_has_to_do(redis_url: str, redis: Redis) -> None:
    gate = asyncio.Event()

    async def work(job: Any) -> None:
        await gate.wait()

    async with queue_at(redis_url, "email") as queue:
        await queue.add_bulk([{"data": {}} for _ in range(3)])
        async with working(queue, work) as (_, seen):
            await wait_until(lambda: seen.said("job_started"))
            done = await ask(redis_url, "email", "--timeout", "1s", "--json")
            gate.set()
            await wait_until(lambda: len(seen.said("job_completed")) == 3)
    [answer] = json.loads(done.stdout)
    assert (done.returncode, answer["answered"], answer["pod"]) == (1, False, None)
    assert answer["why"].startswith("its worker is busy, with 1 running and 2 waiting jobs; give it longer"), answer
    assert await leftovers(redis) == []


async def nothing(job: Any) -> None:
    """A handler that has nothing to do."""


async def test_a_rate_limit_and_workers_that_take_nothing_are_told_as_that(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url, "email") as queue:
        async with working(queue, nothing) as (consumer, _):
            consumer.pause_locally()
            idle = await ask(redis_url, "email", "--timeout", "1s")
        async with working(queue, nothing, settings={"limiter": Limiter(1, 60_000)}) as (_, seen):
            await queue.add({})
            await wait_until(lambda: seen.said("job_completed"))
            limited = await ask(redis_url, "email", "--timeout", "1s")
    assert (idle.returncode, limited.returncode) == (1, 1)
    assert idle.stdout.startswith("email/email: no answer: its worker is connected and took nothing: fenced, leaving, without its ")
    assert limited.stdout.startswith("email/email: no answer: the rate limit of the queue holds it back")
    assert await leftovers(redis) == []


def test_a_redis_that_cannot_be_reached_is_one_sentence() -> None:
    done = kayan("ping", "email", variables={"REDIS_URL": "redis://127.0.0.1:1/0"})
    assert done.returncode == 1
    assert done.stderr.startswith("kayan: Redis at redis://127.0.0.1:1/0: ")
    assert "Traceback" not in done.stderr
