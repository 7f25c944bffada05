"""What an administrator does to a queue, on a real Redis."""

from __future__ import annotations

from typing import Any

import pytest
from at_work import queue_at
from kayan_workers.bull.errors import JobIsLocked, NoSuchJob, QueueIsBusy, WrongState
from kayan_workers.bull.line import now_ms
from kayan_workers.bull.options import Debounce, JobOptions, Repeat
from kayan_workers.bull.queue import BulkJob, Queue
from redis.asyncio import Redis


async def fail(redis: Redis, job_id: str, at_ms: int, **fields: Any) -> None:
    """Make a waiting job a failed one, as a worker would have left it."""
    await redis.lrem("bull:mail:wait", 0, job_id)
    await redis.zadd("bull:mail:failed", {job_id: at_ms})
    await redis.hset(f"bull:mail:{job_id}", mapping={
        "finishedOn": at_ms, "processedOn": at_ms - 5, "failedReason": "smtp 550", "attemptsMade": 1, **fields})


async def complete(redis: Redis, job_id: str, at_ms: int) -> None:
    await redis.lrem("bull:mail:wait", 0, job_id)
    await redis.zadd("bull:mail:completed", {job_id: at_ms})
    await redis.hset(f"bull:mail:{job_id}", mapping={"finishedOn": at_ms, "processedOn": at_ms - 5, "returnvalue": "1"})


# -- pause -----------------------------------------------------------------------------------------------------------------------


async def test_pausing_twice_while_others_fill_wait_loses_no_job(redis_url: str, redis: Redis):
    """Window W16: RENAME would have erased three jobs. Order: the older ones, those in `paused`, run first."""
    async with queue_at(redis_url) as queue:
        await queue.add_bulk(BulkJob({}) for _ in range(3))
        await queue.pause()
        await redis.lpush("bull:mail:wait", "x", "y")
        await queue.pause()
        assert await redis.lrange("bull:mail:paused", 0, -1) == ["y", "x", "3", "2", "1"]

        await redis.lpush("bull:mail:wait", "z")
        await queue.resume()
        assert await redis.lrange("bull:mail:wait", 0, -1) == ["z", "y", "x", "3", "2", "1"]
        assert not await redis.exists("bull:mail:paused", "bull:mail:meta-paused", "bull:mail:meta")


