"""Repeatable jobs on a real Redis: chains that go on, and chains that are mended. Wire document 3.19, W20."""

from __future__ import annotations

import datetime as dt
import logging
import time
from typing import Any

import pytest
from at_work import queue_at, working
from kayan_workers.bull import repeat
from kayan_workers.bull.errors import ScheduleEnded
from kayan_workers.bull.options import JobOptions, Repeat
from kayan_workers.bull.queue import BulkJob, Queue
from redis.asyncio import Redis
from waiting import wait_until

HOURLY = JobOptions(repeat=Repeat(every_ms=3_600_000))
HOUR = 3_600_000


async def take(queue: Queue, redis: Redis, job_id: str) -> None:
    """Take a delayed job up, as a worker does."""
    await redis.zrem("bull:mail:delayed", job_id)
    await redis.lpush("bull:mail:active", job_id)


async def pending(queue: Queue) -> list[tuple[int, int]]:
    """Slot and count of every run that is to come."""
    return [(job.opts["prevMillis"], job.opts["repeat"]["count"]) for job in await queue.jobs("delayed")]


async def test_a_schedule_is_a_member_of_the_set_and_one_delayed_job(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        first = await queue.add({"n": 1}, name="tick", options=HOURLY)
        again = await queue.add({"n": 1}, name="tick", options=HOURLY)

        [schedule] = await queue.repeatables()
        assert (schedule.key, schedule.every_ms, schedule.next_ms) == ("tick:::3600000", HOUR, first.opts["prevMillis"])
        assert again.id == first.id == f"{first.id[:40]}{schedule.next_ms}"
        assert await redis.zrange("bull:mail:delayed", 0, -1) == [first.id]
        stored = await queue.get_job(first.id)
        assert stored is not None
        assert (stored.data, stored.opts) == ({"n": 1}, first.opts)
        assert stored.timestamp_ms + stored.delay_ms == schedule.next_ms


async def test_a_worker_carries_the_schedule_on_to_its_limit(redis_url: str):
    runs: list[int] = []

    async def note(job: object) -> None:
        runs.append(job.opts["repeat"]["count"])  # type: ignore[attr-defined]

    async with queue_at(redis_url) as queue, working(queue, note):
        await queue.add({}, options=JobOptions(repeat=Repeat(every_ms=200, limit=4)))
        await wait_until(lambda: len(runs) >= 4)
        await wait_until(lambda: _is_quiet(queue))

        assert runs == [1, 2, 3, 4]
        assert await repeat.repair(queue) == 0


async def _is_quiet(queue: Queue) -> bool:
    counts = await queue.counts()
    return not counts.backlog + counts.delayed


async def test_the_next_run_keeps_data_name_priority_and_own_members(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        options = JobOptions(attempts=5, priority=3, extra={"team": "a"}, repeat=Repeat(cron="0 5 * * *", tz="Europe/Berlin", job_id="x"))
        first = await queue.add({"text": "Grüße"}, name="report", options=options)
        await take(queue, redis, first.id)
        await repeat.schedule_next(queue, first)

        [second] = await queue.jobs("delayed")
        assert (second.name, second.data, second.priority) == ("report", {"text": "Grüße"}, 3)
        assert (second.opts["attempts"], second.opts["team"], second.opts["repeat"]["count"]) == (5, "a", 2)
        slots = [dt.datetime.fromtimestamp(job.opts["prevMillis"] / 1000, dt.UTC) for job in (first, second)]
        assert slots[1] - slots[0] in (dt.timedelta(hours=23), dt.timedelta(hours=24), dt.timedelta(hours=25))


async def test_scheduling_the_same_run_twice_makes_one(redis_url: str, redis: Redis):
    """Again on each retry of an iteration."""
    async with queue_at(redis_url) as queue:
        first = await queue.add({}, options=HOURLY)
        await take(queue, redis, first.id)
        for _ in range(3):
            await repeat.schedule_next(queue, first)

        assert await pending(queue) == [(first.opts["prevMillis"] + HOUR, 2)]


async def test_a_removed_schedule_is_not_carried_on(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        first = await queue.add({}, options=HOURLY)
        await take(queue, redis, first.id)
        assert HOURLY.repeat is not None
        assert await queue.remove_repeatable(HOURLY.repeat)
        await repeat.schedule_next(queue, first)

        assert await queue.repeatables() == await queue.ids("delayed") == []
        assert not await queue.remove_repeatable(HOURLY.repeat)
        assert not await redis.exists("kayan:schedules:bull:mail")


@pytest.mark.parametrize(("name", "options"), [
    ("tick", Repeat(every_ms=HOUR)),
    ("tick", Repeat(cron="0 5 * * *", tz="Europe/Berlin", job_id="own", end_date="2035-01-01T00:00:00Z")),
    ("name:with:colons", Repeat(cron="0 5 * * *", job_id="id:too")),
])
async def test_a_schedule_is_removed_by_its_key(redis_url: str, redis: Redis, name: str, options: Repeat):
    """Bull cannot remove those whose name has a colon."""
    async with queue_at(redis_url) as queue:
        await queue.add({}, name=name, options=JobOptions(repeat=options))
        [schedule] = await queue.repeatables()
        assert (schedule.name, schedule.job_id, schedule.tz) == (name, options.job_id, options.tz)
        await redis.delete("kayan:schedules:bull:mail")  # as if a Node process had made it

        assert await queue.remove_repeatable_by_key(schedule.key)
        assert set(await redis.keys("bull:*")) == {"bull:mail:id"}


async def test_a_bulk_may_start_schedules(redis_url: str):
    """Bull's addBulk does not (#1731)."""
    async with queue_at(redis_url) as queue:
        added = await queue.add_bulk([BulkJob({"n": 1}), BulkJob({"n": 2}, options=HOURLY), BulkJob({"n": 3})])

        assert [job.data["n"] for job in added] == [1, 2, 3]
        assert len(await queue.repeatables()) == 1


async def test_a_schedule_without_a_run_left_is_refused(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        with pytest.raises(ScheduleEnded, match="no run left"):
            await queue.add({}, options=JobOptions(repeat=Repeat(cron="0 5 * * *", end_date="2020-01-01")))
        with pytest.raises(ValueError, match="minute"):
            await queue.add({}, options=JobOptions(repeat=Repeat(cron="99 5 * * *")))

        assert await redis.keys("*") == []


# -- mending ---------------------------------------------------------------------------------------------------------------------


async def test_a_healthy_queue_is_left_alone(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        one = await queue.add({}, name="one", options=HOURLY)
        await queue.add({}, name="two", options=HOURLY)
        await take(queue, redis, one.id)
        before = await redis.get("bull:mail:id")

        assert await repeat.repair(queue) == 0
        assert await redis.get("bull:mail:id") == before


async def test_a_run_that_vanished_is_scheduled_as_it_was(redis_url: str, redis: Redis):
    """By Bull's clean, a UI, or a crash of Bull between its two steps."""
    async with queue_at(redis_url) as queue:
        first = await queue.add({"n": 1}, options=HOURLY)
        await redis.delete("bull:mail:delayed", f"bull:mail:{first.id}")

        assert await repeat.repair(queue) == 1
        [again] = await queue.jobs("delayed")
        assert (again.id, again.data, again.opts["repeat"]) == (first.id, {"n": 1}, first.opts["repeat"])


async def test_an_orphaned_hash_does_not_silence_a_schedule(redis_url: str, redis: Redis):
    """Window W19: what Bull's empty() leaves."""
    async with queue_at(redis_url) as queue:
        first = await queue.add({"n": 1}, options=HOURLY)
        await redis.delete("bull:mail:delayed")
        await redis.delete("kayan:schedules:bull:mail")

        assert await repeat.repair(queue) == 1
        assert await queue.ids("delayed") == [first.id]


async def test_a_run_that_a_foreign_consumer_finished_without_going_on_is_followed(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        first = await queue.add({}, options=HOURLY)
        await redis.delete("bull:mail:delayed", "kayan:schedules:bull:mail")
        await redis.zadd("bull:mail:completed", {first.id: time.time() * 1000})

        assert await repeat.repair(queue) == 1
        assert await pending(queue) == [(first.opts["prevMillis"] + HOUR, 2)]


async def test_a_schedule_that_nothing_is_left_of_is_reported(redis_url: str, redis: Redis, caplog: pytest.LogCaptureFixture):
    async with queue_at(redis_url) as queue:
        first = await queue.add({"secret": "payload"}, options=HOURLY)
        await redis.delete("bull:mail:delayed", f"bull:mail:{first.id}", "kayan:schedules:bull:mail")

        with caplog.at_level(logging.WARNING):
            assert await repeat.repair(queue) == 0
        assert "__default__:::3600000" in caplog.text
        assert "secret" not in caplog.text


async def test_removing_the_pending_run_skips_it(redis_url: str):
    async with queue_at(redis_url) as queue:
        first = await queue.add({}, options=HOURLY)
        await queue.remove(first.id)

        assert await pending(queue) == [(first.opts["prevMillis"] + HOUR, 2)]


async def test_schedules_outlive_cleaning_and_removal_by_pattern(redis_url: str):
    """Also those that Node made, of which there is no copy beforehand."""
    async with queue_at(redis_url) as queue:
        await queue.add({"n": 1}, name="one", options=HOURLY)
        await queue.add({"n": 2}, name="two", options=HOURLY)
        for number in range(2):
            await queue.server.commands.delete(queue.keys.schedules)
            removed = await queue.clean(-10**9, "delayed") if number else await queue.remove_matching("repeat:*")

            assert len(removed) == 2
            assert sorted(job.data["n"] for job in await queue.jobs("delayed")) == [1, 2]
            assert not set(removed) & set(await queue.ids("delayed"))


# -- when a schedule ends, and what a worker makes of a calendar ---------------------------------------------------------------------


async def test_a_worker_ends_a_schedule_at_its_end_date(redis_url: str):
    runs: list[int] = []

    async def note(job: Any) -> None:
        runs.append(job.opts["prevMillis"])

    end = int(time.time() * 1000) + 1000
    async with queue_at(redis_url) as queue, working(queue, note):
        await queue.add({}, options=JobOptions(repeat=Repeat(every_ms=200, end_date=end)))
        await wait_until(lambda: runs and time.time() * 1000 > end)
        await wait_until(lambda: _is_quiet(queue))

        assert runs == sorted(set(runs))
        assert all(slot % 200 == 0 for slot in runs)
        assert max(runs) <= end + 200  # as in Bull: the run that was scheduled before the end takes place
        assert await repeat.repair(queue) == 0


async def test_a_worker_runs_a_cron_schedule_at_its_slots(redis_url: str):
    """Six fields, the first of them seconds, in a time zone that is half an hour off."""
    runs: list[tuple[int, int]] = []

    async def note(job: Any) -> None:
        runs.append((job.opts["prevMillis"], job.opts["repeat"]["count"]))

    async with queue_at(redis_url) as queue, working(queue, note):
        first = await queue.add({}, options=JobOptions(repeat=Repeat(cron="* * * * * *", tz="Asia/Kolkata", limit=2)))
        await wait_until(lambda: len(runs) == 2)
        await wait_until(lambda: _is_quiet(queue))
    slot = first.opts["prevMillis"]
    assert slot % 1000 == 0
    assert runs == [(slot, 1), (slot + 1000, 2)]
