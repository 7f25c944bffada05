"""Taking and finishing jobs beside Bull. Wire document, section 9, scenarios 2, 4, 5, 7, and windows W3, W4, W11, W28."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.running import ActiveJob
from kayan_workers.errors import PermanentError
from redis.asyncio import Redis
from waiting import wait_until
from wire.dump import dump
from wire.party import Party, Worker, echo, finished, nothing
from wire.peer import NodePeer

Work = Callable[..., Worker]


@pytest.mark.parametrize("value", [{"ok": True}, None, 0, "text", [1, {"a": "ü"}], False, 1.5])
async def test_a_job_that_we_completed_looks_like_one_that_bull_completed(party: Party, node: NodePeer, redis: Redis, value: Any):
    """Scenario 2: the same hash, the same set, and no lock, no active entry, no stalled entry left."""

    async def handler(job: ActiveJob) -> Any:
        return value

    for queue in ("theirs", "ours"):
        await node.open(queue)
        await node.add(queue, {"to": "ada"}, name="welcome", attempts=2)
        await node.add(queue, {"to": "bob"}, name="welcome", priority=3)
    await node.process("theirs", "nothing" if value is None else "value", name="*", value=value)
    party.work(party.queue("ours"), handler)

    for queue in ("theirs", "ours"):
        await finished(redis, queue, 2)

    ours = await dump(redis, "ours")
    assert ours == await dump(redis, "theirs")
    assert set(ours) == {"1", "2", "completed", "id"}


async def test_a_job_that_failed_here_looks_like_one_that_failed_in_bull(party: Party, node: NodePeer, redis: Redis):
    """Scenario 2, for a final failure: also the message, as a raw string, and one stack trace."""

    async def handler(job: ActiveJob) -> None:
        raise ValueError("smtp 550")

    for queue in ("theirs", "ours"):
        await node.open(queue)
        await node.add(queue, {"to": "ada"})
    await node.process("theirs", "fail", message="smtp 550")
    party.work(party.queue("ours"), handler)

    for queue in ("theirs", "ours"):
        await finished(redis, queue, 1)

    ours = await dump(redis, "ours")
    assert ours == await dump(redis, "theirs")
    assert ours["1"]["failedReason"] == "smtp 550"


async def test_names_reach_the_handler_and_bull_fails_what_it_has_no_handler_for(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 4 and window W28: a Node worker must handle every name; our handler sees the name and decides."""
    await node.open("mail")
    unknown = await queue.add({}, name="unknown")
    await node.process("mail", "echo", name="known")
    await wait_until(lambda: redis.zscore("bull:mail:failed", unknown.id))
    assert await redis.hget(f"bull:mail:{unknown.id}", "failedReason") == "Missing process handler for job type unknown"
    await node.call("mail", "close")

    names: list[str] = []

    async def handler(job: ActiveJob) -> None:
        names.append(job.name)
        if job.name not in ("__default__", "known"):
            raise PermanentError(f"no processor for {job.name}")

    work(queue, handler)
    for name in ("__default__", "known", "other"):
        await queue.add({}, name=name, options=JobOptions(attempts=3))
    await finished(redis, "mail", 4)

    assert names == ["__default__", "known", "other"]
    assert (await queue.jobs("failed"))[0].failed_reason == "no processor for other"
    assert (await queue.jobs("failed"))[0].attempts_made == 1


