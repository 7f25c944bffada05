"""The lock says whose a job is: one token for each claim, and whoever has lost it writes nothing more, in no way."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
from at_work import queue_at, working
from kayan_workers.bull import scripts
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.options import JobOptions
from proxy import Proxy
from redis.asyncio import Redis
from waiting import wait_until

KEYS = Keys("mail")
ANOTHERS = "another worker's token"
KEPT = {"lock_renew_ms": 60_000, "lock_duration_ms": 60_000, "stalled_interval_ms": 0}
"""The keeper does not look: only what Redis itself says can stop a late report."""


async def test_every_claim_has_a_token_of_its_own(redis_url: str, redis: Redis) -> None:
    """Two jobs at a time, two attempts each: four tokens."""
    tokens: list[str] = []

    async def work(job: Any) -> None:
        tokens.append(str(await redis.get(KEYS.lock(job.id))))
        if job.attempt == 1:
            raise ValueError("once more")

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}, "options": JobOptions(attempts=2)}] * 2)
        async with working(queue, work, concurrency=2) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 2)
    assert len(set(tokens)) == len(tokens) == 4
    assert "None" not in tokens


@pytest.mark.parametrize("theirs", ["taken", "expired"])
@pytest.mark.parametrize("how", ["returns", "raises", "times out", "returns, not to be kept"])
async def test_a_worker_that_has_lost_its_lock_writes_nothing_however_its_handler_ends(
    redis_url: str, redis: Redis, theirs: str, how: str
) -> None:
    """Progress, a log row, another payload, a result, a failure: the record stays as the other worker knows it."""
    go = asyncio.Event()

    async def work(job: Any) -> str:
        await go.wait()
        job.progress(99)
        job.log("from beyond")
        job.update_data({"mine": True})
        if how == "raises":
            raise ValueError("too late")
        if how == "times out":
            await asyncio.sleep(60)
        return "too late"

    options = JobOptions(
        attempts=3, timeout_ms=1500 if how == "times out" else None, remove_on_complete=True if how == "returns, not to be kept" else None
    )
    async with queue_at(redis_url) as queue:
        job = await queue.add({"mine": False}, options=options)
        async with working(queue, work, settings=KEPT) as (_, seen):
            await wait_until(lambda: seen.said("job_started"))
            await (redis.set(KEYS.lock(job.id), ANOTHERS) if theirs == "taken" else redis.delete(KEYS.lock(job.id)))
            before = await redis.hgetall(KEYS.job(job.id))
            go.set()
            await wait_until(lambda: seen.said("job_lost") == [job.id])
    assert await redis.hgetall(KEYS.job(job.id)) == before
    assert await redis.lrange(KEYS.active, 0, -1) == [job.id]
    assert await redis.get(KEYS.lock(job.id)) == (ANOTHERS if theirs == "taken" else None)
    assert not await redis.exists(KEYS.logs(job.id), KEYS.completed, KEYS.failed, KEYS.delayed, KEYS.wait)
    assert [seen.said(name) for name in ("job_completed", "job_failed", "job_retried")] == [[], [], []]


async def test_a_job_whose_hash_vanishes_while_it_runs_leaves_no_ghost_and_the_worker_goes_on(redis_url: str, redis: Redis) -> None:
    go = asyncio.Event()

    async def work(job: Any) -> str:
        await go.wait()
        job.progress(50)
        if job.data["n"] % 2:
            raise ValueError("also gone")
        return "done"

    async with queue_at(redis_url) as queue:
        jobs = await queue.add_bulk([{"data": {"n": n}, "options": JobOptions(attempts=2)} for n in range(2)])
        async with working(queue, work, concurrency=2, settings=KEPT) as (_, seen):
            await wait_until(lambda: len(seen.said("job_started")) == 2)
            for job in jobs:
                await redis.delete(KEYS.job(job.id))
            go.set()
            await wait_until(lambda: len(seen.said("job_removed")) == 2)
            good = await queue.add({"n": 0})
            await wait_until(lambda: seen.said("job_completed") == [good.id])
    for job in jobs:
        assert not await redis.exists(KEYS.job(job.id), KEYS.logs(job.id))


async def test_a_job_that_somebody_deletes_while_it_runs_is_told_as_removed_and_ends_soon(redis_url: str, redis: Redis) -> None:
    """By force, lock and all: nobody else has it, so it is not lost."""
    ended = asyncio.Event()

    async def work(job: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async with queue_at(redis_url) as queue:
        job = await queue.add({})
        async with working(queue, work, settings={"lock_renew_ms": 150}) as (_, seen):
            await wait_until(lambda: seen.said("job_started"))
            await queue.pause()
            await queue.obliterate(force=True)
            await asyncio.wait_for(ended.wait(), 5)
            await wait_until(lambda: seen.said("job_removed") == [job.id])
    assert seen.said("job_lost") == []
    assert not await redis.keys("bull:*")


async def test_a_renewal_that_gets_no_answer_is_tried_again_while_there_is_a_lock_of_five_seconds(redis_url: str, redis: Redis) -> None:
    go = asyncio.Event()

    async def work(job: Any) -> None:
        await go.wait()

    async def renewed_or_gone() -> bool:
        return not 0 < await redis.pttl(KEYS.lock("1")) < 3500

    settings = {"lock_duration_ms": 5000, "lock_renew_ms": 2000, "stalled_interval_ms": 0}
    async with Proxy(urlsplit(redis_url).port or 6379) as proxy, queue_at(proxy.url) as queue:
        proxy.hold_request(scripts.load("extend_locks").sha.encode())
        job = await queue.add({})
        async with working(queue, work, settings=settings) as (_, seen):
            await wait_until(lambda: proxy.holding == 1)
            token = await redis.get(KEYS.lock(job.id))
            await wait_until(renewed_or_gone)
            assert await redis.get(KEYS.lock(job.id)) == token is not None
            go.set()
            await wait_until(lambda: seen.said("job_completed") == [job.id])
    assert seen.said("job_lost") == []


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_one_lost_job_of_a_batch_does_not_end_the_others(redis_url: str, redis: Redis, kind: str) -> None:
    """The batch goes on for the sake of the others; the lost one alone is not written."""
    go = threading.Event()

    def in_thread(jobs: list[Any]) -> list[str]:
        assert go.wait(10)
        return ["done"] * len(jobs)

    async def on_loop(jobs: list[Any]) -> list[str]:
        await wait_until(go.is_set)
        return ["done"] * len(jobs)

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}}] * 3)
        handler = in_thread if kind == "thread" else on_loop
        async with working(queue, handler, batch=3, settings={"lock_renew_ms": 150, "stalled_interval_ms": 0}) as (consumer, seen):
            await wait_until(lambda: len(seen.said("job_started")) == 3)
            await redis.set(KEYS.lock("2"), ANOTHERS)
            await wait_until(lambda: any(job.abandoned for job in consumer.running.values()))
            go.set()
            await wait_until(lambda: sorted(seen.said("job_completed")) == ["1", "3"] and seen.said("job_lost") == ["2"])
    assert await redis.hget(KEYS.job("2"), "returnvalue") is None
    assert await redis.lrange(KEYS.active, 0, -1) == ["2"]


async def test_a_batch_may_take_as_long_as_the_most_patient_of_its_jobs_and_then_all_of_them_time_out(redis_url: str, redis: Redis) -> None:
    async def work(jobs: list[Any]) -> list[str]:
        await asyncio.sleep(0.3 if len(jobs) == 2 else 60)
        return ["done"] * len(jobs)

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}, "options": JobOptions(timeout_ms=timeout)} for timeout in (100, 5000)])
        async with working(queue, work, batch=3) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 2)
            await queue.pause()
            await queue.add_bulk([{"data": {}, "options": JobOptions(timeout_ms=timeout)} for timeout in (100, 200, 300)])
            await queue.resume()
            await wait_until(lambda: len(seen.said("job_failed")) == 3)
    assert await redis.hget(KEYS.job("3"), "failedReason") == "Promise timed out after 300 milliseconds"
