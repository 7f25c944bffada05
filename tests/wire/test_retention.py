"""Which finished jobs stay. Wire document, section 9, scenarios 18, 19, 20, and windows W11 and W12."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from kayan_workers.bull.options import JobOptions, KeepJobs, Retention
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from waiting import wait_until
from wire.dump import dump
from wire.party import Party, Worker, finished, nothing
from wire.peer import NodePeer

Work = Callable[..., Worker]


async def refuse(job: ActiveJob) -> None:
    raise ValueError("no")


async def job_keys(redis: Redis, queue: str = "mail") -> set[str]:
    """The ids of all job hashes, and whatever else bears a job's name."""
    names = {key.removeprefix(f"bull:{queue}:") async for key in redis.scan_iter(match=f"bull:{queue}:*", count=1000)}
    return {name for name in names if name[0].isdigit()}


async def test_the_newest_hundred_completed_jobs_stay_whoever_completed_them(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 18: 250 jobs in turns of ten by Bull and by us; nothing of the others is left, no hash and no log."""

    async def handler(job: ActiveJob) -> None:
        job.log("a row")

    await node.open("mail")
    options = JobOptions(remove_on_complete=100)
    done = 0
    for turn in range(5):
        await queue.add_bulk([BulkJob({"n": n}, options=options) for n in range(50)])
        done += 50
        if turn % 2:
            await node.open("mail")
            await node.process("mail", "log", rows=["a row"])
        else:
            worker = work(queue, handler)
        await _newest_is(redis, str(done))
        if turn % 2:
            await node.ask("close", queue="mail")
        else:
            await worker.stop()

    kept = [str(number) for number in range(151, 251)]
    assert sorted(await redis.zrange("bull:mail:completed", 0, -1), key=int) == kept
    assert await job_keys(redis) == set(kept) | {f"{job_id}:logs" for job_id in kept}


async def _newest_is(redis: Redis, job_id: str) -> None:
    async def done() -> bool:
        return bool(await redis.zscore("bull:mail:completed", job_id)) and not await redis.llen("bull:mail:active")

    await wait_until(done, 15)


async def test_the_newest_five_hundred_failed_jobs_stay(queue: Queue, work: Work, redis: Redis):
    """Scenario 19, first part: 600 failures, each in a millisecond of its own: Bull orders those of one millisecond by id."""

    async def refuse_slowly(job: ActiveJob) -> None:
        await asyncio.sleep(0.002)
        raise ValueError("no")

    await queue.add_bulk([BulkJob({}, options=JobOptions(remove_on_fail=500)) for _ in range(600)])

    worker = work(queue, refuse_slowly)
    await worker.has_started(600, timeout=60)
    await finished(redis, "mail", 500)

    kept = {str(number) for number in range(101, 601)}
    assert set(await redis.zrange("bull:mail:failed", 0, -1)) == kept
    assert await job_keys(redis) == kept


@pytest.mark.parametrize("side", ["ours", "theirs"])
async def test_age_and_count_together_keep_what_satisfies_both(party: Party, node: NodePeer, redis: Redis, side: str):
    """Scenario 19, second part: {age: 1, count: 5} on both sides gives the same set."""
    queue = party.queue(side)
    keep = JobOptions(remove_on_fail=KeepJobs(age_seconds=1, count=5))
    await node.open(side)
    if side == "theirs":
        await node.process(side, "fail")
    else:
        party.work(queue, refuse)

    await queue.add_bulk([BulkJob({}, options=keep) for _ in range(8)])
    await _failed_are(redis, side, {"4", "5", "6", "7", "8"})
    await asyncio.sleep(1.1)
    await queue.add({}, options=keep)

    await _failed_are(redis, side, {"9"})
    assert await job_keys(redis, side) == {"9"}


async def _failed_are(redis: Redis, queue: str, ids: set[str]) -> None:
    async def same() -> bool:
        return set(await redis.zrange(f"bull:{queue}:failed", 0, -1)) == ids

    await wait_until(same)


POLICIES: list[Any] = [True, False, 0, 1, 3, {"count": 2}, {"count": 0}, {"age": 3600}, {"age": 3600, "count": 1}, "100", 2.0]


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("fate", ["completed", "failed"])
async def test_every_policy_keeps_what_bull_keeps(party: Party, node: NodePeer, redis: Redis, policy: Any, fate: str):
    """Scenario 19, third part: the same policies, written by Bull's producer, applied by each side."""
    name = "removeOnComplete" if fate == "completed" else "removeOnFail"
    for queue in ("theirs", "ours"):
        await node.open(queue)
        await node.call(queue, "addBulk", [{"data": {}, "opts": {}}, *[{"data": {}, "opts": {name: policy}} for _ in range(4)]])
    await node.process("theirs", "nothing" if fate == "completed" else "fail", message="no")
    party.work(party.queue("ours"), nothing if fate == "completed" else refuse)
    for queue in ("theirs", "ours"):
        await _drained(redis, queue)

    assert await dump(redis, "ours") == await dump(redis, "theirs")


async def _drained(redis: Redis, queue: str) -> None:
    async def empty() -> bool:
        return not await redis.exists(f"bull:{queue}:wait", f"bull:{queue}:active")

    await wait_until(empty)


@pytest.mark.parametrize("policy", [True, 0, 500])
async def test_our_stalled_pass_forgets_one_job_and_never_the_whole_set(queue: Queue, work: Work, redis: Redis, policy: Retention):
    """Scenario 19, last part, and window W12: in Bull, ``removeOnFail: 0`` in a stalled job wipes every failed job."""
    for number in range(5):
        await redis.hset(f"bull:mail:old-{number}", mapping={"name": "x", "data": "{}", "opts": "{}", "timestamp": "1"})
        await redis.zadd("bull:mail:failed", {f"old-{number}": 1_795_000_000_000 + number})
    job = await queue.add({})
    opts = {"attempts": 1, "delay": 0, "timestamp": 1, "removeOnFail": policy}
    await redis.hset(f"bull:mail:{job.id}", mapping={"opts": json.dumps(opts), "stalledCounter": "1"})
    await redis.rpoplpush("bull:mail:wait", "bull:mail:active")

    worker = work(queue, nothing)
    await _until_given_up(worker)

    assert worker.seen.given_up == [job.id]
    kept = {f"old-{number}" for number in range(5)} | ({job.id} if policy == 500 else set())
    assert set(await redis.zrange("bull:mail:failed", 0, -1)) == kept
    assert await redis.exists(*[f"bull:mail:old-{number}" for number in range(5)]) == 5
    assert await redis.exists(f"bull:mail:{job.id}") == (1 if policy == 500 else 0)


async def _until_given_up(worker: Worker) -> None:
    await wait_until(lambda: worker.seen.given_up)


@pytest.mark.parametrize("name", ["removeOnComplete", "removeOnFail"])
async def test_a_null_policy_of_a_foreign_producer_means_keep(queue: Queue, work: Work, redis: Redis, name: str):
    """Scenario 20 and window W11: Bull's script fails half-way and the job ends up in no list at all."""
    job = await queue.add({})
    await redis.hset(f"bull:mail:{job.id}", "opts", json.dumps({"attempts": 1, "delay": 0, "timestamp": 1, name: None}))

    work(queue, nothing if name == "removeOnComplete" else refuse)
    await finished(redis, "mail", 1)

    assert await redis.zscore(f"bull:mail:{'completed' if name == 'removeOnComplete' else 'failed'}", job.id)
    assert await redis.exists(f"bull:mail:{job.id}")


async def test_our_producer_never_writes_what_breaks_bull(queue: Queue, redis: Redis):
    """Windows W11 and W12 seen from the producer: no null, and ``true`` instead of 0."""
    job = await queue.add({}, options=JobOptions(remove_on_complete=0, remove_on_fail=KeepJobs(count=0)))

    opts = json.loads(await redis.hget(f"bull:mail:{job.id}", "opts") or "")

    assert (opts["removeOnComplete"], opts["removeOnFail"]) == (True, True)
    assert None not in opts.values()
