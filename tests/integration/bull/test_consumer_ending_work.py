"""Ending a handler: at its timeout, when its lock is lost, against its will. What one job suffers no other job notices."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import threading
import time
from collections import Counter
from typing import Any

import pytest
from at_work import queue_at, working
from kayan_workers.bull import attempt
from kayan_workers.bull.attempt import JobInterrupted
from kayan_workers.bull.options import JobOptions
from redis.asyncio import Redis
from waiting import wait_until

TIMED_OUT = "Promise timed out after {} milliseconds"


class Guard:
    """A handler's own account: which of its runs were interrupted, and in which threads they ran."""

    def __init__(self) -> None:
        self.interrupted: list[int] = []
        self.threads: Counter[int] = Counter()


@pytest.mark.parametrize("style", ["sleeps", "computes", "watches", "cleans up"])
async def test_hundreds_of_threads_whose_timeout_is_about_their_run_time_each_end_one_way_or_the_other(
    redis_url: str, redis: Redis, style: str
) -> None:
    """The timeout fires before, while and after the handler returns. Each job is completed or timed out, never both, never neither; a job
    without a timeout, run by the same threads, never sees an interruption; the threads stay the same few."""
    guard = Guard()

    def work(job: Any) -> str:
        guard.threads[threading.get_ident()] += 1
        end = time.monotonic() + job.data["ms"] / 1000
        try:
            while (left := end - time.monotonic()) > 0:
                if style == "sleeps":
                    time.sleep(min(left, 0.001))
                elif style == "watches":
                    job.cancelled.wait(min(left, 0.001))
                else:
                    sum(range(50))
        except JobInterrupted:
            guard.interrupted.append(job.data["n"])
            raise
        finally:
            if style == "cleans up":
                time.sleep(0.001)
        return "in time"

    dice = random.Random(style)
    timed = {n for n in range(400) if n % 3}
    async with queue_at(redis_url) as queue:
        await queue.add_bulk(
            [
                {"data": {"n": n, "ms": 10 + dice.uniform(-3, 3)}, "options": JobOptions(timeout_ms=10 if n in timed else None)}
                for n in range(400)
            ]
        )
        async with working(queue, work, concurrency=8, settings={"lock_renew_ms": 200}) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) + len(seen.said("job_failed")) == 400, 60)
        failed, completed = await queue.jobs("failed", 0, 500), await queue.jobs("completed", 0, 500)
        counts = await queue.counts()

    assert len({job.id for job in failed + completed}) == 400
    assert (counts.active, counts.waiting, counts.delayed) == (0, 0, 0)
    assert {job.failed_reason for job in failed} <= {TIMED_OUT.format(10)}
    assert {job.return_value for job in completed} == {"in time"}
    ended = {job.data["n"] for job in failed}
    assert ended, "no timeout ever fired: the test tests nothing"
    assert ended <= timed
    assert set(guard.interrupted) <= ended
    assert len(guard.threads) <= 8
    assert seen.said("job_lost") == []
    assert seen.said("job_overdue") == []


