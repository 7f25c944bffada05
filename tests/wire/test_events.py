"""Waiting for a job, its progress, its logs, and what listeners hear. Wire document, section 9, scenarios 27 to 32, windows W23, W24."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from kayan_workers.bull.errors import JobFailed, NoSuchJob
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from waiting import wait_until
from wire.party import Party, Worker, finished, nothing
from wire.peer import NodePeer, PeerError

Work = Callable[..., Worker]


@pytest.mark.parametrize("keep", [None, True])
@pytest.mark.parametrize(("value", "resolved"), [({"ok": "ü"}, '{"ok":"ü"}'), (None, "undefined"), (0, "0"), ("", '""')])
async def test_bulls_finished_resolves_with_our_result(
    queue: Queue, work: Work, node: NodePeer, keep: bool | None, value: Any, resolved: str
):
    """Scenario 27: also undefined, also when the job is removed on completion."""
    gate = asyncio.Event()

    async def handler(job: ActiveJob) -> Any:
        await gate.wait()
        return value

    await node.open("mail")
    job = await queue.add({}, options=JobOptions(remove_on_complete=keep))
    await node.listen("mail", "global:completed", "global:failed")
    await node.ask("finished", queue="mail", jobId=job.id)
    work(queue, handler)
    await asyncio.sleep(0.1)
    gate.set()
    set_at = time.time() * 1000

    [event] = await node.saw("resolved")

    assert event.args == [job.id, resolved]
    assert event.at_ms - set_at < 2_500, "it is told; Bull looks only every five seconds"


async def test_bulls_finished_rejects_with_our_message(queue: Queue, work: Work, node: NodePeer):
    """Scenario 27: the message arrives whole, quotes and newlines included, and breaks no listener's JSON."""
    message = 'smtp said "550"\n\\o/ ü 🎬 \u2028'

    async def handler(job: ActiveJob) -> None:
        raise ValueError(message)

    await node.open("mail")
    await node.listen("mail", "global:completed", "global:failed")
    job = await queue.add({})
    await node.ask("finished", queue="mail", jobId=job.id)
    work(queue, handler)

    [event] = await node.saw("rejected")
    assert event.args == [job.id, message]


async def test_our_finished_returns_bulls_result_and_raises_its_failure(queue: Queue, node: NodePeer):
    """Scenario 28: waited for before and after the end."""
    await node.open("mail")
    good = await node.add("mail", {}, removeOnComplete=True)
    waiting = asyncio.create_task(queue.finished(good))
    await asyncio.sleep(0.2)
    await node.process("mail", "value", value={"by": "node"})
    assert await asyncio.wait_for(waiting, 5) == {"by": "node"}

    kept = await node.add("mail", {})
    await node.saw("end", count=2)
    assert await asyncio.wait_for(queue.finished(kept), 5) == {"by": "node"}


async def test_our_finished_raises_what_bull_rejected(queue: Queue, node: NodePeer):
    """Scenario 28, for a failure."""
    await node.open("mail")
    job_id = await node.add("mail", {})
    waiting = asyncio.create_task(queue.finished(job_id))
    await asyncio.sleep(0.2)
    await node.process("mail", "fail", message="smtp 550")

    with pytest.raises(JobFailed, match="smtp 550"):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(JobFailed, match="smtp 550"):
        await asyncio.wait_for(queue.finished(job_id), 5)


async def test_our_finished_does_not_hang_on_a_job_that_was_removed(queue: Queue, redis: Redis):
    """Scenario 28 and window W23: Bull's own would wait for ever."""
    job = await queue.add({})
    waiting = asyncio.create_task(queue.finished(job.id))
    await asyncio.sleep(0.2)
    await queue.remove(job.id)

    with pytest.raises(NoSuchJob):
        await asyncio.wait_for(waiting, 10)
    with pytest.raises(NoSuchJob):
        await asyncio.wait_for(queue.finished("never-there"), 5)


async def test_our_finished_gives_up_when_told_to(queue: Queue):
    """A timeout of the caller's."""
    job = await queue.add({})

    with pytest.raises(TimeoutError):
        await queue.finished(job.id, timeout=0.3)


PROGRESS: list[Any] = [0, 42, 99.5, {"pct": 50, "step": "ü"}, 100]


async def test_progress_of_ours_reaches_bull_value_by_value(queue: Queue, work: Work, node: NodePeer):
    """Scenario 29: numbers and objects; the Node process has a trap for exceptions nobody caught."""

    def handler(job: ActiveJob) -> None:
        for value in PROGRESS:
            job.progress(value)

    await node.open("mail")
    await node.listen("mail", "global:progress")
    job = await queue.add({})
    work(queue, handler)

    await node.saw("global:progress", count=len(PROGRESS))
    assert node.args_of("global:progress") == [[job.id, value] for value in PROGRESS]
    assert (await node.call("mail", "getJob", job.id))["progress"] == 100


async def test_progress_of_bull_is_read_by_us(queue: Queue, node: NodePeer, redis: Redis):
    """Scenario 29, the reverse."""
    await node.open("mail")
    await node.process("mail", "progress", values=[1, {"pct": 50}])
    job_id = await node.add("mail", {})
    await finished(redis, "mail", 1)

    job = await queue.get_job(job_id)
    assert job is not None
    assert job.progress_value == {"pct": 50}


