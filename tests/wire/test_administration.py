"""What administrators do, on jobs of the other side: the key space afterwards is Bull's own. Scenario 35, windows W19, W26, W27."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from kayan_workers.bull.errors import JobIsLocked, NoSuchJob, QueueIsBusy, WrongState
from kayan_workers.bull.options import Debounce, JobOptions, Repeat
from kayan_workers.bull.queue import BulkJob, Queue
from redis.asyncio import Redis
from waiting import wait_until
from wire.dump import dump
from wire.party import Party, Worker, finished, nothing
from wire.peer import NodePeer, PeerError

Work = Callable[..., Worker]


async def furnish(node: NodePeer, redis: Redis, *queues: str) -> None:
    """Give each queue the same jobs, made and failed by Bull: two failed, one completed, two delayed, three waiting."""
    await asyncio.gather(*(_furnish(node, redis, queue) for queue in queues))


async def _furnish(node: NodePeer, redis: Redis, queue: str) -> None:
    await node.open(queue)
    await node.process(queue, "fail", name="bad", message="smtp 550")
    await node.process(queue, "log", name="good", rows=["a row"], value="ok")
    for name in ("bad", "bad", "good"):
        await node.add(queue, {"n": name}, name=name, attempts=1)
    await finished(redis, queue, 3)
    await node.ask("close", queue=queue)
    await node.open(queue)
    await node.add(queue, {}, delay=600_000)
    await node.add(queue, {}, delay=600_000, priority=2)
    await node.add(queue, {})
    await node.add(queue, {}, priority=3)
    await node.add(queue, {}, jobId="custom")


ACTS: dict[str, tuple[list[Any], Callable[[Queue], Any]]] = {
    "retry a failed job": (["job", "1", "retry"], lambda queue: queue.retry("1")),
    "retry all failed jobs": (["call", "retryJobs"], lambda queue: queue.retry_all_failed()),
    "promote a delayed job": (["job", "4", "promote"], lambda queue: queue.promote("4")),
    "promote a prioritised job": (["job", "5", "promote"], lambda queue: queue.promote("5")),
    "remove a waiting job": (["job", "7", "remove"], lambda queue: queue.remove("7")),
    "remove a completed job": (["job", "3", "remove"], lambda queue: queue.remove("3")),
    "remove a delayed job": (["job", "4", "remove"], lambda queue: queue.remove("4")),
    "remove by pattern": (["call", "removeJobs", "cust*"], lambda queue: queue.remove_matching("cust*")),
    "clean completed jobs": (["call", "clean", 0, "completed"], lambda queue: queue.clean(0, "completed")),
    "clean failed jobs with a limit": (["call", "clean", 0, "failed", 1], lambda queue: queue.clean(0, "failed", 1)),
    "clean waiting jobs": (["call", "clean", 0, "wait"], lambda queue: queue.clean(0, "waiting")),
    "clean delayed jobs": (["call", "clean", 0, "delayed"], lambda queue: queue.clean(0, "delayed")),
    "clean within the grace": (["call", "clean", 3_600_000, "completed"], lambda queue: queue.clean(3_600_000, "completed")),
    "update data": (["job", "6", "update", {"new": "ü"}], lambda queue: queue.update_data("6", {"new": "ü"})),
    "log": (["job", "6", "log", "a row"], lambda queue: queue.log("6", "a row")),
    "progress": (["job", "6", "progress", {"pct": 5}], lambda queue: queue.update_progress("6", {"pct": 5})),
    "obliterate": (["call", "obliterate"], lambda queue: queue.obliterate()),
}


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.replace(" ", "_"))
async def test_an_act_of_ours_on_bulls_jobs_leaves_what_bulls_own_leaves(party: Party, node: NodePeer, redis: Redis, act: str):
    """Scenario 35: two queues with the same history; on one Bull acts, on the other we do."""
    await furnish(node, redis, "theirs", "ours")
    (kind, *arguments), ours = ACTS[act]
    await asyncio.sleep(0.01)

    await getattr(node, kind)("theirs", *arguments)
    await ours(party.queue("ours"))

    assert await dump(redis, "ours") == await dump(redis, "theirs")


async def test_bull_acts_on_our_jobs(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 35, the reverse: retry, promote, remove, clean and obliterate by Bull of jobs that we made and failed."""

    async def handler(job: Any) -> None:
        if job.data.get("bad"):
            raise ValueError("no")

    await queue.add_bulk([BulkJob({"bad": True}), BulkJob({"bad": True}), BulkJob({})])
    worker = work(queue, handler)
    await finished(redis, "mail", 3)
    await worker.stop()
    delayed = await queue.add({}, options=JobOptions(delay_ms=600_000))
    waiting = await queue.add({})
    await node.open("mail")

    await node.job("mail", "1", "retry")
    await node.job("mail", delayed.id, "promote")
    await node.job("mail", waiting.id, "remove")
    assert await redis.lrange("bull:mail:wait", 0, -1) == [delayed.id, "1"]
    assert await redis.hget("bull:mail:1", "failedReason") is None
    await asyncio.sleep(0.01)
    assert [str(each) for each in await node.call("mail", "clean", 0, "failed")] == ["2"]
    assert [str(each) for each in await node.call("mail", "clean", 0)] == ["3"]
    await node.call("mail", "obliterate")
    assert await dump(redis, "mail") == {}


