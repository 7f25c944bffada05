"""Bull's per-minute metrics. Wire document, section 9, scenario 40."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from waiting import wait_until
from wire.party import Party, Worker, finished
from wire.peer import NodePeer

Work = Callable[..., Worker]

MINUTE_MS = 60_000


async def handler(job: ActiveJob) -> None:
    if job.data.get("bad"):
        raise ValueError("no")


async def test_both_sides_count_into_the_same_metrics(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 40: the count is the number of finishes of both, and both read the same."""
    await node.open("mail", metrics={"maxDataPoints": 60})
    worker = work(queue, handler, concurrency=5, metrics_minutes=60)
    await queue.add_bulk([BulkJob({"bad": n % 4 == 0}) for n in range(40)])
    await finished(redis, "mail", 40)
    await worker.stop()
    await node.process("mail", "nothing", concurrency=5)
    await queue.add_bulk([BulkJob({}) for _ in range(20)])
    await finished(redis, "mail", 60)
    await wait_until(lambda: _count_is(redis, "completed", 50))

    assert (await queue.metrics("completed")).count == 50
    assert (await queue.metrics("failed")).count == 10
    theirs = await node.call("mail", "getMetrics", "completed")
    assert int(theirs["meta"]["count"]) == 50


async def _count_is(redis: Redis, kind: str, count: int) -> bool:
    return await redis.hget(f"bull:mail:metrics:{kind}", "count") == str(count)


@pytest.mark.parametrize("kind", ["completed", "failed"])
@pytest.mark.parametrize("minutes_ago", [1, 3, 80])
async def test_the_minutes_between_two_jobs_are_filled_as_bull_fills_them(
    party: Party, node: NodePeer, redis: Redis, kind: Literal["completed", "failed"], minutes_ago: int
):
    """Scenario 40: per-minute deltas, zeros for the gap, cut to the size; the clock of the last job is set back."""
    await node.open("theirs", metrics={"maxDataPoints": 60})
    await node.process("theirs", "nothing" if kind == "completed" else "fail")
    party.work(party.queue("ours"), handler, metrics_minutes=60)
    for name in ("theirs", "ours"):
        queue = party.queue(name)
        for _ in range(2):
            await queue.add({"bad": kind == "failed"})
        await finished(redis, name, 2)
        await wait_until(lambda name=name: _counted(redis, name, kind, 2))
        earlier = int(await redis.hget(f"bull:{name}:metrics:{kind}", "prevTS") or 0) - minutes_ago * MINUTE_MS
        await redis.hset(f"bull:{name}:metrics:{kind}", mapping={"prevTS": str(earlier), "prevCount": "0"})
        await redis.delete(f"bull:{name}:metrics:{kind}:data")
        await queue.add({"bad": kind == "failed"})
        await wait_until(lambda name=name: _counted(redis, name, kind, 3))

    ours, theirs = [await redis.lrange(f"bull:{name}:metrics:{kind}:data", 0, -1) for name in ("ours", "theirs")]
    assert ours == theirs
    assert ours[-1] == "2"
    assert len(ours) == min(minutes_ago, 60)
    assert await redis.hget(f"bull:ours:metrics:{kind}", "prevCount") == await redis.hget(f"bull:theirs:metrics:{kind}", "prevCount")


async def _counted(redis: Redis, queue: str, kind: str, count: int) -> bool:
    return await redis.hget(f"bull:{queue}:metrics:{kind}", "count") == str(count)
