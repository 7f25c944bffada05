"""Failed attempts and what follows them. Wire document, section 9, scenarios 13 to 17, and window W13."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from kayan_workers.bull.options import Backoff, JobOptions
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.running import ActiveJob
from kayan_workers.errors import NotNowError, PermanentError
from redis.asyncio import Redis
from waiting import wait_until
from wire.dump import dump
from wire.party import Party, Worker, finished
from wire.peer import NodePeer

Work = Callable[..., Worker]

TOLERANCE_MS = 450
"""What two processes need to notice and tell on a busy machine; still less than between one series of waits and the other."""


async def refuse(job: ActiveJob) -> None:
    raise ValueError(f"attempt {job.attempt}")


async def test_three_attempts_wait_as_bull_waits_whichever_side_fails_them(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 13, at a quarter of its times: exponential 500 waits 500 ms, then 1500 ms; then the job has failed."""
    await node.open("mail")
    job_id = await node.add("mail", {}, attempts=3, backoff={"type": "exponential", "delay": 500})
    starts: list[float] = []

    await node.process("mail", "fail", message="attempt 1")
    [first] = await node.saw("start")
    starts.append(first.at_ms)
    await wait_until(lambda: redis.zscore("bull:mail:delayed", job_id))
    await node.call("mail", "close")
    worker = work(queue, refuse)
    await worker.has_started(2, timeout=8)
    await finished(redis, "mail", 1)
    starts += [start.at_ms for start in worker.seen.starts]

    waits = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert [start.attempt for start in worker.seen.starts] == [2, 3]
    assert 500 <= waits[0] <= 500 + TOLERANCE_MS
    assert 1500 <= waits[1] <= 1500 + TOLERANCE_MS
    fields = await redis.hgetall(f"bull:mail:{job_id}")
    assert (fields["attemptsMade"], fields["failedReason"]) == ("3", "attempt 3")
    job = await queue.get_job(job_id)
    assert job is not None
    assert len(job.stacktrace) == 3
    assert await redis.zscore("bull:mail:failed", job_id)