async def test_a_thousand_jobs_of_two_producers_run_once_each_on_two_consumers(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 5: half added by each side, consumed by both at once."""

    async def beside_bull(job: ActiveJob) -> None:
        await node.saw("start")

    await node.open("mail")
    worker = work(queue, beside_bull, concurrency=5)
    await node.process("mail", "nothing", concurrency=5)

    await asyncio.gather(
        *(queue.add_bulk([BulkJob({"by": "us", "n": n}) for n in range(at, at + 50)]) for at in range(0, 500, 50)),
        *(node.call("mail", "addBulk", [{"data": {"by": "bull", "n": n}} for n in range(at, at + 50)]) for at in range(0, 500, 50)),
    )
    await finished(redis, "mail", 1000, 30)
    await node.saw("start", count=1000 - len(worker.started))

    ran = worker.started + node.started()
    assert len(ran) == len(set(ran)) == 1000
    assert worker.started, "we took our share"
    assert node.started(), "Bull took its share"
    assert await redis.zcard("bull:mail:completed") == 1000


async def test_one_consumer_takes_jobs_first_in_first_out(queue: Queue, work: Work, node: NodePeer):
    """Scenario 5: with one slot, in the order of adding, whoever added."""
    await node.open("mail")
    ids = [await node.add("mail", {}) if number % 2 else (await queue.add({})).id for number in range(40)]

    worker = work(queue, nothing)
    await worker.has_started(40)

    assert worker.started == ids


async def test_jobs_of_one_consumer_with_many_slots_start_in_order(queue: Queue, work: Work):
    """Claiming many at a time does not turn the line around."""
    jobs = await queue.add_bulk([BulkJob({"n": n}) for n in range(100)])

    worker = work(queue, nothing, concurrency=10)
    await worker.has_started(100)

    assert worker.started == [job.id for job in jobs]


async def test_prioritised_jobs_run_in_the_order_that_bull_alone_would_run_them(party: Party, node: NodePeer, redis: Redis):
    """Scenario 7: the same interleaved adds to two queues, one consumed by Bull, one by us."""
    choice = random.Random(3)
    await node.open("theirs")
    await node.open("ours")
    ours = party.queue("ours")
    for number in range(60):
        priority = choice.choice([0, 1, 2, 3, 5])
        await node.add("theirs", {"n": number}, **({"priority": priority} if priority else {}))
        if number % 2:
            await node.add("ours", {"n": number}, **({"priority": priority} if priority else {}))
        else:
            await ours.add({"n": number}, options=JobOptions(priority=priority))

    await node.process("theirs", "nothing")
    worker = party.work(ours, nothing)
    await worker.has_started(60)
    await node.saw("start", count=60)

    assert worker.started == node.started()
    await wait_until(lambda: redis.zcard("bull:ours:completed"))
    assert not await redis.exists("bull:ours:priority")


async def test_an_idle_worker_starts_a_job_within_milliseconds(queue: Queue, work: Work, node: NodePeer):
    """A job that Bull adds wakes us; nobody polls."""
    await node.open("mail")
    worker = work(queue, nothing)
    await wait_until(lambda: worker.is_running)
    await asyncio.sleep(0.5)  # the worker has found the queue empty and watches

    waits = []
    for number in range(1, 11):
        added_at = time.time() * 1000
        await node.add("mail", {})
        await worker.has_started(number)
        waits.append(worker.seen.starts[-1].at_ms - added_at)

    assert sorted(waits)[5] < 50, waits


async def test_a_plain_function_runs_in_a_thread_and_a_batch_handler_takes_many(party: Party, redis: Redis):
    """The three kinds of handlers leave the same results."""

    def plain(job: ActiveJob) -> Any:
        time.sleep(0.01)
        return job.data

    async def batch(jobs: list[ActiveJob]) -> list[Any]:
        return [ValueError("odd") if job.data["n"] % 2 else job.data for job in jobs]

    async def add(name: str) -> Queue:
        queue = party.queue(name)
        await queue.add_bulk([BulkJob({"n": n}) for n in range(20)])
        return queue

    party.work(await add("threads"), plain, concurrency=4)
    party.work(await add("batches"), batch, concurrency=2, batch=7)
    await finished(redis, "threads", 20)
    await finished(redis, "batches", 20)

    assert [job.return_value for job in await party.queue("threads").jobs("completed", ascending=True)].count(None) == 0
    assert await redis.zcard("bull:batches:completed") == 10
    assert {job.failed_reason for job in await party.queue("batches").jobs("failed")} == {"odd"}


async def test_an_id_whose_hash_is_gone_is_dropped_and_the_next_job_runs(queue: Queue, work: Work, redis: Redis):
    """Window W3: Bull would run it with empty data and leave a ghost behind."""
    gone, kept = await queue.add({"n": 1}, options=JobOptions(priority=1)), await queue.add({"n": 2})
    await redis.delete(f"bull:mail:{gone.id}")

    worker = work(queue, nothing)
    await finished(redis, "mail", 1)

    assert worker.started == [kept.id]
    assert not await redis.exists(f"bull:mail:{gone.id}", "bull:mail:priority")


async def test_a_job_locked_by_another_worker_is_left_to_it(queue: Queue, work: Work, redis: Redis):
    """Window W4: Bull would steal the lock."""
    job = await queue.add({})
    await redis.set(f"bull:mail:{job.id}:lock", "another worker's token", px=60_000)
    other = await queue.add({})

    worker = work(queue, nothing, stalled_interval_ms=0)
    await _completed(redis, other.id)

    assert worker.started == [other.id]
    assert await redis.lrange("bull:mail:active", 0, -1) == [job.id]
    assert await redis.get(f"bull:mail:{job.id}:lock") == "another worker's token"


async def _completed(redis: Redis, job_id: str) -> None:
    await wait_until(lambda: redis.zscore("bull:mail:completed", job_id))


@pytest.mark.parametrize("data", ['{"broken', "\xff\xfe", ""])
async def test_a_payload_that_is_no_json_fails_the_job_and_nothing_else(queue: Queue, work: Work, redis: Redis, data: str):
    """Bad input: the job fails with a clear reason, at once, and the worker lives on."""
    broken = await queue.add({"n": 1}, options=JobOptions(attempts=5))
    await redis.hset(f"bull:mail:{broken.id}", "data", data)
    fine = await queue.add({"n": 2})

    worker = work(queue, echo)
    await finished(redis, "mail", 2)

    job = await queue.get_job(broken.id)
    assert job is not None
    if data:
        assert job.failed_reason is not None
        assert job.failed_reason.startswith(f"job {broken.id} of mail: data is not JSON")
    assert worker.is_running
    assert await redis.zscore("bull:mail:completed", fine.id)


@pytest.mark.parametrize("opts", ["{}", "", "null", "[1]", "{broken", '{"attempts":"many","backoff":[1],"removeOnComplete":{"count":"x"}}'])
async def test_odd_options_of_foreign_producers_do_not_stop_a_job(queue: Queue, work: Work, redis: Redis, opts: str):
    """Options that Bull's own producer would never write: the job runs once and is kept."""
    job = await queue.add({"n": 1})
    await redis.hset(f"bull:mail:{job.id}", "opts", opts)

    work(queue, echo)
    await finished(redis, "mail", 1)

    assert await redis.hget(f"bull:mail:{job.id}", "returnvalue") == '{"n":1}'


async def test_a_payload_of_five_megabytes_passes_whole(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Bad input: big payloads, both ways."""
    text = "x" * 5_000_000
    await node.open("mail")
    await queue.add({"text": text})
    work(queue, echo)
    await finished(redis, "mail", 1)

    assert (await node.call("mail", "getJob", "1"))["returnvalue"] == {"text": text}