async def test_bringing_the_lists_together_leaves_urgent_jobs_in_front(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add_bulk([BulkJob({}), BulkJob({}, options=JobOptions(priority=5))])
        await queue.pause()
        await redis.rpush("bull:mail:wait", "plain", "urgent")
        await redis.zadd("bull:mail:priority", {"urgent": 1})
        await queue.resume()

        assert await redis.lrange("bull:mail:wait", 0, -1) == ["plain", "1", "2", "urgent"]


async def test_an_empty_queue_can_be_paused_and_resumed(redis_url: str):
    async with queue_at(redis_url) as queue:
        await queue.pause()
        assert (await queue.counts()).is_paused
        assert await queue.is_paused()
        await queue.resume()
        assert not await queue.is_paused()


# -- empty -----------------------------------------------------------------------------------------------------------------------


async def test_empty_takes_what_waits_with_everything_it_left_and_nothing_else(redis_url: str, redis: Redis):
    """Window W19."""
    async with queue_at(redis_url) as queue:
        kept = [await queue.add({}) for _ in range(2)]
        await complete(redis, kept[0].id, now_ms())
        await redis.lmove("bull:mail:wait", "bull:mail:active", "RIGHT", "LEFT")
        await queue.add_bulk(BulkJob({}, options=JobOptions(priority=n % 3, delay_ms=(n % 4 == 0) * 60_000)) for n in range(2500))
        gone = await queue.add({}, options=JobOptions(debounce=Debounce(id="digest", ttl_ms=60_000)))
        await queue.log(gone.id, "a row")
        await queue.pause()

        assert await queue.empty() == 2501

        assert sorted(await redis.keys("bull:*")) == sorted([
            "bull:mail:id", "bull:mail:meta", "bull:mail:meta-paused", "bull:mail:active", "bull:mail:completed",
            *(f"bull:mail:{job.id}" for job in kept)])
        assert await queue.is_paused()
        assert (await queue.add({}, options=JobOptions(debounce=Debounce(id="digest", ttl_ms=60_000)))).id != gone.id


async def test_empty_lets_schedules_go_on(redis_url: str, redis: Redis):
    """Window W19: with Bull, the orphan of the deleted run silenced the schedule for ever."""
    async with queue_at(redis_url) as queue:
        pending = await queue.add({"n": 1}, name="tick", options=JobOptions(repeat=Repeat(every_ms=3_600_000)))
        due = await queue.add({"n": 2}, name="tock", options=JobOptions(repeat=Repeat(every_ms=7_200_000)))
        await queue.promote(due.id)

        assert await queue.empty() == 1

        assert await queue.state_of(pending.id) == "delayed"
        assert {schedule.name: schedule.next_ms for schedule in await queue.repeatables()} == {
            job.name: job.opts["prevMillis"] for job in await queue.jobs("delayed")}
        assert sorted(job.data["n"] for job in await queue.jobs("delayed")) == [1, 2]


# -- clean -----------------------------------------------------------------------------------------------------------------------


async def test_clean_takes_finished_jobs_older_than_the_grace(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        jobs = await queue.add_bulk(BulkJob({}) for _ in range(6))
        for age, job in enumerate(jobs):
            await complete(redis, job.id, now_ms() - age * 60_000)
        await queue.log(jobs[5].id, "a row")

        assert await queue.clean(150_000) == ["6", "5", "4"]
        assert await queue.ids("completed") == ["1", "2", "3"]
        assert not await redis.exists("bull:mail:6", "bull:mail:6:logs")


async def test_clean_with_a_limit_takes_the_oldest(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        jobs = await queue.add_bulk(BulkJob({}) for _ in range(6))
        for age, job in enumerate(jobs):
            await fail(redis, job.id, now_ms() - (age + 1) * 60_000)

        assert await queue.clean(0, "failed", 2) == ["6", "5"]
        assert await queue.clean(0, "failed", 100) == ["4", "3", "2", "1"]


async def test_clean_with_a_limit_works_for_delayed_jobs_too(redis_url: str, redis: Redis):
    """Window W27."""
    async with queue_at(redis_url) as queue:
        await queue.add_bulk(
            BulkJob({}, options=JobOptions(delay_ms=10**9 - n, timestamp_ms=now_ms() - n * 60_000)) for n in range(5))

        assert await queue.clean(90_000, "delayed", 2) == ["5", "4"]
        assert await queue.clean(90_000, "delayed") == ["3"]
        assert await queue.ids("delayed") == ["2", "1"]


async def test_clean_compares_times_as_numbers(redis_url: str, redis: Redis):
    """Window W27: as text, 999 is later than any time of today."""
    async with queue_at(redis_url) as queue:
        await queue.add({}, options=JobOptions(timestamp_ms=999))

        assert await queue.clean(1000, "waiting") == ["1"]


@pytest.mark.parametrize("limit", [0, 1500])
async def test_clean_of_a_long_list_takes_the_old_and_leaves_order_and_locked_jobs(redis_url: str, redis: Redis, limit: int):
    async with queue_at(redis_url) as queue:
        await queue.add_bulk(
            BulkJob({}, options=JobOptions(timestamp_ms=now_ms() - 60_000 if n % 2 else None, priority=n % 4)) for n in range(4200))
        before = await redis.lrange("bull:mail:wait", 0, -1)
        old = [job_id for job_id in reversed(before) if int(job_id) % 2 == 0]
        await redis.set(f"bull:mail:{old[1]}:lock", "somebody")
        expected = [old[0], *old[2:]][: limit or None]

        removed = await queue.clean(30_000, "waiting", limit)

        assert removed == expected
        assert await redis.lrange("bull:mail:wait", 0, -1) == [job_id for job_id in before if job_id not in set(expected)]
        assert not set(await redis.zrange("bull:mail:priority", 0, -1)) & set(removed)


# -- obliterate ------------------------------------------------------------------------------------------------------------------


async def fill(queue: Queue, redis: Redis) -> None:
    """Something of everything that a queue may leave."""
    await queue.add_bulk(BulkJob({}, options=JobOptions(priority=n % 3, delay_ms=(n % 5 == 0) * 60_000)) for n in range(1500))
    job = await queue.add({}, options=JobOptions(debounce=Debounce(id="digest")))
    await queue.add({}, options=JobOptions(debounce=Debounce(id="late", ttl_ms=60_000)))
    await queue.log(job.id, "a row")
    await complete(redis, "2", now_ms())
    await fail(redis, "3", now_ms())
    await queue.add({}, options=JobOptions(repeat=Repeat(every_ms=3_600_000)))
    for name in ("limiter", "limiter:acme", "de:left-over", "77:lock"):
        await redis.set(f"bull:mail:{name}", 1)
    await redis.sadd("bull:mail:limiter:acme:limited", "5")
    await redis.hset("bull:mail:limiter:index", "5", "bull:mail:limiter:acme:limited")
    await redis.hset("bull:mail:metrics:completed", "count", 5)
    await redis.rpush("bull:mail:metrics:completed:data", 5)
    await redis.hset("bull:mail:orphan", "timestamp", 5)


async def test_obliterate_leaves_nothing_of_the_queue_and_everything_of_others(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue, queue_at(redis_url, "mail:vip") as vip, queue_at(redis_url, "mailing") as other:
        await vip.add({}, options=JobOptions(debounce=Debounce(id="digest")))
        await other.add({})
        before = set(await redis.keys("bull:*"))
        await fill(queue, redis)

        await queue.obliterate()

        assert set(await redis.keys("bull:*")) == before
        assert not [key for key in await redis.keys("kayan:*:bull:mail") if "once" not in key]
        assert (await queue.add({})).id == "1"


async def test_obliterate_leaves_running_jobs_alone_unless_forced(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add({})
        await redis.lmove("bull:mail:wait", "bull:mail:active", "RIGHT", "LEFT")
        await redis.set("bull:mail:1:lock", "somebody")

        with pytest.raises(QueueIsBusy, match="force"):
            await queue.obliterate()
        assert await redis.exists("bull:mail:1")

        await queue.obliterate(force=True)
        assert await redis.keys("bull:*") == []


# -- failed jobs -----------------------------------------------------------------------------------------------------------------


async def test_a_retried_job_waits_again_with_its_history(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add_bulk([BulkJob({}), BulkJob({})])
        await fail(redis, "1", now_ms(), stacktrace='["Error: smtp 550"]')

        await queue.retry("1")

        job = await queue.get_job("1")
        assert job is not None
        assert await redis.lrange("bull:mail:wait", 0, -1) == ["1", "2"]
        assert (job.attempts_made, job.stacktrace, job.failed_reason, job.finished_on_ms, job.processed_on_ms) == (
            1, ["Error: smtp 550"], None, None, None)
        assert job.retried_on_ms is not None


async def test_a_retry_in_the_wrong_state_changes_nothing(redis_url: str, redis: Redis):
    """Window W26: Bull wipes the times of a completed job first, and finds out later."""
    async with queue_at(redis_url) as queue:
        await queue.add_bulk([BulkJob({}), BulkJob({})])
        await complete(redis, "1", now_ms())
        await fail(redis, "2", now_ms())
        await redis.set("bull:mail:2:lock", "somebody")
        before = [await redis.hgetall(f"bull:mail:{job_id}") for job_id in "12"]

        with pytest.raises(WrongState, match="not failed"):
            await queue.retry("1")
        with pytest.raises(JobIsLocked):
            await queue.retry("2")
        with pytest.raises(NoSuchJob):
            await queue.retry("3")

        assert [await redis.hgetall(f"bull:mail:{job_id}") for job_id in "12"] == before


async def test_all_failed_jobs_wait_again_in_the_order_they_failed(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add_bulk(BulkJob({}) for _ in range(2300))
        for number in range(1, 2301):
            await redis.zadd("bull:mail:failed", {str(number): now_ms() + number})
        await redis.delete("bull:mail:wait")
        await redis.zadd("bull:mail:failed", {"vanished": now_ms()})

        assert await queue.retry_all_failed() == 2301
        assert await queue.ids("waiting") == [str(number) for number in range(1, 2301)]
        assert not await redis.exists("bull:mail:failed")


# -- single jobs -----------------------------------------------------------------------------------------------------------------


async def test_a_promoted_job_runs_by_its_priority(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add({})
        urgent = await queue.add({}, options=JobOptions(delay_ms=60_000, priority=1))
        late = await queue.add({}, options=JobOptions(delay_ms=60_000))
        for job in (urgent, late):
            await queue.promote(job.id)

        assert await queue.ids("waiting") == [urgent.id, "1", late.id]
        assert await redis.hget(f"bull:mail:{late.id}", "delay") == "0"
        with pytest.raises(WrongState, match="not delayed"):
            await queue.promote("1")


@pytest.mark.parametrize("state", ["waiting", "delayed", "paused", "active", "completed", "failed"])
async def test_a_job_is_removed_from_any_state(redis_url: str, redis: Redis, state: str):
    async with queue_at(redis_url) as queue:
        job = await queue.add({}, options=JobOptions(
            priority=3, delay_ms=60_000 if state == "delayed" else 0, debounce=Debounce(id="digest")))
        await queue.log(job.id, "a row")
        if state == "paused":
            await queue.pause()
        elif state == "active":
            await redis.lmove("bull:mail:wait", "bull:mail:active", "RIGHT", "LEFT")
        elif state == "completed":
            await complete(redis, job.id, now_ms())
        elif state == "failed":
            await fail(redis, job.id, now_ms())
        assert await queue.state_of(job.id) == state

        await queue.remove(job.id)

        assert await queue.state_of(job.id) is None
        assert set(await redis.keys("bull:*")) <= {"bull:mail:id", "bull:mail:meta-paused", "bull:mail:meta"}
        with pytest.raises(NoSuchJob):
            await queue.remove(job.id)


async def test_a_job_that_a_worker_holds_is_not_removed(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add({})
        await redis.set("bull:mail:1:lock", "somebody")
        with pytest.raises(JobIsLocked):
            await queue.remove("1")
        assert await queue.remove_matching("*") == []

        assert await redis.lrange("bull:mail:wait", 0, -1) == ["1"]


async def test_removing_by_pattern_takes_jobs_and_nothing_else(redis_url: str, redis: Redis):
    """Bull's would have deleted `meta` and the metrics, and jobs of mail:vip."""
    async with queue_at(redis_url) as queue, queue_at(redis_url, "mail:vip") as vip:
        await queue.add_bulk(BulkJob({}, options=JobOptions(job_id=f"order-{n}", delay_ms=n % 2)) for n in range(1300))
        await queue.add({})
        await vip.add({})
        await queue.pause()
        await redis.hset("bull:mail:metrics:completed", "count", 5)

        assert sorted(await queue.remove_matching("order-1?")) == [f"order-{n}" for n in range(10, 20)]
        assert len(await queue.remove_matching("*")) == 1291

        assert set(await redis.keys("bull:*")) == {
            "bull:mail:id", "bull:mail:meta", "bull:mail:meta-paused", "bull:mail:metrics:completed",
            "bull:mail:vip:id", "bull:mail:vip:wait", "bull:mail:vip:1"}


async def test_data_progress_and_logs_of_a_job_can_be_changed_until_it_is_gone(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add({"n": 1})
        await queue.update_data("1", {"n": 2})
        await queue.update_progress("1", {"pct": 50})
        rows = [await queue.log("1", f"row {n}", keep=3) for n in range(5)]

        job = await queue.get_job("1")
        assert job is not None
        assert (job.data, job.progress_value, rows) == ({"n": 2}, {"pct": 50}, [1, 2, 3, 3, 3])
        logs = await queue.logs("1")
        assert (logs.rows, logs.count) == (["row 2", "row 3", "row 4"], 3)
        assert (await queue.logs("1", 0, 1, ascending=False)).rows == ["row 4", "row 3"]

        for change in (queue.update_data("9", {}), queue.update_progress("9", 1), queue.log("9", "row")):
            with pytest.raises(NoSuchJob, match="no job 9"):
                await change
        assert not await redis.exists("bull:mail:9", "bull:mail:9:logs")


# -- reading ---------------------------------------------------------------------------------------------------------------------


async def test_jobs_are_listed_by_state_from_either_end(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add_bulk(BulkJob({"n": n}) for n in range(1, 8))
        for number in (1, 2, 3):
            await complete(redis, str(number), now_ms() + number)

        assert await queue.ids("waiting") == ["4", "5", "6", "7"]
        assert await queue.ids("waiting", 1, 2) == ["5", "6"]
        assert await queue.ids("waiting", 0, 1, ascending=False) == ["7", "6"]
        assert await queue.ids("completed") == ["3", "2", "1"]
        assert await queue.ids("completed", 0, 1, ascending=True) == ["1", "2"]
        await redis.delete("bull:mail:5")
        assert [job.data["n"] for job in await queue.jobs("waiting")] == [4, 6, 7]
        assert await queue.get_job("5") is None


async def test_a_hash_in_no_list_is_stuck(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add({})
        await redis.delete("bull:mail:wait")

        assert await queue.state_of("1") == "stuck"


async def test_waiting_jobs_are_counted_by_priority(redis_url: str):
    async with queue_at(redis_url) as queue:
        await queue.add_bulk(BulkJob({}, options=JobOptions(priority=n % 3)) for n in range(10))

        assert await queue.counts_per_priority([0, 1, 2, 9]) == {0: 4, 1: 3, 2: 3, 9: 0}


async def test_metrics_are_read_as_numbers(redis_url: str, redis: Redis):
    await redis.hset("bull:mail:metrics:completed", mapping={"count": 3, "prevTS": 99, "prevCount": 2})
    await redis.rpush("bull:mail:metrics:completed:data", 0, 0, 2)
    async with queue_at(redis_url) as queue:
        found, none = await queue.metrics("completed", 0, 1), await queue.metrics("failed")

        assert (found.count, found.previous_ms, found.previous_count, found.points, found.points_in_all) == (3, 99, 2, [0, 0], 3)
        assert (none.count, none.points) == (0, [])


async def test_workers_are_those_of_this_queue_and_not_of_one_that_begins_alike(redis_url: str):
    """Bull lists the workers of abcd under abc."""
    async with queue_at(redis_url, "abc") as queue, queue_at(redis_url, "abcd") as longer:
        for of in (queue, longer):
            client = of.server.connection(name=of.keys.client_name)
            await client.ping()
            of.opened = client  # type: ignore[attr-defined]

        assert [worker["name"] for worker in await queue.workers()] == [queue.keys.client_name]
        for of in (queue, longer):
            await of.opened.aclose()  # type: ignore[attr-defined]
