"""Everything a queue is for, in a few seconds: for tests that care where Redis is or what it is, and not about any one feature."""

from __future__ import annotations

import asyncio
from typing import Any

from kayan_workers.bull.options import Backoff, JobOptions, KeepJobs, Repeat
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from waiting import wait_until
from wire.party import Party, Worker, nothing
from wire.peer import NodePeer


async def everything_works(party: Party, queue: Queue) -> None:
    """A job's whole life, and an administrator's day, on whatever kind of Redis this is."""

    async def handler(job: ActiveJob) -> Any:
        job.progress(10)
        job.log("a row")
        if job.data.get("fails") and job.attempt == 1:
            raise ValueError("once")
        return job.data

    # locks that outlive whatever a busy machine does to this process: each job runs once
    worker = party.work(queue, handler, concurrency=3, lock_duration_ms=30_000, lock_renew_ms=15_000)
    waiting = asyncio.create_task(queue.finished((await queue.add({"n": 0})).id))
    await queue.add_bulk([BulkJob({"n": n}) for n in range(1, 50)])
    await queue.add({"fails": True}, options=JobOptions(attempts=2, backoff=Backoff(type="fixed", delay_ms=100)))
    await queue.add({}, options=JobOptions(delay_ms=300, priority=2))
    await queue.add({}, name="tick", options=JobOptions(repeat=Repeat(every_ms=500, limit=2)))
    assert await asyncio.wait_for(waiting, 10) == {"n": 0}
    await _settled(queue, worker, 54)
    counts = await queue.counts()
    assert (counts.failed, counts.waiting, counts.active) == (0, 0, 0)
    assert (await queue.logs("1")).rows == ["a row"]
    await wait_until(lambda: _workers(queue, 1))
    await queue.pause()
    job = await queue.add({})
    assert await queue.ids("paused") == [job.id]
    await queue.resume()
    await wait_until(lambda: completed(queue, 55))
    await worker.stop()
    await queue.obliterate(force=True)
    assert (await queue.counts()).completed == 0


async def shared_with_bull(party: Party, queue: Queue, node: NodePeer, redis: Redis) -> None:
    """Bull adds and we work, we add and Bull works: order, delay, retries, schedules, retention, cleaning, the end."""
    name = queue.name

    async def handler(job: ActiveJob) -> Any:
        if job.data.get("fails") and job.attempt == 1:
            raise ValueError("once")
        return job.data

    await node.open(name)
    await node.call(name, "pause")
    low = await node.add(name, {}, priority=5)
    middle = (await queue.add({}, options=JobOptions(priority=3))).id
    high = await node.add(name, {}, priority=1)
    await node.add(name, {"fails": True}, attempts=2, backoff=50)
    await node.add(name, {}, delay=200)
    await node.add(name, {}, name="tick", repeat={"every": 300, "limit": 2})
    worker = party.work(queue, handler)
    await queue.resume()
    await wait_until(lambda: completed(queue, 7))
    assert [job_id for job_id in worker.started if job_id in (low, middle, high)] == [high, middle, low]
    last = await queue.add({}, options=JobOptions(remove_on_complete=KeepJobs(count=2)))
    await wait_until(lambda: redis.zscore(queue.keys.completed, last.id))
    assert await node.call(name, "getCompletedCount") == 2
    await worker.stop()

    await node.process(name, "echo")
    job = await queue.add({"to": "ada"}, options=JobOptions(delay_ms=50))
    assert await queue.finished(job.id) == {"to": "ada"}
    assert len(await node.call(name, "clean", 0, "completed", 1)) == 1
    assert len(await queue.clean(0)) == 2
    await node.call(name, "obliterate", {"force": True})
    assert not await redis.keys(f"{queue.keys.base}*")


async def recovered_from(party: Party, queue: Queue, victim: NodePeer, redis: Redis) -> None:
    """``victim``, a Node worker, dies with a job in hand, and a worker of ours finishes it."""
    await victim.open(queue.name)
    job = await queue.add({})
    await victim.process(queue.name, "hold")
    await victim.saw("start")
    await victim.kill()

    worker = party.work(queue, nothing)
    await wait_until(lambda: completed(queue, 1))

    assert worker.seen.stalled == [job.id]
    assert await redis.hget(queue.keys.job(job.id), "stalledCounter") == "1"


async def completed(queue: Queue, count: int) -> bool:
    return (await queue.counts()).completed >= count


async def _workers(queue: Queue, count: int) -> bool:
    return len(await queue.workers()) == count


async def _settled(queue: Queue, worker: Worker, count: int) -> None:
    """Wait until ``count`` jobs are completed; what stood in the way goes into the message."""
    try:
        await wait_until(lambda: completed(queue, count), 15)
    except AssertionError as error:
        seen = worker.seen
        raise AssertionError(
            f"{await queue.counts()}; ids of those delayed: {await queue.ids('delayed')}, active: {await queue.ids('active')}; "
            f"retried {seen.retried}, lost {seen.lost}, stalled {seen.stalled}, handed back {seen.handed_back}, warned {seen.warnings}"
        ) from error
