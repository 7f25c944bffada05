"""Pausing and resuming across both sides. Wire document, section 9, scenario 26, and window W16."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from kayan_workers.bull.queue import BulkJob, Queue
from redis.asyncio import Redis
from waiting import wait_until
from wire.dump import dump
from wire.party import Party, Worker, finished, nothing
from wire.peer import NodePeer

Work = Callable[..., Worker]

SOONEST_UNTOLD_MS = 5_000
"""When an idle worker looks whether there is something to do although nobody woke it."""


async def test_a_pause_by_bull_stops_us_and_a_resume_by_us_wakes_bull(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 26: adds gather in ``paused``, nobody claims; on resume both work on, in order; both events are heard."""
    await node.open("mail", settings={"guardInterval": SOONEST_UNTOLD_MS, "drainDelay": SOONEST_UNTOLD_MS / 1000})
    await node.listen("mail", "global:paused", "global:resumed")
    worker = work(queue, nothing)
    await asyncio.sleep(0.3)
    await node.call("mail", "pause")
    ids = [(await queue.add({"n": n})).id if n % 2 else await node.add("mail", {"n": n}) for n in range(6)]
    await asyncio.sleep(0.5)

    assert worker.started == []
    assert await redis.lrange("bull:mail:paused", 0, -1) == ids[::-1]
    assert await dump_of_pause(redis) == {"meta-paused": "1", "meta": {"paused": "1"}}
    await worker.stop()
    await node.process("mail", "nothing")
    await asyncio.sleep(0.2)
    assert node.started() == []

    resumed_at = time.time() * 1000
    await queue.resume()

    starts = await node.saw("start", count=6)
    assert starts[0].at_ms - resumed_at < SOONEST_UNTOLD_MS / 2
    assert node.started() == ids
    assert await dump_of_pause(redis) == {}
    await node.saw("global:paused")
    await node.saw("global:resumed")
    assert len(node.args_of("global:paused")) == len(node.args_of("global:resumed")) == 1


async def dump_of_pause(redis: Redis) -> dict[str, object]:
    return {key: value for key, value in (await dump(redis, "mail")).items() if key.startswith("meta")}


async def test_a_pause_by_us_stops_bull_and_a_resume_by_bull_wakes_us(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 26, the reverse."""
    await node.open("mail")
    await node.listen("mail", "global:paused", "global:resumed")
    await node.process("mail", "nothing")
    await queue.pause()
    assert await queue.is_paused()
    jobs = await queue.add_bulk([BulkJob({"n": n}) for n in range(6)])
    await asyncio.sleep(0.3)
    assert node.started() == []
    await node.ask("close", queue="mail")
    await node.open("mail")

    worker = work(queue, nothing, guard_interval_ms=SOONEST_UNTOLD_MS)
    await asyncio.sleep(0.3)
    assert worker.started == []
    resumed_at = time.time() * 1000
    await node.call("mail", "resume")

    starts = await worker.has_started(6)
    assert starts[0].at_ms - resumed_at < SOONEST_UNTOLD_MS / 2
    assert worker.started == [job.id for job in jobs]
    assert not await queue.is_paused()
    await node.saw("global:paused")


async def test_a_pause_by_us_leaves_what_a_pause_by_bull_leaves(party: Party, node: NodePeer, redis: Redis):
    """Scenario 26: the same keys, while paused and after."""
    ours = party.queue("ours")
    await node.open("theirs")
    for _ in range(3):
        await ours.add({})
        await node.add("theirs", {})

    await ours.pause()
    await node.call("theirs", "pause")
    assert await dump(redis, "ours") == await dump(redis, "theirs")

    await ours.resume()
    await node.call("theirs", "resume")
    assert await dump(redis, "ours") == await dump(redis, "theirs")


@pytest.mark.parametrize("act", ["pause", "resume"])
async def test_with_both_lists_present_no_job_is_lost(queue: Queue, redis: Redis, act: str):
    """Scenario 26, last part, and window W16: Bull's RENAME would erase one of the lists. The older jobs run first."""
    await redis.rpush("bull:mail:wait", "4", "3")
    await redis.rpush("bull:mail:paused", "2", "1")
    if act == "resume":
        await redis.set("bull:mail:meta-paused", "1")

    await getattr(queue, act)()

    list_name = "paused" if act == "pause" else "wait"
    assert sorted(await redis.lrange(f"bull:mail:{list_name}", 0, -1)) == ["1", "2", "3", "4"]
    assert not await redis.exists("bull:mail:wait" if act == "pause" else "bull:mail:paused")


async def test_a_job_that_runs_while_the_queue_is_paused_completes(queue: Queue, work: Work, redis: Redis):
    """A pause stops claims, not handlers."""
    gate = asyncio.Event()

    async def handler(job: object) -> None:
        await gate.wait()

    await queue.add({})
    worker = work(queue, handler)
    await worker.has_started(1)
    await queue.pause()
    await queue.add({})
    gate.set()

    await finished(redis, "mail", 1)
    assert len(worker.started) == 1


async def test_a_local_pause_stops_this_worker_alone(party: Party, redis: Redis):
    """Nothing in Redis knows of it."""
    queue = party.queue("mail")
    paused, working = party.work(queue, nothing), party.work(queue, nothing, pod="other-pod")
    paused.consumer.pause_locally()
    await asyncio.sleep(0.1)
    await queue.add_bulk([BulkJob({}) for _ in range(10)])
    await finished(redis, "mail", 10)
    assert paused.started == []
    assert not await redis.exists("bull:mail:meta-paused", "bull:mail:paused")
    await working.stop()
    await queue.add_bulk([BulkJob({}) for _ in range(3)])

    paused.consumer.resume_locally()

    await paused.has_started(3)
    await wait_until(lambda: redis.zcard("bull:mail:completed"))
