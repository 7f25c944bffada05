"""What many workers, or a busy one, cost Redis: who watches, how results travel, how often somebody knocks at a closed door."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from at_work import queue_at, working
from proxy import Proxy
from redis.asyncio import Redis
from redis_process import RedisProcess
from waiting import wait_until

IDLE_WORKERS = 8


async def nothing(job: Any) -> None:
    """The empty handler."""


async def _blocked_in(redis: Redis, command: str) -> int:
    return sum("b" in client["flags"] and client["cmd"] == command for client in await redis.client_list())


async def test_of_many_idle_workers_one_watches_and_the_others_wait_for_their_turn(redis_url: str, redis: Redis) -> None:
    """A job wakes the one that watches, which passes the turn on with its claim: however many there are, one blocks on the list itself."""
    done: list[str] = []

    async def work(job: Any) -> None:
        done.append(job.id)

    async def one_watches() -> bool:
        return await _blocked_in(redis, "blmove") == 1 and await _blocked_in(redis, "blpop") == IDLE_WORKERS - 1

    async with AsyncExitStack() as stack, queue_at(redis_url) as producer:
        for number in range(IDLE_WORKERS):
            queue = await stack.enter_async_context(queue_at(redis_url))
            await stack.enter_async_context(working(queue, work, pod=f"pod-{number}"))
        await wait_until(one_watches)
        for count in range(1, 6):
            await producer.add({})
            await wait_until(lambda count=count: len(done) == count)
            await wait_until(one_watches)
        await producer.add_bulk([{"data": {}}] * 100)
        await wait_until(lambda: len(done) == 105)
        await wait_until(one_watches)
    assert len(set(done)) == 105


async def test_a_busy_worker_settles_and_claims_many_jobs_in_one_call(redis_url: str, redis: Redis) -> None:
    """Group commit: two thousand jobs in fifty slots take a small part of two thousand calls."""
    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}}] * 2000)
        await redis.config_resetstat()
        async with working(queue, nothing, concurrency=50) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 2000, 30)
        calls = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert calls < 2000 / 10


async def test_a_lone_result_does_not_wait_for_company(redis_url: str, redis: Redis) -> None:
    """One slot of many is done while the others go on: its result is written, and its caller need not wait for them."""
    go = asyncio.Event()

    async def work(job: Any) -> str:
        if job.data["long"]:
            await go.wait()
        return "done"

    async with queue_at(redis_url) as queue, working(queue, work, concurrency=5) as (_, seen):
        await queue.add_bulk([{"data": {"long": True}}] * 4)
        await wait_until(lambda: len(seen.said("job_started")) == 4)
        short = await queue.add({"long": False})
        assert await queue.finished(short.id, timeout=10) == "done"
        assert len(seen.said("job_completed")) == 1
        go.set()


class Knocks(Proxy):
    """Remembers when somebody knocked."""

    def __init__(self, port: int, host: str) -> None:
        super().__init__(port, host)
        self.at: list[float] = []

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at.append(time.monotonic())
        await super()._accept(reader, writer)


@pytest.fixture
async def door(redis_url: str) -> AsyncIterator[Knocks]:
    address = urlsplit(redis_url)
    async with Knocks(address.port or 6379, address.hostname or "127.0.0.1") as door:
        door.refusing = True
        yield door


async def test_a_redis_that_is_away_is_tried_less_and_less_often_with_jitter_and_for_as_long_as_it_takes(
    redis_url: str, redis: Redis, door: Knocks
) -> None:
    """Said once when it goes and once when it comes, however many attempts lie between."""
    changes: list[bool] = []
    async with queue_at(door.url) as far, queue_at(redis_url) as near:
        far.server.on_change.append(lambda up, error: changes.append(up))
        async with working(far, nothing) as (_, seen):
            await wait_until(lambda: len(door.at) >= 12, 30)
            knocks = door.at[:12]
            door.refusing = False
            await near.add({})
            await wait_until(lambda: seen.said("job_completed"))
    assert knocks[11] - knocks[6] > 2 * (knocks[5] - knocks[0])
    pauses = [round(late - early, 4) for early, late in itertools.pairwise(knocks)]
    assert len(set(pauses)) > 6, "all alike: a fleet would knock in step"
    assert changes == [False, True]


async def test_a_line_that_breaks_at_its_first_use_is_made_less_and_less_often(redis_url: str, redis: Redis, door: Knocks) -> None:
    """Something between us and Redis lets every connection through and cuts it at the first script."""
    door.refusing = False
    door.drop_request(b"EVALSHA", times=1_000_000)
    async with queue_at(door.url) as far, queue_at(redis_url) as near, working(far, nothing) as (_, seen):
        await wait_until(lambda: len(door.at) >= 8, 30)
        knocks = door.at[:8]
        door.drop_request(b"EVALSHA", times=0)
        await near.add({})
        await wait_until(lambda: seen.said("job_completed"))
    assert knocks[7] - knocks[4] > 2 * (knocks[3] - knocks[0])


async def test_a_redis_that_refuses_writes_for_a_while_is_said_once_and_loses_no_result(private_redis: RedisProcess) -> None:
    """NOREPLICAS, as after the loss of a replica: tried again and again, said once, written once it may be."""
    go = asyncio.Event()

    async def work(job: Any) -> str:
        await go.wait()
        return "done"

    def refused() -> int:
        with private_redis.client() as client:
            return int(client.info("errorstats").get("errorstat_NOREPLICAS", {}).get("count", 0))

    async with queue_at(private_redis.url) as queue, working(queue, work, settings={"lock_duration_ms": 60_000}) as (_, seen):
        job = await queue.add({})
        await wait_until(lambda: seen.said("job_started"))
        with private_redis.client() as client:
            client.config_set("min-replicas-to-write", 1)
        before = refused()
        go.set()
        await wait_until(lambda: [call for call in seen.calls if call[0] == "queue_warning" and "refused to write" in call[2]])
        await wait_until(lambda: refused() > before + 20, 20, what="several more attempts")
        with private_redis.client() as client:
            client.config_set("min-replicas-to-write", 0)
        await wait_until(lambda: seen.said("job_completed") == [job.id])
        said = [call[2] for call in seen.calls if call[0] == "queue_warning" and "refused to write" in call[2]]
        assert len(said) == 1
        assert "NOREPLICAS" in said[0]
    assert seen.said("job_lost") == []


async def test_a_worker_that_may_not_watch_says_so_once_and_keeps_no_connections(private_redis: RedisProcess) -> None:
    async with queue_at(private_redis.url) as queue:
        with private_redis.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "-blmove")
            async with working(queue, nothing) as (_, seen):
                await wait_until(lambda: seen.said("queue_warning"))
                before = int(client.info("stats")["total_connections_received"])
                await wait_until(lambda: int(client.info("stats")["total_connections_received"]) >= before + 3, 20, what="more attempts")
                assert len(client.client_list()) < 10
                client.execute_command("ACL", "SETUSER", "default", "+blmove")
                await queue.add({})
                await wait_until(lambda: seen.said("job_completed"), 10)
    assert len(seen.said("queue_warning")) == 1


async def test_results_that_wait_to_be_written_hold_claims_back(redis_url: str, redis: Redis) -> None:
    """Quick batches are over sooner than Redis writes them down. Unbounded, `active` grew to thousands and every finish searched it."""
    together = 5 * 500
    peak = 0

    def work(jobs: list[Any]) -> list[None]:
        nonlocal peak
        peak = max(peak, consumer.in_flight)
        time.sleep(0.002)  # not so quick that jobs are claimed ahead of free slots
        return [None] * len(jobs)

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}}] * 15_000)
        async with working(queue, work, concurrency=5, batch=500) as (consumer, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 15_000, 60)

    assert peak <= together + 1000  # what the two lanes are carrying
