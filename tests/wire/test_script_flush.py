"""SCRIPT FLUSH under load. Wire document, section 9, scenario 38, and windows W9 and W10."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from wire.party import Worker, finished
from wire.peer import NodePeer

Work = Callable[..., Worker]


async def test_scripts_flushed_under_load_cost_us_nothing(queue: Queue, work: Work, redis: Redis):
    """Scenario 38: adds, bulks, claims, finishes, failures, progress and logs go on; each job runs as often as it should."""
    ran: Counter[str] = Counter()

    async def handler(job: ActiveJob) -> None:
        ran[job.id] += 1
        job.progress(job.attempt)
        job.log(f"attempt {job.attempt}")
        await asyncio.sleep(0.002)
        if job.data["n"] % 5 == 0 and job.attempt == 1:
            raise ValueError("once more")

    async def flusher() -> None:
        while True:
            await redis.script_flush()
            await asyncio.sleep(0.005)

    flushing = asyncio.create_task(flusher())
    worker = work(queue, handler, concurrency=8)
    options = JobOptions(attempts=2, backoff=20)
    for start in range(0, 600, 60):
        await queue.add_bulk([BulkJob({"n": n}, options=options) for n in range(start, start + 30)])
        await asyncio.gather(*(queue.add({"n": n}, options=options) for n in range(start + 30, start + 60)))
    await finished(redis, "mail", 600, timeout=30)
    flushing.cancel()

    assert await redis.zcard("bull:mail:completed") == 600
    assert Counter(ran.values()) == {1: 480, 2: 120}
    assert worker.seen.lost == []
    logs = [await redis.llen(f"bull:mail:{job_id}:logs") for job_id in ran]
    assert sum(logs) == 720


async def test_bull_loses_what_we_keep(queue: Queue, node: NodePeer, redis: Redis):
    """Scenario 38, the other side, for the record: Bull's addBulk on a live connection swallows NOSCRIPT and stores nothing."""
    await node.open("mail")
    await node.call("mail", "addBulk", [{"data": {"n": 1}}])
    await redis.script_flush()

    with_loss = await node.call("mail", "addBulk", [{"data": {"n": n}} for n in range(4)])
    ours = await queue.add_bulk([BulkJob({"n": n}) for n in range(4)])

    assert len(with_loss) == 4
    assert await redis.llen("bull:mail:wait") == 1 + len(ours)


@pytest.mark.parametrize("admin", ["pause", "resume", "counts", "empty", "retry_all_failed", "repeatables"])
async def test_an_administrators_call_survives_the_flush_before_it(queue: Queue, redis: Redis, admin: str):
    """Every script falls back to its text."""
    await queue.add({})
    await redis.script_flush()

    await getattr(queue, admin)()