async def test_a_thread_that_swallows_its_interruption_fails_its_job_keeps_its_slot_and_is_told_again(
    redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``except BaseException`` around each step, as careless code has it: the job has failed, the next one waits for the slot."""
    monkeypatch.setattr(attempt, "_SOON_SECONDS", 0.1)
    monkeypatch.setattr(attempt, "_REMIND_SECONDS", 0.1)
    swallowed: list[str] = []

    def work(job: Any) -> str:
        if job.data["stubborn"]:
            while len(swallowed) < 3:
                try:
                    while True:
                        time.sleep(0.001)
                except BaseException as error:
                    swallowed.append(type(error).__name__)
        return "done"

    async with queue_at(redis_url) as queue:
        stubborn = await queue.add({"stubborn": True}, options=JobOptions(timeout_ms=50))
        good = await queue.add({"stubborn": False})
        async with working(queue, work) as (_, seen):
            await wait_until(lambda: seen.said("job_completed"))
    assert swallowed == ["JobInterrupted"] * 3
    assert seen.said("job_failed") == [stubborn.id]
    assert seen.said("job_completed") == [good.id]
    assert seen.events.index(("job_overdue", stubborn.id)) < seen.events.index(("job_started", good.id))
    assert await redis.hmget(f"bull:mail:{stubborn.id}", "failedReason", "returnvalue") == [TIMED_OUT.format(50), None]


async def test_a_lost_job_whose_thread_swallows_its_interruption_gives_its_slot_back_once_told_again(
    redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_REMIND_SECONDS", 0.1)
    swallowed: list[str] = []

    def work(job: Any) -> str:
        while job.data["stubborn"]:
            try:
                while True:
                    time.sleep(0.001)
            except BaseException as error:
                swallowed.append(type(error).__name__)
                if len(swallowed) == 2:
                    raise
        return "done"

    async with queue_at(redis_url) as queue:
        stubborn = await queue.add({"stubborn": True})
        async with working(queue, work, settings={"lock_renew_ms": 150, "stalled_interval_ms": 0}) as (_, seen):
            await wait_until(lambda: seen.said("job_started"))
            await redis.set(f"bull:mail:{stubborn.id}:lock", "another worker's token")
            good = await queue.add({"stubborn": False})
            await wait_until(lambda: seen.said("job_completed") == [good.id])
        assert seen.said("job_lost") == [stubborn.id]
        assert await redis.get(f"bull:mail:{stubborn.id}:lock") == "another worker's token"


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_what_a_handler_says_after_its_timeout_does_not_count(redis_url: str, redis: Redis, kind: str) -> None:
    """It hears of its end and returns, or raises something else: the job has timed out."""

    async def on_loop(job: Any) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if job.data["raises"]:
                raise ValueError("half done") from None
        return "half done"

    def in_thread(job: Any) -> str:
        try:
            while not job.cancelled.is_set():
                time.sleep(0.001)
        except BaseException:
            if job.data["raises"]:
                raise ValueError("half done") from None
        return "half done"

    async with queue_at(redis_url) as queue:
        for raises in (True, False):
            await queue.add({"raises": raises}, options=JobOptions(timeout_ms=50))
        async with working(queue, on_loop if kind == "async" else in_thread) as (_, seen):
            await wait_until(lambda: len(seen.events) >= 4)
    assert seen.said("job_failed") == ["1", "2"]
    for job_id in ("1", "2"):
        assert await redis.hmget(f"bull:mail:{job_id}", "failedReason", "returnvalue") == [TIMED_OUT.format(50), None]


async def _waits_for_a_cancelled_task() -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    task.cancel()
    await task


ODD: dict[str, Any] = {
    "CancelledError": asyncio.CancelledError,
    "CancelledError of a future": concurrent.futures.CancelledError,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "JobInterrupted": JobInterrupted,
}
"""What ends more than one expects when it gets out of a handler."""


@pytest.mark.parametrize("kind", ["async", "thread"])
@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_exception_is_the_failure_of_its_job_and_of_nothing_else(redis_url: str, redis: Redis, kind: str, odd: str) -> None:
    """A handler that awaits a cancelled task, calls next() on nothing, or exits: an ordinary failure, with another attempt."""

    def in_thread(job: Any) -> str:
        if job.attempt == 1:
            raise ODD[odd]()
        return "done"

    async def on_loop(job: Any) -> str:
        if job.attempt == 1 and odd == "CancelledError":
            await _waits_for_a_cancelled_task()
        return in_thread(job)

    async with queue_at(redis_url) as queue:
        await queue.add({}, options=JobOptions(attempts=2))
        async with working(queue, on_loop if kind == "async" else in_thread) as (_, seen):
            await wait_until(lambda: seen.said("job_completed") == ["1"])
            assert seen.said("job_retried") == ["1"]
            await queue.add({}, options=JobOptions(attempts=2))
            await wait_until(lambda: seen.said("job_completed") == ["1", "2"])
    assert await redis.hget("bull:mail:1", "attemptsMade") == "1"
    assert await redis.hget("bull:mail:1", "failedReason")


async def test_a_coroutine_that_swallows_its_cancellation_does_not_spoil_its_slot_for_the_next_job(redis_url: str, redis: Redis) -> None:
    """The lost job's cancellation was swallowed. The next one in that slot uses a task group, which would take it for its own."""

    async def work(job: Any) -> str:
        if job.data["stubborn"]:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "so what"
        async with asyncio.TaskGroup() as group:
            group.create_task(_fails())
        return "done"

    async def _fails() -> None:
        raise ValueError("one of the group")

    async with queue_at(redis_url) as queue:
        stubborn = await queue.add({"stubborn": True})
        async with working(queue, work, settings={"lock_renew_ms": 150, "stalled_interval_ms": 0}) as (_, seen):
            await wait_until(lambda: seen.said("job_started"))
            await redis.set(f"bull:mail:{stubborn.id}:lock", "another worker's token")
            await wait_until(lambda: seen.said("job_lost") == [stubborn.id])
            grouped = await queue.add({"stubborn": False})
            await wait_until(lambda: seen.said("job_failed") == [grouped.id])
    assert "unhandled errors in a TaskGroup" in str(await redis.hget(f"bull:mail:{grouped.id}", "failedReason"))
