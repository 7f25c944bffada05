"""Leaving in bad moments: with a claim under way, without a grace period, while Redis is away or has never answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from at_work import QUICK, Recorder, queue_at, working
from kayan_workers.bull import scripts
from kayan_workers.bull.consumer import Consumer, ConsumerSettings
from kayan_workers.bull.options import JobOptions
from proxy import Proxy
from redis.asyncio import Redis
from waiting import wait_until


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    address = urlsplit(redis_url)
    async with Proxy(address.port or 6379, address.hostname or "127.0.0.1") as proxy:
        yield proxy


async def for_ever(job: Any) -> None:
    await asyncio.sleep(600)


async def all_wait_untouched(redis: Redis, count: int) -> None:
    """Jobs 1 to ``count`` wait in their order, as if nobody had ever taken them."""
    assert await redis.lrange("bull:mail:wait", 0, -1) == [str(number) for number in range(count, 0, -1)]
    assert not await redis.exists("bull:mail:active", "bull:mail:stalled", "kayan:unstarted:bull:mail")
    assert await redis.keys("bull:mail:*:lock") == []
    for number in range(1, count + 1):
        assert await redis.hmget(f"bull:mail:{number}", "stalledCounter", "attemptsMade", "failedReason") == [None, None, None]


async def is_watching(redis: Redis) -> bool:
    """Whether a worker waits for a job to come: its first claim, which found none, is over."""
    return any(client["cmd"] == "blmove" for client in await redis.client_list())


@pytest.mark.parametrize("grace", [0.0, 3.0])
async def test_a_claim_under_way_when_the_worker_stops_is_handed_back(redis_url: str, redis: Redis, proxy: Proxy, grace: float) -> None:
    """Redis has given the jobs away, and their ids are still on the line when the worker is told to stop: with no grace at all, too."""
    async with queue_at(redis_url) as near, queue_at(proxy.url) as far:
        async with working(far, for_ever, concurrency=3, settings={"grace_seconds": grace}) as (consumer, seen):
            await wait_until(lambda: is_watching(redis))
            proxy.withhold_replies_to(scripts.load("settle").sha.encode())
            await near.add_bulk([{"data": {}}] * 6)
            await wait_until(lambda: redis.llen("bull:mail:active"))
            consumer.stop()
            await wait_until(lambda: redis.exists("kayan:turn:bull:mail"), what="the turn given back by the claim")
            proxy.release()
        assert seen.said("job_started") == []
        assert seen.said("job_handed_back")
        assert seen.said("queue_warning") == []
    await all_wait_untouched(redis, 6)


async def test_without_a_grace_period_running_jobs_are_handed_back_at_once_and_results_are_written(redis_url: str, redis: Redis) -> None:
    """Three slots with jobs, more in the line, and one job that ends in the very moment of the stop."""
    go = asyncio.Event()

    async def work(job: Any) -> str:
        await (go.wait() if job.id == "1" else asyncio.sleep(600))
        return "done"

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}}] * 7)
        async with working(queue, work, concurrency=4, settings={"grace_seconds": 0.0}) as (consumer, seen):
            await wait_until(lambda: len(seen.said("job_started")) == 4)
            go.set()
            await wait_until(lambda: any(job.ended for job in consumer.running.values()) or seen.said("job_completed"))
        assert seen.said("job_completed") == ["1"]
        assert {"2", "3", "4"} <= set(seen.said("job_handed_back"))
        assert [job.id for job in await queue.jobs("waiting")] == ["2", "3", "4", "5", "6", "7"]
    assert not await redis.exists("bull:mail:active", "kayan:unstarted:bull:mail")
    assert await redis.keys("bull:mail:*:lock") == []


async def test_a_worker_that_stops_while_redis_hangs_says_what_it_could_not_write(redis_url: str, redis: Redis, proxy: Proxy) -> None:
    """One job ends, one still runs; neither can be written. The next worker takes both up: nothing is lost, no result is invented."""
    go = asyncio.Event()

    async def work(job: Any) -> str:
        await (go.wait() if job.id == "1" else asyncio.sleep(600))
        return "done"

    async with queue_at(redis_url) as near, queue_at(proxy.url) as far:
        await near.add_bulk([{"data": {}}] * 2)
        async with asyncio.timeout(20), working(far, work, concurrency=2, settings={"grace_seconds": 0.2}) as (consumer, seen):
            await wait_until(lambda: len(seen.said("job_started")) == 2)
            proxy.silent = True
            go.set()
            await wait_until(lambda: consumer.running and any(job.ended for job in consumer.running.values()))
        assert [message for _, _, message in (call for call in seen.calls if call[0] == "queue_warning")] == [
            "Redis is away: 1 results could not be written, their jobs may run again elsewhere: 1",
            "1 jobs could not be handed back, the stalled pass will recover them: 2",
        ]
        assert seen.said("job_completed") == []
        proxy.cut_all()
        proxy.silent = False
        await redis.delete("kayan:chore:bull:mail:caretaker")  # it lapses by itself; the test need not wait for that

        async def quick(job: Any) -> str:
            return "by the next one"

        async with working(near, quick) as (_, later):
            await wait_until(lambda: len(later.said("job_completed")) == 2)
    assert await redis.hget("bull:mail:1", "returnvalue") == '"by the next one"'


@pytest.mark.parametrize("trouble", ["silent", "refusing"])
async def test_a_worker_that_never_reached_redis_stops_at_once(proxy: Proxy, trouble: str) -> None:
    """Its connection stands and nobody has greeted it, or nobody listens: there is nothing to wait for, and nothing to warn of."""
    setattr(proxy, trouble, True)
    recorder = Recorder()
    async with queue_at(proxy.url) as queue:
        consumer = Consumer(queue, for_ever, observer=recorder, settings=ConsumerSettings(**(QUICK | {"grace_seconds": 600.0})))
        running = asyncio.create_task(consumer.run())
        await wait_until(lambda: proxy.accepted)
        consumer.stop()
        async with asyncio.timeout(10):
            await running
    assert recorder.events == []


async def test_results_of_the_last_moment_are_written_although_the_line_is_cut(redis_url: str, redis: Redis, proxy: Proxy) -> None:
    """The answer to the last finish is lost: the worker makes sure before it leaves."""
    go = asyncio.Event()

    async def work(job: Any) -> str:
        await go.wait()
        return "done"

    async with queue_at(redis_url) as near, queue_at(proxy.url) as far:
        await near.add({})
        async with working(far, work) as (consumer, seen):
            await wait_until(lambda: seen.said("job_started"))
            consumer.stop()
            proxy.swallow_reply_to(scripts.load("settle").sha.encode())
            go.set()
    assert proxy.cuts == 1
    assert seen.said("job_completed") == ["1"]
    assert seen.said("queue_warning") == []
    assert await redis.hget("bull:mail:1", "returnvalue") == '"done"'


async def test_a_worker_leaves_when_it_knows_what_became_of_its_last_result(redis_url: str, redis: Redis, proxy: Proxy) -> None:
    """The answer to the last finish is lost, and so is the one to the question whether it was written."""
    go = asyncio.Event()

    async def work(job: Any) -> str:
        await go.wait()
        return "done"

    async with queue_at(redis_url) as near, queue_at(proxy.url) as far:
        await near.add({})
        async with working(far, work) as (consumer, seen):
            await wait_until(lambda: seen.said("job_started"))
            consumer.stop()
            proxy.swallow_reply_to(scripts.load("settle").sha.encode())
            proxy.hold_request(b"HMGET\r\n")
            go.set()
            await wait_until(lambda: proxy.holding, what="the question is on its way")
            proxy.cut_all()
    assert seen.said("job_completed") == ["1"]
    assert seen.said("queue_warning") == []
    assert await redis.hget("bull:mail:1", "returnvalue") == '"done"'


# -- where a job goes that comes back ------------------------------------------------------------------------------------------------


async def test_jobs_handed_back_or_recovered_while_the_queue_is_paused_wait_in_paused(redis_url: str, redis: Redis) -> None:
    """One whose worker leaves, one whose worker died: neither may slip past the pause."""
    async with queue_at(redis_url) as queue:
        died, left = await queue.add({}), await queue.add({})
        await redis.lmove("bull:mail:wait", "bull:mail:active", "RIGHT", "LEFT")
        await redis.sadd("bull:mail:stalled", died.id)
        async with working(queue, for_ever, settings={"grace_seconds": 0.0, "stalled_interval_ms": 0}) as (_, seen):
            await wait_until(lambda: seen.said("job_started") == [left.id])
            await queue.pause()
        assert await redis.lrange("bull:mail:paused", 0, -1) == [left.id]
        async with working(queue, for_ever) as (_, seen):
            await wait_until(lambda: seen.said("jobs_stalled"))
            assert await redis.lrange("bull:mail:paused", 0, -1) == [left.id, died.id]
            assert not await redis.exists("bull:mail:wait")
            assert seen.said("job_started") == []


async def test_an_urgent_job_that_is_handed_back_keeps_its_place_in_the_order(redis_url: str, redis: Redis) -> None:
    """It runs next, and an equally urgent one added later stands behind it: its entry in the index of priorities is there again."""
    urgent = JobOptions(priority=2)
    async with queue_at(redis_url) as queue:
        plain, first = await queue.add({}), await queue.add({}, options=urgent)
        async with working(queue, for_ever, settings={"grace_seconds": 0.0}) as (_, seen):
            await wait_until(lambda: seen.said("job_started") == [first.id])
            assert not await redis.exists("bull:mail:priority")
        later = await queue.add({}, options=urgent)
        assert await redis.lrange("bull:mail:wait", 0, -1) == [plain.id, later.id, first.id]
        assert await redis.zrange("bull:mail:priority", 0, -1, withscores=True) == [(first.id, 2.0), (later.id, 2.0)]


async def test_a_local_pause_lets_what_runs_finish_and_a_worker_stopped_in_it_leaves_nothing_behind(redis_url: str, redis: Redis) -> None:
    go = asyncio.Event()

    async def work(job: Any) -> str:
        await go.wait()
        return "done"

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}}] * 3)
        async with working(queue, work, concurrency=2) as (consumer, seen):
            await wait_until(lambda: len(seen.said("job_started")) == 2)
            consumer.pause_locally()
            go.set()
            await wait_until(lambda: len(seen.said("job_completed")) == 2)
        assert seen.said("job_started") == ["1", "2"]
    assert await redis.lrange("bull:mail:wait", 0, -1) == ["3"]
    assert not await redis.exists("bull:mail:active")
