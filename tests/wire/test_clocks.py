"""Clocks that disagree: every time stamp on the wire is its writer's. A wrong clock costs time and nothing else."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import pytest
from kayan_workers.bull.options import JobOptions, Repeat
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.server import Server
from redis.asyncio import Redis
from waiting import wait_until
from wire.party import Party, Worker, finished, nothing
from wire.worker_process import WorkerProcess

Work = Callable[..., Worker]
NewWorker = Callable[..., Awaitable[WorkerProcess]]


@pytest.mark.parametrize("skew_ms", [-30_000, -2_000, 2_000])
async def test_a_job_of_a_producer_whose_clock_is_wrong_starts_when_its_stamp_says_so(queue: Queue, work: Work, skew_ms: int):
    """Late by as much as the producer is ahead, at once when it is behind; a job without a delay starts at once in any case."""
    stamp = int(time.time() * 1000) + skew_ms
    worker = work(queue, nothing, concurrency=2)
    plain = await queue.add({}, options=JobOptions(timestamp_ms=stamp))
    delayed = await queue.add({}, options=JobOptions(timestamp_ms=stamp, delay_ms=500))

    starts = {start.job_id: start for start in await worker.has_started(2)}

    assert worker.started[0] == plain.id
    assert starts[delayed.id].at_ms >= stamp + 500
    assert worker.seen.warnings == []


@pytest.mark.parametrize("skews", [(-30_000, 2_000), (-2_000, 2_000), (2_000, -30_000)])
async def test_two_workers_whose_clocks_disagree_run_every_job_once_and_lose_none(
    party: Party, new_worker: NewWorker, redis: Redis, skews: tuple[int, int]
):
    """Plain, delayed and failing jobs: two attempts each, three for none, no stall, nothing left over. Whichever was there first."""
    queue = party.queue("mail")
    for number, skew_ms in enumerate(skews):
        await new_worker("mail", "flaky", concurrency=3, skew_ms=skew_ms, pod=f"clock-{number}")
    twice = {"attempts": 2, "backoff": 100}
    options = [JobOptions(**twice), JobOptions(delay_ms=300, **twice), JobOptions(priority=1, **twice)]
    await queue.add_bulk([BulkJob({"n": n}, options=options[n % 3]) for n in range(60)])

    # A worker that is behind promotes what is due by its own clock; one that claims promotes by its own. A trickle keeps both at it.
    async def all_done() -> bool:
        await queue.add({}, options=JobOptions(remove_on_complete=True, **twice))
        return await redis.zcard("bull:mail:completed") == 60

    await wait_until(all_done, 30)

    effects = await redis.hgetall("effects:mail")
    assert [effects[str(number)] for number in range(1, 61)] == ["2"] * 60
    jobs = [await redis.hgetall(f"bull:mail:{number}") for number in range(1, 61)]
    assert {job["attemptsMade"] for job in jobs} == {"1"}
    assert not any("stalledCounter" in job for job in jobs)
    assert not await redis.zcard("bull:mail:failed")


async def test_a_worker_keeps_its_job_whatever_its_clock_says_and_another_recovers_it_when_it_dies(
    party: Party, new_worker: NewWorker, redis: Redis
):
    """Locks and stalled passes live by the clock of Redis. Three lock durations go by before the worker is killed."""
    queue = party.queue("mail")
    await queue.add({})
    holder = await new_worker("mail", "slow", seconds=60, skew_ms=-30_000, pod="holder")
    await holder.saw("start")
    other = await new_worker("mail", "nothing", skew_ms=2_000, pod="other")
    await other.saw("ready")
    token = await redis.get("bull:mail:1:lock")
    seen_at = time.monotonic()

    async def three_locks_later() -> bool:
        assert await redis.get("bull:mail:1:lock") == token
        return time.monotonic() - seen_at > 3

    await wait_until(three_locks_later)
    assert other.started == []
    holder.kill()
    await holder.ended()
    await redis.delete("kayan:chore:bull:mail:caretaker")  # it lapses by itself; the test need not wait for that

    await finished(redis, "mail", 1, timeout=25)

    assert other.started == ["1"]
    assert await redis.hget("bull:mail:1", "stalledCounter") == "1"


async def test_a_schedule_is_kept_by_workers_whose_clocks_disagree(party: Party, new_worker: NewWorker, redis: Redis):
    """Each slot is run once, and the limit ends it."""
    queue = party.queue("mail")
    for skew_ms in (2_000, -2_000):
        await new_worker("mail", "nothing", skew_ms=skew_ms)
    await queue.add({}, name="tick", options=JobOptions(repeat=Repeat(every_ms=500, limit=5)))

    await finished(redis, "mail", 5, timeout=20)

    done = await redis.zrange("bull:mail:completed", 0, -1)
    slots = sorted(int(job_id.rsplit(":", 1)[1]) for job_id in done)
    assert len(slots) == len(set(slots)) == 5
    assert all(slot % 500 == 0 for slot in slots)
    assert set((await redis.hgetall("effects:mail")).values()) == {"1"}
    assert not await redis.exists("bull:mail:delayed", "bull:mail:wait", "bull:mail:active")


@pytest.mark.parametrize(
    ("skew_ms", "said"),
    [(-30_000, "is 30 s behind that of Redis"), (30_000, "is 30 s ahead of that of Redis"), (500, None)],
)
async def test_a_clock_that_differs_from_that_of_redis_gets_a_warning_that_says_what_it_costs(
    party: Party, monkeypatch: pytest.MonkeyPatch, skew_ms: int, said: str | None
):
    """Half a second is nothing; thirty are worth a word at the start."""
    right = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: right() + skew_ms * 1_000_000)
    server: Server = party.server

    warnings = await server.examine()

    assert (said in warnings[0] and "delayed jobs" in warnings[0]) if said else warnings == []
