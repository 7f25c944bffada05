"""Delayed jobs: who added them, who promotes them, and when. Wire document, section 9, scenarios 10, 11, 12."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.queue import BulkJob, Queue
from redis.asyncio import Redis
from waiting import wait_until
from wire.party import Worker, finished, nothing
from wire.peer import NodePeer

Work = Callable[..., Worker]

LATEST_MS = 60
"""How late an idle worker may start a due job: 50 ms, and what one process needs to tell the test."""

ONE_AFTER_THE_OTHER = range(700, 1200, 100)
"""Delays of jobs, in ms. A worker that is late is late for each of them; a machine that stands still for a moment, for one or two."""


def now_ms() -> int:
    return int(time.time() * 1000)


def on_time(late_ms: Sequence[float]) -> bool:
    return min(late_ms) >= 0 and sorted(late_ms)[len(late_ms) // 2] <= LATEST_MS


async def test_bull_promotes_what_we_delayed(queue: Queue, node: NodePeer, redis: Redis):
    """Scenario 10: not before its time, at most 50 ms after it; the score is Bull's, and the delay becomes 0."""
    await node.open("mail")
    await node.process("mail", "nothing")
    timestamp = now_ms()
    due = {}
    for number, delay_ms in enumerate(ONE_AFTER_THE_OTHER, 1):
        job = await queue.add({}, options=JobOptions(delay_ms=delay_ms, timestamp_ms=timestamp))
        assert await redis.zscore("bull:mail:delayed", job.id) == (timestamp + delay_ms) * 4096 + number
        due[job.id] = timestamp + delay_ms

    starts = await node.saw("start", count=len(due))
    await finished(redis, "mail", len(due))

    late_ms = [start.at_ms - due[start.args[0]] for start in starts]
    assert on_time(late_ms), late_ms
    assert {await redis.hget(f"bull:mail:{job_id}", "delay") for job_id in due} == {"0"}


async def test_we_promote_what_bull_delayed(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 10, the reverse."""
    await node.open("mail")
    worker = work(queue, nothing)
    await asyncio.sleep(0.3)
    timestamp = now_ms()
    due = {await node.add("mail", {}, delay=each, timestamp=timestamp): timestamp + each for each in ONE_AFTER_THE_OTHER}

    starts = await worker.has_started(len(due))
    await finished(redis, "mail", len(due))

    late_ms = [start.at_ms - due[start.job_id] for start in starts]
    assert on_time(late_ms), late_ms
    assert {await redis.hget(f"bull:mail:{job_id}", "delay") for job_id in due} == {"0"}


async def test_jobs_due_in_the_same_millisecond_keep_their_order(queue: Queue, work: Work, node: NodePeer):
    """Scenario 11: fifty of them, added by both sides in turn."""
    await node.open("mail")
    timestamp = now_ms()
    ids = []
    for number in range(50):
        if number % 2:
            ids.append(await node.add("mail", {}, delay=1000, timestamp=timestamp))
        else:
            ids.append((await queue.add({}, options=JobOptions(delay_ms=1000, timestamp_ms=timestamp))).id)

    worker = work(queue, nothing)
    await worker.has_started(50)

    assert worker.started == ids


async def test_bull_wakes_for_a_job_that_is_due_before_the_one_it_waits_for(queue: Queue, node: NodePeer):
    """Scenario 12: our message on the ``delayed`` channel re-arms Node's timer."""
    await node.open("mail", settings={"guardInterval": 30_000})
    await node.process("mail", "nothing")
    await queue.add({}, options=JobOptions(delay_ms=20_000))
    await asyncio.sleep(0.1)
    timestamp = now_ms()
    due = {}
    for delay_ms in reversed(ONE_AFTER_THE_OTHER):
        early = await queue.add({}, options=JobOptions(delay_ms=delay_ms, timestamp_ms=timestamp))
        due[early.id] = timestamp + delay_ms

    starts = await node.saw("start", count=len(due))

    late_ms = [start.at_ms - due[start.args[0]] for start in starts]
    assert on_time(late_ms), late_ms


async def test_we_wake_for_a_job_that_is_due_before_the_one_we_wait_for(queue: Queue, work: Work, node: NodePeer):
    """Scenario 12, the reverse: with a long guard interval it is not the polling that finds it."""
    await node.open("mail")
    worker = work(queue, nothing, guard_interval_ms=30_000)
    await node.add("mail", {}, delay=20_000)
    await asyncio.sleep(0.3)
    timestamp = now_ms()
    due = {
        await node.add("mail", {}, delay=delay_ms, timestamp=timestamp): timestamp + delay_ms
        for delay_ms in reversed(ONE_AFTER_THE_OTHER)
    }

    starts = await worker.has_started(len(due))

    late_ms = [start.at_ms - due[start.job_id] for start in starts]
    assert on_time(late_ms), late_ms


async def test_due_jobs_go_into_the_paused_list_of_a_paused_queue(queue: Queue, work: Work, redis: Redis):
    """Promotion respects the pause (wire 3.7)."""
    await queue.pause()
    worker = work(queue, nothing)
    job = await queue.add({}, options=JobOptions(delay_ms=200))

    await wait_until(lambda: redis.llen("bull:mail:paused"), what="promoted into paused")

    assert await redis.lrange("bull:mail:paused", 0, -1) == [job.id]
    assert worker.started == []
    await queue.resume()
    await worker.has_started(1)


async def test_many_due_jobs_are_promoted_together_with_their_priorities(queue: Queue, work: Work):
    """Two thousand jobs become due at once: all run, the prioritised ones first."""
    timestamp = now_ms()
    options = JobOptions(delay_ms=800, timestamp_ms=timestamp)
    await queue.add_bulk([BulkJob({"n": n}, options=options) for n in range(2000)])
    urgent = await queue.add({}, options=JobOptions(delay_ms=700, timestamp_ms=timestamp, priority=1))

    worker = work(queue, nothing, concurrency=20)
    await worker.has_started(2001, timeout=20)

    assert len(set(worker.started)) == 2001
    assert worker.started[0] == urgent.id


@pytest.mark.parametrize("due_in_ms", [-5000, 0, 1])
async def test_a_delay_that_is_over_before_it_begins_runs_at_once(queue: Queue, work: Work, due_in_ms: int):
    """A timestamp in the past, no delay, hardly any delay."""
    worker = work(queue, nothing)
    await queue.add({}, options=JobOptions(delay_ms=max(0, due_in_ms) or None, timestamp_ms=now_ms() + min(0, due_in_ms)))

    await worker.has_started(1, timeout=3)
