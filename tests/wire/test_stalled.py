"""Workers that die or freeze with a job in hand. Wire document, section 9, scenarios 21, 22, 24, 25, and windows W1, W6, W7, W17."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from waiting import wait_until
from wire.dump import job_hash
from wire.party import Worker, finished, nothing
from wire.peer import NodePeer
from wire.worker_process import WorkerProcess

Work = Callable[..., Worker]
NewNode = Callable[[], Awaitable[NodePeer]]
NewWorker = Callable[..., Awaitable[WorkerProcess]]


async def test_bull_finishes_the_job_of_a_worker_of_ours_that_was_killed(queue: Queue, new_worker: NewWorker, node: NodePeer, redis: Redis):
    """Scenario 21: kill -9 in the middle; Node's stalled pass puts the job back, counts one stall and tells everybody."""
    await node.open("mail")
    await node.listen("mail", "global:stalled")
    job = await queue.add({"to": "ada"})
    victim = await new_worker("mail", "slow", seconds=30)
    await victim.saw("start")
    victim.kill()

    await node.process("mail", "value", value="done")
    await finished(redis, "mail", 1)

    await node.saw("global:stalled")
    assert node.args_of("global:stalled") == [[job.id]]
    fields = await job_hash(redis, "mail", job.id)
    assert (fields["stalledCounter"], fields["returnvalue"]) == ("1", '"done"')
    assert await redis.zscore("bull:mail:completed", job.id)


async def test_we_finish_the_job_of_a_node_worker_that_was_killed(queue: Queue, work: Work, new_node: NewNode, redis: Redis):
    """Scenario 21, the reverse."""
    victim, listener = await new_node(), await new_node()
    for peer in (victim, listener):
        await peer.open("mail")
    await listener.listen("mail", "global:stalled")
    job = await queue.add({"to": "ada"})
    await victim.process("mail", "hold")
    await victim.saw("start")
    await victim.kill()

    worker = work(queue, nothing)
    await finished(redis, "mail", 1)

    assert worker.seen.stalled == [job.id]
    await listener.saw("global:stalled")
    assert listener.args_of("global:stalled") == [[job.id]]
    assert await redis.hget(f"bull:mail:{job.id}", "stalledCounter") == "1"


async def test_a_job_that_kills_two_workers_of_ours_is_failed_by_bull(queue: Queue, new_worker: NewWorker, node: NodePeer, redis: Redis):
    """Scenario 21, last part: the second death is one too many."""
    await node.open("mail")
    await node.listen("mail", "global:failed")
    job = await queue.add({}, options=JobOptions(attempts=5))
    first = await new_worker("mail", "suicide")
    assert await first.ended() == -9
    await node.process("mail", "nothing")  # for its stalled pass
    await node.call("mail", "pause", True)
    await wait_until(lambda: redis.llen("bull:mail:wait"), what="put back after the first death")
    second = await new_worker("mail", "suicide")
    assert await second.ended() == -9

    await node.saw("global:failed")

    await _given_up(redis, node, job.id)


async def test_a_job_that_kills_two_node_workers_is_failed_by_us(queue: Queue, work: Work, new_node: NewNode, redis: Redis):
    """Scenario 21, last part, the reverse: the exact reason, and the exact text of the event, which differs from it."""
    listener = await new_node()
    await listener.open("mail")
    await listener.listen("mail", "global:failed")
    job = await queue.add({}, options=JobOptions(attempts=5))
    worker = work(queue, nothing)
    worker.consumer.pause_locally()
    for death in range(1, 3):
        victim = await new_node()
        await victim.open("mail", settings={"stalledInterval": 0})
        await victim.process("mail", "hold")
        await victim.saw("start")
        await victim.kill()
        if death == 1:
            await wait_until(lambda: worker.seen.stalled, what="put back after the first death")

    await listener.saw("global:failed")

    assert worker.seen.given_up == [job.id]
    await _given_up(redis, listener, job.id)


async def _given_up(redis: Redis, listener: NodePeer, job_id: str) -> None:
    await listener.saw("global:failed")
    assert listener.args_of("global:failed") == [[job_id, "job stalled more than maxStalledCount", "active"]]
    fields = await redis.hgetall(f"bull:mail:{job_id}")
    assert (fields["failedReason"], fields["stalledCounter"]) == ("job stalled more than allowable limit", "2")
    assert "finishedOn" in fields
    assert await redis.zscore("bull:mail:failed", job_id)
    assert not await redis.exists("bull:mail:wait", "bull:mail:active")


async def test_a_worker_killed_while_it_watches_costs_nothing(queue: Queue, new_worker: NewWorker, node: NodePeer, redis: Redis):
    """Scenario 22 and window W1: it had seen the job and not claimed it; the job waits still, and no stall is counted."""
    victim = await new_worker("mail", "nothing", die=["before", "settle", 2])
    await victim.saw("ready")
    await asyncio.sleep(0.5)
    assert not victim.is_over
    job = await queue.add({})
    assert await victim.ended() == -9

    assert await redis.lrange("bull:mail:wait", 0, -1) == [job.id]
    assert not await redis.exists("bull:mail:active")
    await node.open("mail")
    await node.process("mail", "nothing")
    await finished(redis, "mail", 1)
    assert await redis.hget(f"bull:mail:{job.id}", "stalledCounter") is None