async def test_counts_lists_and_states_are_bulls(party: Party, node: NodePeer, redis: Redis):
    """What both sides say about the same queue."""
    await furnish(node, redis, "mail")
    queue = party.queue("mail")
    counts = await queue.counts()
    theirs = await node.call("mail", "getJobCounts")

    assert {state: getattr(counts, state) for state in ("waiting", "active", "completed", "failed", "delayed")} == {
        state: theirs[state] for state in ("waiting", "active", "completed", "failed", "delayed")
    }
    for ours, theirs_name in (("waiting", "Waiting"), ("completed", "Completed"), ("failed", "Failed"), ("delayed", "Delayed")):
        for window in ((0, -1), (0, 1), (1, 2)):
            jobs = await queue.jobs(ours, *window)  # type: ignore[arg-type]
            assert [job.id for job in jobs] == [str(job["id"]) for job in await node.call("mail", f"get{theirs_name}", *window)], (
                ours,
                window,
            )
    for job_id in ("1", "3", "4", "6", "custom"):
        assert await queue.state_of(job_id) == await node.job("mail", job_id, "getState")
    assert await queue.state_of("nobody") is None


async def test_a_wrong_act_says_so_and_changes_nothing(queue: Queue, work: Work, redis: Redis):
    """Window W26: Bull wipes the clocks of a completed job when it is retried."""
    completed = await queue.add({})
    worker = work(queue, nothing)
    await finished(redis, "mail", 1)
    await worker.stop()
    before = await dump(redis, "mail")

    with pytest.raises(WrongState):
        await queue.retry(completed.id)
    with pytest.raises(WrongState):
        await queue.promote(completed.id)
    for act in (queue.retry, queue.remove):
        with pytest.raises(NoSuchJob):
            await act("nobody")

    assert await dump(redis, "mail") == before


async def test_a_job_that_a_worker_holds_is_not_pulled_away(queue: Queue, node: NodePeer, redis: Redis):
    """Bull's worker holds it: we cannot remove, clean, or obliterate it, unless we insist."""
    await node.open("mail")
    await node.process("mail", "hold")
    job = await queue.add({})
    await node.saw("start")

    with pytest.raises(JobIsLocked):
        await queue.remove(job.id)
    assert await queue.clean(0, "active") == []
    with pytest.raises(QueueIsBusy):
        await queue.obliterate()
    await queue.resume()
    await node.ask("open_gate")
    await finished(redis, "mail", 1)


async def test_empty_leaves_no_orphans_keeps_the_pause_and_the_schedules(queue: Queue, node: NodePeer, redis: Redis):
    """Window W19: Bull's empty un-pauses, leaks delayed hashes, logs and debounce ids, and ends schedules silently."""
    await node.open("mail")
    await queue.add({}, options=JobOptions(debounce=Debounce(id="digest")))
    await queue.add({}, options=JobOptions(delay_ms=600_000, priority=3))
    logged = await queue.add({})
    await queue.log(logged.id, "a row")
    await queue.add({}, name="tick", options=JobOptions(repeat=Repeat(every_ms=60_000)))
    await queue.pause()

    removed = await queue.empty()

    assert removed >= 3
    assert await queue.is_paused()
    assert await node.call("mail", "isPaused")
    left = await dump(redis, "mail")
    assert set(left) >= {"id", "meta", "meta-paused", "repeat", "delayed"}
    assert not [key for key in left if key.startswith("de:") or key.endswith(":logs") or key.isdigit()]
    again = await queue.add({}, options=JobOptions(debounce=Debounce(id="digest")))
    assert await redis.lrange("bull:mail:paused", 0, -1) == [again.id]
    assert await redis.zcard("bull:mail:delayed") == 1


async def test_cleaning_delayed_jobs_with_a_limit_works(queue: Queue):
    """Window W27: in Bull it is a no-op, as the scores are multiplied."""
    jobs = await queue.add_bulk([BulkJob({}, options=JobOptions(delay_ms=600_000)) for _ in range(5)])
    await asyncio.sleep(0.01)

    removed = await queue.clean(0, "delayed", 2)

    assert removed == [job.id for job in jobs[:2]]
    assert (await queue.counts()).delayed == 3


async def test_a_removed_run_of_a_schedule_is_skipped_and_the_next_one_comes(queue: Queue, redis: Redis):
    """Window W20: in Bull, removing the pending run ends the schedule."""
    await queue.add({}, name="tick", options=JobOptions(repeat=Repeat(every_ms=600_000)))
    [pending] = await redis.zrange("bull:mail:delayed", 0, -1)

    await queue.remove(pending)

    [following] = await redis.zrange("bull:mail:delayed", 0, -1)
    assert int(following.rsplit(":", 1)[1]) == int(pending.rsplit(":", 1)[1]) + 600_000


async def test_bulls_manual_retry_of_our_exhausted_job_gives_one_more_try(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """attemptsMade stays, so a job that has used its attempts gets exactly one more."""

    async def handler(job: Any) -> None:
        raise ValueError(f"attempt {job.attempt}")

    await node.open("mail")
    job = await queue.add({}, options=JobOptions(attempts=2))
    worker = work(queue, handler)
    await finished(redis, "mail", 1)
    await node.job("mail", job.id, "retry")

    await worker.has_started(3)
    await wait_until(lambda: redis.zscore("bull:mail:failed", job.id))
    with pytest.raises(PeerError):
        await node.job("mail", "nobody", "retry")
    assert [start.attempt for start in worker.seen.starts] == [1, 2, 3]
