"""A worker killed at any instruction loses no job, and burns no stall unless a handler had begun. Windows W1, W2, W5."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from waiting import wait_until
from wire.party import Party, nothing
from wire.worker_process import WorkerProcess

NewWorker = Callable[..., Awaitable[WorkerProcess]]

JOBS = 3
AT_ONCE = 6
"""Victims that are started together; more would only wait for each other."""


async def _instants(new_worker: NewWorker, queue: Queue) -> list[list[Any]]:
    """Every instant of a worker's life that touches a job: from its start until it has finished all of them."""
    await queue.add_bulk([BulkJob({"n": n}) for n in range(JOBS)])
    worker = await new_worker(queue.name, trace=True, concurrency=2)
    await worker.saw("completed", count=JOBS)
    worker.kill()
    await worker.ended()
    instants = worker.args_of("instant")
    last = max(index for index, (_, name, _) in enumerate(instants) if name == "settle")
    return instants[: last + 1]


async def _killed_at(new_worker: NewWorker, queue: Queue, instant: list[Any]) -> WorkerProcess:
    await queue.add_bulk([BulkJob({"n": n}) for n in range(JOBS)])
    victim = await new_worker(queue.name, die=instant, concurrency=2)
    # Calls overlap, so a rare run passes an instant under another number than the recorded one; killing it anywhere is as good.
    await wait_until(lambda: victim.is_over or len(victim.args_of("completed")) == JOBS, 15, what=f"death at {instant}")
    victim.kill()
    await victim.ended()
    return victim


async def _take_over(redis: Redis, queue: Queue) -> None:
    """What is left to time in production: the dead worker's office and turn lapse after some seconds."""
    for key in await redis.keys(f"kayan:*:bull:{queue.name}*"):
        if ":chore:" in key or ":watcher:" in key:
            await redis.delete(key)


async def test_a_worker_may_be_killed_at_any_instruction(party: Party, new_worker: NewWorker, redis: Redis):
    """Before a command is written, after it, after its answer: for each command of a worker's life, one worker dies there.

    Then a second worker takes over. Every job completes, nothing is left over, and a stall is counted only where a handler had begun.
    """
    instants = await _instants(new_worker, party.queue("trace"))
    assert len(instants) > 15, instants
    for first in range(0, len(instants), AT_ONCE):
        some = [(party.queue(f"q{first + n}"), instant) for n, instant in enumerate(instants[first : first + AT_ONCE])]
        victims = await asyncio.gather(*(_killed_at(new_worker, queue, instant) for queue, instant in some))
        cases = zip(some, victims, strict=True)
        await asyncio.gather(*(_all_is_well(party, redis, queue, victim, instant) for (queue, instant), victim in cases))


async def _all_is_well(party: Party, redis: Redis, queue: Queue, victim: WorkerProcess, instant: list[Any]) -> None:
    """After the takeover by a second worker."""
    await _take_over(redis, queue)
    survivor = party.work(queue, nothing, concurrency=2, pod=f"survivor of {instant}")
    key = f"bull:{queue.name}:"

    async def over() -> bool:
        return await redis.zcard(key + "completed") == JOBS and not await redis.exists(key + "active", key + "wait")

    await wait_until(over, 15, what=f"all jobs completed after a death at {instant}")
    begun = set(victim.started)
    for number in range(1, JOBS + 1):
        stalls = int(await redis.hget(f"{key}{number}", "stalledCounter") or 0)
        assert stalls <= 1, f"job {number} after a death at {instant}"
        assert not stalls or str(number) in begun, (
            f"job {number} had not begun when its worker died at {instant}, and yet a stall was counted"
        )
    left = [name async for name in redis.scan_iter(match=f"{key}*:lock")]
    assert not left, f"locks left after a death at {instant}: {left}"
    assert not survivor.seen.given_up
    await survivor.stop()


async def test_the_chores_of_a_killed_worker_are_taken_over_by_themselves(party: Party, new_worker: NewWorker, redis: Redis):
    """Nothing helps this time: another worker finds the office empty, and recovers the job, within 20 seconds."""
    queue = party.queue("mail")
    await queue.add({})
    victim = await new_worker("mail", "slow", seconds=60)
    await victim.saw("start")
    await wait_until(lambda: redis.exists("kayan:chore:bull:mail:caretaker"))
    survivor = party.work(queue, nothing)
    victim.kill()

    await survivor.has_started(1, timeout=25)

    assert survivor.seen.stalled == ["1"]


async def test_a_job_that_kills_the_process_at_its_first_step_is_not_forgiven_for_ever(party: Party, new_worker: NewWorker, redis: Redis):
    """A job forgiven without end would go round for ever: the second such death counts."""
    queue = party.queue("mail")
    await queue.add({})
    for _ in range(6):
        victim = await new_worker("mail", die=["answered", "settle", 1])
        await victim.ended()
        await _take_over(redis, queue)
        if await redis.zcard("bull:mail:failed"):
            break
        watcher = party.work(queue, nothing)
        watcher.consumer.pause_locally()
        await wait_until(lambda: _settled(redis), 15)
        await watcher.stop()

    assert await redis.hget("bull:mail:1", "failedReason") == "job stalled more than allowable limit"


async def _settled(redis: Redis) -> bool:
    return bool(await redis.llen("bull:mail:wait") or await redis.zcard("bull:mail:failed"))


async def test_a_killed_batch_runs_again_whole(party: Party, new_worker: NewWorker, redis: Redis):
    """A worker with ten jobs in hand: all ten run again."""
    queue = party.queue("mail")
    await queue.add_bulk([BulkJob({"n": n}) for n in range(10)])
    victim = await new_worker("mail", "slow", seconds=60, concurrency=10)
    await victim.saw("start", count=10)
    victim.kill()
    await victim.ended()
    await _take_over(redis, queue)

    async def batch(jobs: list[ActiveJob]) -> list[None]:
        return [None] * len(jobs)

    survivor = party.work(queue, batch, batch=10)
    await survivor.has_started(10)

    assert sorted(survivor.started, key=int) == sorted(victim.started, key=int)