@pytest.mark.parametrize("handler", ["block", "thread"])
async def test_a_handler_that_blocks_three_lock_durations_keeps_its_job(queue: Queue, new_worker: NewWorker, node: NodePeer, handler: str):
    """Scenario 24, first half, and window W6: the lock is renewed from a thread that a blocked loop cannot starve."""
    await node.open("mail")
    await queue.add({})
    worker = await new_worker("mail", handler, seconds=3)
    await worker.saw("start")
    await node.process("mail", "nothing")

    await worker.saw("completed")

    assert node.started() == []


async def test_a_worker_that_stood_still_writes_nothing_about_a_job_it_has_lost(
    queue: Queue,
    new_worker: NewWorker,
    node: NodePeer,
    redis: Redis,
):
    """Scenario 24, second half: frozen, renewal and all; Node runs the job again and completes it, and our late end changes nothing."""
    await node.open("mail")
    job = await queue.add({})
    worker = await new_worker("mail", "slow", seconds=0.5)
    await worker.saw("start")
    worker.freeze()
    await node.process("mail", "value", value="by node")
    await finished(redis, "mail", 1, timeout=20)
    before = await redis.hgetall(f"bull:mail:{job.id}")

    worker.thaw()
    await worker.saw("lost")

    assert await redis.hgetall(f"bull:mail:{job.id}") == before
    assert before["returnvalue"] == '"by node"'
    assert "failedReason" not in before
    assert worker.args_of("completed") == []


async def test_a_job_we_lost_to_another_worker_that_still_runs_it_is_left_to_it(
    queue: Queue,
    new_worker: NewWorker,
    node: NodePeer,
    redis: Redis,
):
    """Scenario 24 again, with the other worker still at work when we wake: its lock and its active entry stay."""
    await node.open("mail")
    job = await queue.add({})
    worker = await new_worker("mail", "slow", seconds=0.3)
    await worker.saw("start")
    worker.freeze()
    await node.process("mail", "hold", value="by node")
    await node.saw("start", timeout=20)
    token = await redis.get(f"bull:mail:{job.id}:lock")

    worker.thaw()
    await worker.saw("lost")

    assert await redis.get(f"bull:mail:{job.id}:lock") == token
    assert await redis.lrange("bull:mail:active", 0, -1) == [job.id]
    await node.ask("open_gate")
    await finished(redis, "mail", 1)
    assert await redis.hget(f"bull:mail:{job.id}", "returnvalue") == '"by node"'


async def test_our_completion_survives_bulls_late_report(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 25 and window W7: a blocked Node worker loses its job to us and reports late.

    Bull takes the refusal for a failure of the job and writes attemptsMade, failedReason and a stack trace into the hash, without a lock
    test; nothing on our side can prevent that. The completion itself stays.
    """
    await node.open("mail")
    job = await queue.add({})
    await node.process("mail", "block", ms=4000, value="by node")
    await node.saw("start")

    async def handler(job: ActiveJob) -> str:
        return "by us"

    work(queue, handler)
    await finished(redis, "mail", 1, timeout=20)
    await node.saw("end", timeout=20)
    await wait_until(lambda: redis.hexists(f"bull:mail:{job.id}", "attemptsMade"))

    assert await redis.zscore("bull:mail:completed", job.id)
    assert not await redis.zscore("bull:mail:failed", job.id)
    fields = await redis.hgetall(f"bull:mail:{job.id}")
    assert (fields["returnvalue"], fields["attemptsMade"]) == ('"by us"', "1")


async def test_a_slow_job_is_renewed_and_never_called_stalled(queue: Queue, work: Work, new_node: NewNode):
    """Two passes of each side go by while it runs."""

    async def handler(job: ActiveJob) -> None:
        await asyncio.sleep(3)

    node = await new_node()
    await node.open("mail")
    await node.listen("mail", "global:stalled")
    await queue.add({})
    worker = work(queue, handler)
    await worker.has_started(1)
    await node.process("mail", "nothing")

    await wait_until(lambda: worker.seen.completed, 10)

    assert node.args_of("global:stalled") == []
    assert worker.seen.stalled == []
    assert node.started() == []


async def test_a_recovered_job_starts_again_soon_after_its_lock_has_expired(queue: Queue, work: Work, new_worker: NewWorker, redis: Redis):
    """How long recovery takes with one survivor of ours that was there before: lock, then at most two passes."""
    survivor = work(queue, nothing)
    survivor.consumer.pause_locally()
    await asyncio.sleep(0.3)
    victim = await new_worker("mail", "slow", seconds=30)
    await queue.add({})
    await victim.saw("start")
    survivor.consumer.resume_locally()
    victim.kill()
    killed_at = time.monotonic()

    await survivor.has_started(1)

    assert time.monotonic() - killed_at < 10
