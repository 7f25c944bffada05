"""Leaving: nothing is left behind. Wire document, section 9, scenario 39, and window W5."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from waiting import wait_until
from wire.party import Party, Worker, finished, nothing
from wire.peer import NodePeer
from wire.worker_process import WorkerProcess

Work = Callable[..., Worker]
NewWorker = Callable[..., Awaitable[WorkerProcess]]


async def clean(redis: Redis) -> None:
    """Nothing is claimed, nothing locked, nothing stalled, and no stall was counted."""
    assert not await redis.exists("bull:mail:active")
    locks = [key async for key in redis.scan_iter(match="bull:mail:*:lock", count=1000)]
    assert locks == []


async def test_a_hundred_shutdowns_under_load_leave_the_active_list_empty(party: Party, redis: Redis):
    """Scenario 39: stop at a random moment, each time; in the end every job has run exactly once, in spite of all the stops."""

    async def handler(job: ActiveJob) -> None:
        await asyncio.sleep(0.003)

    queue = party.queue("mail")
    await queue.add_bulk([BulkJob({"n": n}) for n in range(3000)])
    started: list[str] = []
    for turn in range(100):
        worker = party.work(queue, handler, concurrency=1 + turn % 7)
        await asyncio.sleep(0.002 * (turn % 23))
        await worker.stop()
        started += worker.started
        await clean(redis)
        assert await redis.llen("bull:mail:wait") + await redis.zcard("bull:mail:completed") == 3000
        if not await redis.llen("bull:mail:wait"):
            break
    worker = party.work(queue, nothing, concurrency=50)
    await finished(redis, "mail", 3000, timeout=30)
    started += worker.started

    assert len(started) == len(set(started)) == 3000
    stalls = [job_id for job_id in started[:300] if await redis.hexists(f"bull:mail:{job_id}", "stalledCounter")]
    assert stalls == []


async def test_sigterm_ends_the_process_with_zero_and_hands_the_rest_back_in_order(queue: Queue, new_worker: NewWorker, redis: Redis):
    """A process with work in hand: what runs is finished, what has not begun goes back to the head of the line."""
    await queue.add_bulk([BulkJob({"n": n}) for n in range(20)])
    worker = await new_worker("mail", "slow", seconds=0.5, concurrency=4)
    await worker.saw("start", count=4)

    worker.terminate()

    assert await worker.ended() == 0
    await clean(redis)
    completed = await redis.zcard("bull:mail:completed")
    assert completed == len(worker.args_of("completed")) == len(worker.started)
    waiting = await redis.lrange("bull:mail:wait", 0, -1)
    assert waiting == [str(number) for number in range(20, completed, -1)]


async def test_a_job_that_outlasts_the_grace_period_is_handed_back(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Its handler is told, the job goes back with no stall and no attempt counted, and Bull takes it up at once."""
    told = asyncio.Event()

    async def handler(job: ActiveJob) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            told.set()
            raise

    job = await queue.add({})
    worker = work(queue, handler, grace_seconds=0.3)
    await worker.has_started(1)
    began = time.monotonic()
    await worker.stop()

    assert time.monotonic() - began < 20
    assert told.is_set()
    assert worker.seen.handed_back == [job.id]
    assert await redis.lrange("bull:mail:wait", 0, -1) == [job.id]
    await clean(redis)
    await node.open("mail")
    await node.process("mail", "nothing")
    await finished(redis, "mail", 1)
    fields = await redis.hgetall(f"bull:mail:{job.id}")
    assert "stalledCounter" not in fields
    assert "attemptsMade" not in fields


@pytest.mark.parametrize("kind", ["thread", "coroutine"])
async def test_a_handler_that_ignores_its_cancellation_does_not_hold_up_the_exit(
    queue: Queue, new_worker: NewWorker, redis: Redis, kind: str
):
    """The process ends all the same; what the handler still does is nobody's."""
    job = await queue.add({})
    worker = await new_worker("mail", "thread" if kind == "thread" else "slow", seconds=60, settings={"grace_seconds": 0.5})
    await worker.saw("start")

    worker.terminate()
    code = await worker.ended(timeout=20) if kind == "coroutine" else None
    await _waits_again(redis, job.id)

    assert code in (0, None)


async def _waits_again(redis: Redis, job_id: str) -> None:
    await wait_until(lambda: redis.llen("bull:mail:wait"), 10)
    assert await redis.lrange("bull:mail:wait", 0, -1) == [job_id]


async def test_stopping_an_idle_worker_takes_no_time(queue: Queue, work: Work, redis: Redis):
    """It does not wait for its blocking call."""
    worker = work(queue, nothing)
    await asyncio.sleep(0.5)

    began = time.monotonic()
    await worker.stop()

    assert time.monotonic() - began < 4  # the call blocks for 6.5
    assert await queue.workers() == []
