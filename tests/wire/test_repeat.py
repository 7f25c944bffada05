"""Repeatable jobs that both sides schedule in turns. Wire document, section 9, scenarios 33 and 34, and window W20.

That both find the same slots, also when clocks change, is in test_cron.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from kayan_workers.bull.options import JobOptions, Repeat
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from waiting import wait_until
from wire.dump import dump
from wire.party import Party, Worker, finished, nothing
from wire.peer import NodePeer
from wire.worker_process import WorkerProcess

Work = Callable[..., Worker]
NewNode = Callable[[], Awaitable[NodePeer]]
NewWorker = Callable[..., Awaitable[WorkerProcess]]

TICK_ID = "repeat:e491fd22c5553cc835b9cd533c4edeb4:"
"""Name ``tick``, every 1000 ms: the wire document's appendix B."""


async def test_both_sides_keep_a_schedule_going_in_turns(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 33: every second, limit 5, consumed by turns: five runs, on the second, counted 1 to 5, under Bull's ids."""
    await node.open("mail")
    await queue.add({}, name="tick", options=JobOptions(repeat=Repeat(every_ms=1000, limit=5)))
    await node.process("mail", "nothing", name="tick")
    worker = work(queue, nothing)
    worker.consumer.pause_locally()
    for run in range(1, 6):
        await wait_until(lambda run=run: _completed(redis, run), 5)
        await node.call("mail", *(("pause", True, True) if run % 2 else ("resume", True)))
        (worker.consumer.resume_locally if run % 2 else worker.consumer.pause_locally)()
    await asyncio.sleep(1.5)

    jobs = await queue.jobs("completed", ascending=True)
    assert len(jobs) == 5
    assert {job.id[: len(TICK_ID)] for job in jobs} == {TICK_ID}
    slots = [int(job.id.removeprefix(TICK_ID)) for job in jobs]
    assert slots == [slots[0] + 1000 * n for n in range(5)]
    assert slots[0] % 1000 == 0
    assert [job.opts["repeat"]["count"] for job in jobs] == [1, 2, 3, 4, 5]
    assert [job.opts["prevMillis"] for job in jobs] == slots
    assert all(job.processed_on_ms is not None and 0 <= job.processed_on_ms - slot < 900 for job, slot in zip(jobs, slots, strict=True))
    assert worker.started
    assert node.started()
    assert not await redis.exists("bull:mail:delayed")


async def _completed(redis: Redis, count: int) -> bool:
    return await redis.zcard("bull:mail:completed") >= count


@pytest.mark.parametrize(
    "repeat",
    [
        {"every": 1000, "limit": 3},
        {"cron": "0 5 * * *"},
        {"cron": "*/2 * * * * *", "tz": "Europe/Berlin"},
        {"cron": "0 5 * * *", "tz": "Europe/Berlin", "endDate": "2030-01-01T00:00:00Z"},
        {"cron": "0 5 1 * *", "startDate": "2029-03-01T00:00:00Z", "tz": "America/New_York"},
        {"every": 3_600_000, "jobId": "own"},
    ],
)
async def test_a_schedule_of_ours_leaves_what_a_schedule_of_bulls_leaves(
    party: Party, node: NodePeer, redis: Redis, repeat: dict[str, Any]
):
    """Scenario 33: the member of ``repeat``, the pending iteration and every member of its options."""
    own_id = repeat.get("jobId")
    options = JobOptions(
        attempts=2,
        repeat=Repeat(
            cron=repeat.get("cron"),
            every_ms=repeat.get("every"),
            tz=repeat.get("tz"),
            limit=repeat.get("limit"),
            start_date=repeat.get("startDate"),
            end_date=repeat.get("endDate"),
            job_id=own_id,
        ),
    )
    await node.open("theirs")
    ours = party.queue("ours")
    for _ in range(3):  # once more when a slot has passed between the two adds
        await node.call("theirs", "add", "digest", {"a": 1}, {"attempts": 2, "repeat": repeat})
        await ours.add({"a": 1}, name="digest", options=options)
        if await redis.zrange("bull:ours:repeat", 0, -1, withscores=True) == await redis.zrange(
            "bull:theirs:repeat", 0, -1, withscores=True
        ):
            break
        await redis.flushdb()

    assert await redis.zrange("bull:ours:repeat", 0, -1, withscores=True) == await redis.zrange(
        "bull:theirs:repeat", 0, -1, withscores=True
    )
    assert await redis.zrange("bull:ours:delayed", 0, -1) == await redis.zrange("bull:theirs:delayed", 0, -1)
    assert await _without_delay(redis, "ours") == await _without_delay(redis, "theirs")
    [schedule] = await ours.repeatables()
    await node.open("ours")
    [theirs] = await node.call("ours", "getRepeatableJobs")
    assert (schedule.key, schedule.next_ms) == (theirs["key"], theirs["next"])


async def _without_delay(redis: Redis, queue: str) -> dict[str, Any]:
    """The dump, without how many ms the two adds were apart."""
    content = await dump(redis, queue)
    for value in content.values():
        if isinstance(value, dict) and "opts" in value:
            value.pop("delay")
            value["opts"].pop("delay")
    return content


async def test_the_chain_survives_the_death_of_either_side(queue: Queue, new_worker: NewWorker, new_node: NewNode, redis: Redis):
    """Scenario 33: each party is killed in the middle of a run; the other goes on with the schedule."""
    await queue.add({}, name="tick", options=JobOptions(repeat=Repeat(every_ms=500)))
    ours = await new_worker("mail", "slow", seconds=30)
    await ours.saw("start")
    ours.kill()
    node = await new_node()
    await node.open("mail")
    await node.process("mail", "hold", name="tick")
    await node.saw("start")
    await node.kill()
    worker = await new_worker("mail", "nothing")

    await worker.saw("completed", count=4, timeout=20)

    assert await redis.zcard("bull:mail:repeat") == 1
    assert await redis.zcard("bull:mail:delayed") == 1


async def test_a_chain_whose_pending_run_has_vanished_is_mended(queue: Queue, work: Work, redis: Redis):
    """Window W20: somebody cleaned the delayed set; in Bull the schedule would be dead for good."""
    await queue.add({"a": 1}, name="tick", options=JobOptions(repeat=Repeat(every_ms=1000)))
    [pending] = await redis.zrange("bull:mail:delayed", 0, -1)
    await redis.zrem("bull:mail:delayed", pending)
    await redis.delete(f"bull:mail:{pending}")

    worker = work(queue, nothing)
    starts = await worker.has_started(2, timeout=8)

    assert [start.data for start in starts] == [{"a": 1}] * 2


async def test_a_schedule_of_ours_ends_when_bull_removes_it(queue: Queue, node: NodePeer, redis: Redis):
    """Scenario 34: by options and by key, and it can be added again afterwards."""
    await node.open("mail")
    await queue.add({}, name="a", options=JobOptions(repeat=Repeat(every_ms=60_000)))
    await queue.add({}, name="b", options=JobOptions(repeat=Repeat(cron="0 5 * * *", tz="Europe/Berlin")))
    listed = {schedule["name"]: schedule for schedule in await node.call("mail", "getRepeatableJobs")}
    assert set(listed) == {"a", "b"}

    await node.call("mail", "removeRepeatable", "a", {"every": 60_000})
    await node.call("mail", "removeRepeatableByKey", listed["b"]["key"])

    assert not await redis.exists("bull:mail:repeat", "bull:mail:delayed")
    assert not [key async for key in redis.scan_iter(match="bull:mail:repeat:*")]
    await queue.add({}, name="a", options=JobOptions(repeat=Repeat(every_ms=60_000)))
    assert await redis.zcard("bull:mail:delayed") == 1


async def test_a_schedule_of_bulls_ends_when_we_remove_it(queue: Queue, node: NodePeer, redis: Redis):
    """Scenario 34, the reverse."""
    await node.open("mail")
    await node.call("mail", "add", "a", {}, {"repeat": {"every": 60_000}})
    await node.call("mail", "add", "b", {}, {"repeat": {"cron": "0 5 * * *", "tz": "Europe/Berlin"}})
    await node.call("mail", "add", "c", {}, {"repeat": {"every": 60_000}, "jobId": "own"})
    keys = {schedule.name: schedule.key for schedule in await queue.repeatables()}
    assert set(keys) == {"a", "b", "c"}

    assert await queue.remove_repeatable(Repeat(every_ms=60_000), name="a")
    assert await queue.remove_repeatable_by_key(keys["b"])
    assert await queue.remove_repeatable(Repeat(every_ms=60_000, job_id="own"), name="c")

    assert not await queue.remove_repeatable_by_key(keys["b"])
    assert not await redis.exists("bull:mail:repeat", "bull:mail:delayed")
    assert not [key async for key in redis.scan_iter(match="bull:mail:repeat:*")]
    await node.call("mail", "add", "a", {}, {"repeat": {"every": 60_000}})
    assert await redis.zcard("bull:mail:delayed") == 1


async def test_a_schedule_removed_while_it_runs_has_no_next_run(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """The next run is deleted; the one that has begun goes on (#1680 is Bull's race here)."""
    gate = asyncio.Event()

    async def handler(job: ActiveJob) -> None:
        await gate.wait()

    await node.open("mail")
    await node.call("mail", "add", "tick", {}, {"repeat": {"every": 500}})
    worker = work(queue, handler)
    await worker.has_started(1)
    await wait_until(lambda: redis.zcard("bull:mail:delayed"))
    await node.call("mail", "removeRepeatable", "tick", {"every": 500})
    gate.set()

    await finished(redis, "mail", 1)
    await asyncio.sleep(1.2)
    assert len(worker.started) == 1
    assert not await redis.exists("bull:mail:delayed", "bull:mail:repeat")