async def test_a_job_that_we_put_off_is_bulls_with_all_its_attempts(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    async def no_room(job: ActiveJob) -> None:
        raise NotNowError("the quota is used up", again_in_seconds=0.3)

    await node.open("mail")
    job_id = await node.add("mail", {}, attempts=2, backoff=50)
    worker = work(queue, no_room)
    await worker.has_started(2)
    await worker.stop()
    assert await node.job("mail", job_id, "getState") == "delayed"

    await node.process("mail", "fail", message="now it counts")
    await finished(redis, "mail", 1)

    fields = await redis.hgetall(f"bull:mail:{job_id}")
    assert (fields["attemptsMade"], fields["failedReason"]) == ("2", "now it counts"), "Bull made both of them"
    assert worker.seen.retried == []


async def test_the_documented_series_is_two_four_eight(queue: Queue, work: Work):
    """The fleet's own default: delay * 2^(n-1)."""
    await queue.add({}, options=JobOptions(attempts=3, backoff=Backoff(type="exponential", delay_ms=500)))

    worker = work(queue, refuse, backoff="documented")
    starts = await worker.has_started(3)

    waits = [later.at_ms - earlier.at_ms for earlier, later in itertools.pairwise(starts)]
    assert 500 <= waits[0] <= 500 + TOLERANCE_MS
    assert 1000 <= waits[1] <= 1000 + TOLERANCE_MS


async def test_a_fixed_backoff_given_as_a_number_waits_that_long_each_time(queue: Queue, work: Work, node: NodePeer):
    """Scenario 14, first half."""
    await node.open("mail")
    await node.add("mail", {}, attempts=3, backoff=200)

    worker = work(queue, refuse)
    starts = await worker.has_started(3)

    waits = [later.at_ms - earlier.at_ms for earlier, later in itertools.pairwise(starts)]
    assert all(200 <= wait <= 200 + TOLERANCE_MS for wait in waits), waits


@pytest.mark.parametrize(
    ("opts", "expected"),
    [
        ({"lifo": True}, ["again", "other"]),
        ({"priority": 1}, ["again", "other"]),
        ({}, ["other", "again"]),
    ],
)
async def test_a_retry_without_backoff_takes_the_place_that_bull_gives_it(
    queue: Queue,
    work: Work,
    redis: Redis,
    opts: dict[str, Any],
    expected: list[str],
):
    """Scenario 14, second half: lifo and priority hold for the immediate retry too."""
    options = JobOptions(attempts=2, job_id="again", lifo=opts.get("lifo"), priority=opts.get("priority"))
    await queue.add({}, options=options)
    gate = asyncio.Event()

    async def handler(job: ActiveJob) -> None:
        if job.id == "again" and job.attempt == 1:
            await gate.wait()
            raise ValueError("once more")

    worker = work(queue, handler)
    await worker.has_started(1)
    await queue.add({}, options=JobOptions(job_id="other"))
    gate.set()
    await finished(redis, "mail", 2)

    assert worker.started == ["again", *expected]


async def test_a_job_that_failed_in_bull_succeeds_here(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 15: completed; the failed attempt's reason and count stay, as Bull leaves them."""
    await node.open("mail")
    await node.process("mail", "fail", message="smtp 550")
    job_id = await node.add("mail", {}, attempts=2, backoff=1500)  # by when Bull has closed
    await wait_until(lambda: redis.zscore("bull:mail:delayed", job_id))
    await node.call("mail", "close")

    async def handler(job: ActiveJob) -> str:
        return "sent"

    work(queue, handler)
    await finished(redis, "mail", 1)

    fields = await redis.hgetall(f"bull:mail:{job_id}")
    assert await redis.zscore("bull:mail:completed", job_id)
    assert (fields["attemptsMade"], fields["failedReason"], fields["returnvalue"]) == ("1", "smtp 550", '"sent"')


async def test_a_job_that_failed_here_succeeds_in_bull(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 15, the reverse."""
    job = await queue.add({}, options=JobOptions(attempts=2, backoff=300))
    worker = work(queue, refuse)
    await wait_until(lambda: redis.zscore("bull:mail:delayed", job.id))
    await worker.stop()

    await node.open("mail")
    await node.process("mail", "value", value="sent")
    await finished(redis, "mail", 1)

    fields = await redis.hgetall(f"bull:mail:{job.id}")
    assert (fields["attemptsMade"], fields["failedReason"], fields["returnvalue"]) == ("1", "attempt 1", '"sent"')


async def test_an_error_without_a_message_reads_as_in_bull(party: Party, node: NodePeer, redis: Redis):
    """Scenario 16: the four letters ``null`` as the reason, and an event without ``val``."""

    async def handler(job: ActiveJob) -> None:
        raise ValueError

    for queue in ("theirs", "ours"):
        await node.open(queue)
        await node.listen(queue, "global:failed")
        await node.add(queue, {})
    await node.process("theirs", "failWithoutMessage")
    party.work(party.queue("ours"), handler)
    await node.saw("global:failed", count=2)
    await finished(redis, "ours", 1)
    await finished(redis, "theirs", 1)

    assert node.named("global:failed", "ours")[0].args == node.named("global:failed", "theirs")[0].args
    assert await redis.hget("bull:ours:1", "failedReason") == await redis.hget("bull:theirs:1", "failedReason") == "null"


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
async def test_a_job_that_runs_too_long_fails_with_bulls_message_and_its_handler_ends(
    party: Party, node: NodePeer, redis: Redis, kind: str
):
    """Scenario 17 and window W14: unlike in Bull, the handler is really ended."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def coroutine(job: ActiveJob) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    def thread(job: ActiveJob) -> None:
        try:
            while True:
                job.cancelled.wait(0.01)
        finally:
            loop.call_soon_threadsafe(ended.set)

    for queue in ("theirs", "ours"):
        await node.open(queue)
        await node.add(queue, {}, timeout=300)
    await node.process("theirs", "sleep", ms=800)
    party.work(party.queue("ours"), coroutine if kind == "coroutine" else thread)
    for queue in ("theirs", "ours"):
        await finished(redis, queue, 1)

    await asyncio.wait_for(ended.wait(), 2)
    assert await redis.hget("bull:ours:1", "failedReason") == "Promise timed out after 300 milliseconds"
    assert await dump(redis, "ours") == await dump(redis, "theirs")


async def test_an_unknown_backoff_type_does_not_strand_the_job(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Window W13: Bull would throw before writing anything and leave the job active."""
    await node.open("mail")
    job_id = await node.add("mail", {}, attempts=2, backoff={"type": "jitter", "delay": 100})

    worker = work(queue, refuse)
    await finished(redis, "mail", 1)

    assert len(worker.started) == 2
    assert await redis.zscore("bull:mail:failed", job_id)


async def test_a_named_strategy_decides_how_long_to_wait_and_when_to_give_up(queue: Queue, work: Work, redis: Redis):
    """Custom backoff: -1 gives up though attempts are left, as in Bull."""
    asked: list[tuple[int, str]] = []

    def strategy(attempts_made: int, error: Exception, options: Any) -> float:
        asked.append((attempts_made, str(error)))
        return 50 if attempts_made < 2 else -1

    await queue.add({}, options=JobOptions(attempts=9, backoff=Backoff(type="ours", options={"x": 1})))
    work(queue, refuse, backoff_strategies={"ours": strategy})
    await finished(redis, "mail", 1)

    assert asked == [(1, "attempt 1"), (2, "attempt 2")]
    assert await redis.hget("bull:mail:1", "attemptsMade") == "2"


async def test_a_permanent_error_and_a_discarded_job_get_no_second_attempt(queue: Queue, work: Work, redis: Redis):
    """What no retry can help fails at once."""

    async def handler(job: ActiveJob) -> None:
        if job.data["how"] == "permanent":
            raise PermanentError("no such file")
        job.discard()
        raise ValueError("given up")

    for how in ("permanent", "discard"):
        await queue.add({"how": how}, options=JobOptions(attempts=5, backoff=10))
    work(queue, handler)
    await finished(redis, "mail", 2)

    assert {job.failed_reason for job in await queue.jobs("failed")} == {"no such file", "given up"}
    assert {job.attempts_made for job in await queue.jobs("failed")} == {1}


async def test_only_the_newest_stack_traces_are_kept(queue: Queue, work: Work, redis: Redis):
    """stackTraceLimit, as Bull applies it."""
    await queue.add({}, options=JobOptions(attempts=5, stack_trace_limit=2))

    work(queue, refuse)
    await finished(redis, "mail", 1)

    [job] = await queue.jobs("failed")
    assert [trace.splitlines()[-1] for trace in job.stacktrace] == ["ValueError: attempt 4", "ValueError: attempt 5"]