async def test_every_event_of_our_work_reaches_bull_in_bulls_order(party: Party, node: NodePeer, redis: Redis):
    """Scenario 30: waiting, active, progress, completed, drained; the same sequence as when Bull does the work."""
    events = ["waiting", "active", "progress", "completed", "failed", "stalled", "drained", "paused", "resumed"]

    async def handler(job: ActiveJob) -> str:
        job.progress(42)
        return "ok"

    seen: dict[str, list[tuple[str, list[Any]]]] = {}
    for name in ("theirs", "ours"):
        await node.open(name)
        await node.listen(name, *(f"global:{event}" for event in events))
        if name == "ours":
            party.work(party.queue(name), handler)
        else:
            await node.process(name, "progress", values=[42], value="ok")
        await asyncio.sleep(0.5)
        before = len(node.events)
        await party.queue(name).add({})
        await finished(redis, name, 1)
        await _quiet(node)
        await node.saw("global:drained", queue=name)
        seen[name] = _squeezed([(e.name, e.args) for e in node.events[before:] if e.queue == name and e.name.startswith("global:")])

    assert seen["ours"] == seen["theirs"]
    assert [name for name, _ in seen["ours"]] == [
        "global:waiting",
        "global:active",
        "global:progress",
        "global:completed",
        "global:drained",
    ]


def _squeezed(events: list[tuple[str, list[Any]]]) -> list[tuple[str, list[Any]]]:
    """Without repeats: Bull says ``drained`` again for each further look at the empty queue."""
    return [event for index, event in enumerate(events) if index == 0 or event != events[index - 1]]


async def _quiet(node: NodePeer) -> None:
    """Until no further event has come for a while."""
    count = -1
    while count != len(node.events):
        count = len(node.events)
        await asyncio.sleep(0.2)


async def test_a_failed_attempt_is_told_only_when_it_was_the_last(queue: Queue, work: Work, node: NodePeer):
    """Scenario 30: ``global:failed`` once, for the final failure, as in Bull."""

    async def handler(job: ActiveJob) -> None:
        raise ValueError(f"attempt {job.attempt}")

    await node.open("mail")
    await node.listen("mail", "global:failed")
    job = await queue.add({}, options=JobOptions(attempts=3))
    work(queue, handler)

    await node.saw("global:failed")
    await _quiet(node)
    assert node.args_of("global:failed") == [[job.id, "attempt 3", "active"]]


async def test_logs_of_both_sides_stand_in_one_order(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 31: an attempt in Node, one here; ``getJobLogs`` and ours agree."""
    await node.open("mail")
    job_id = await node.add("mail", {}, attempts=2)
    await node.job("mail", job_id, "log", "from node, before")

    def handler(job: ActiveJob) -> None:
        for number in range(20):
            job.log(f"row {number} ü")

    work(queue, handler)
    await finished(redis, "mail", 1)
    await node.job("mail", job_id, "log", "from node, after")

    expected = ["from node, before", *(f"row {number} ü" for number in range(20)), "from node, after"]
    assert (await node.call("mail", "getJobLogs", job_id))["logs"] == expected
    logs = await queue.logs(job_id)
    assert (logs.rows, logs.count) == (expected, 22)
    assert (await queue.logs(job_id, 0, 1, ascending=False)).rows == expected[::-1][:2]
    assert (await node.call("mail", "getJobLogs", job_id, 0, 1, False))["logs"] == expected[::-1][:2]


@pytest.mark.parametrize("in_a_thread", [False, True])
async def test_the_last_words_of_a_quick_handler_are_written_before_its_result(queue: Queue, work: Work, redis: Redis, in_a_thread: bool):
    """With a lane just about to send results; words that arrive after them, when the lock is gone, would be refused."""

    def speak(job: ActiveJob) -> None:
        job.progress(100)
        job.log("the last word")

    async def speak_on_the_loop(job: ActiveJob) -> None:
        speak(job)

    work(queue, speak if in_a_thread else speak_on_the_loop, concurrency=3)
    jobs = await queue.add_bulk([BulkJob({})] * 1000)
    await finished(redis, "mail", 1000)

    silent = [job.id for job in jobs if (await queue.logs(job.id)).rows != ["the last word"]]
    assert not silent
    assert {await redis.hget(queue.keys.job(job.id), "progress") for job in jobs} == {"100"}


async def test_a_log_on_a_missing_job_is_an_error_in_bull_and_nothing_here(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 31: the row of a job that was removed meanwhile is not written, and the worker lives on."""
    gate = asyncio.Event()

    async def handler(job: ActiveJob) -> None:
        await gate.wait()
        job.log("too late")

    await node.open("mail")
    job = await queue.add({})
    worker = work(queue, handler)
    await worker.has_started(1)
    await redis.delete(f"bull:mail:{job.id}")
    gate.set()
    await wait_until(lambda: worker.seen.removed == [job.id])

    assert not await redis.exists(f"bull:mail:{job.id}:logs", f"bull:mail:{job.id}")
    with pytest.raises(PeerError, match="no job"):
        await node.job("mail", job.id, "log", "too late")


async def test_bull_lists_each_of_our_workers_once(party: Party, node: NodePeer):
    """Scenario 32: three workers of one queue, and Bull's own beside them. Ours are listed by us too."""
    queue = party.queue("abc")
    await node.open("abc")
    await node.process("abc", "nothing")
    for pod in ("a", "b", "c"):
        party.work(queue, nothing, pod=pod)

    async def listed() -> bool:
        return len(await node.call("abc", "getWorkers")) == len(await queue.workers()) == 4

    await wait_until(listed)


async def test_bull_lists_workers_of_a_queue_whose_name_begins_alike_and_we_do_not(party: Party, node: NodePeer):
    """Scenario 32: base64 of ``abc`` is the beginning of base64 of ``abcd``; documented in Bull, mended in ours."""
    await node.open("abc")
    party.work(party.queue("abcd"), nothing)

    await wait_until(lambda: node.call("abc", "getWorkers"))
    assert await party.queue("abc").workers() == []
    assert len(await party.queue("abcd").workers()) == 1
