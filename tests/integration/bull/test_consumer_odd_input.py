"""What producers and handlers get wrong costs the job at hand and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from at_work import queue_at, working
from kayan_workers.bull.line import now_ms
from kayan_workers.bull.options import Backoff, JobOptions
from redis.asyncio import Redis
from waiting import wait_until

FIELDS = {"name": "__default__", "data": "{}", "opts": "{}", "timestamp": "1", "delay": "0", "priority": "0"}


async def nothing(job: Any) -> None:
    """The empty handler."""


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(("error", "reason"), [(ValueError("file \udce9.png"), "file ?.png"), (UnspeakableError(), "UnspeakableError")])
async def test_an_error_that_cannot_be_written_as_it_is_fails_its_job_and_no_other(
    redis_url: str, redis: Redis, error: Exception, reason: str
) -> None:
    async def work(job: Any) -> None:
        if job.data["bad"]:
            raise error

    async with queue_at(redis_url) as queue:
        bad, good = await queue.add({"bad": True}), await queue.add({"bad": False})
        async with working(queue, work, concurrency=2) as (_, seen):
            await wait_until(lambda: seen.said("job_failed") == [bad.id] and seen.said("job_completed") == [good.id])
    assert await redis.hget(f"bull:mail:{bad.id}", "failedReason") == reason


async def test_a_backoff_strategy_that_raises_leaves_the_job_to_its_fixed_delay(redis_url: str) -> None:
    async def work(job: Any) -> None:
        if job.attempt == 1:
            raise ValueError("once")

    def broken(attempts_made: int, error: Exception, options: Any) -> float:
        raise KeyError("no such setting")

    async with queue_at(redis_url) as queue:
        await queue.add({}, options=JobOptions(attempts=2, backoff=Backoff(type="mine", delay_ms=10)))
        async with working(queue, work, settings={"backoff_strategies": {"mine": broken}}) as (_, seen):
            await wait_until(lambda: seen.said("job_completed") == ["1"])
    assert seen.said("job_retried") == ["1"]


async def test_an_id_that_is_no_utf8_is_worked_like_any_other(redis_url: str) -> None:
    """Its lock is renewed, and so is its neighbour's in the same call."""
    go = asyncio.Event()

    async def work(job: Any) -> None:
        job.log("begun")
        await go.wait()

    async with queue_at(redis_url) as queue, Redis.from_url(redis_url) as raw:
        await raw.hset(b"bull:mail:\xff\xfe", mapping=FIELDS)
        await raw.lpush("bull:mail:wait", b"\xff\xfe")
        added = await queue.add({})
        async with working(queue, work, concurrency=2, settings={"lock_duration_ms": 1000, "lock_renew_ms": 300}) as (_, seen):
            await wait_until(lambda: len(seen.said("job_started")) == 2)
            for key in (b"bull:mail:\xff\xfe:lock", b"bull:mail:%s:lock" % added.id.encode()):
                await raw.pexpire(key, 500)
                await wait_until(lambda key=key: _lives_longer(raw, key, 600))
            go.set()
            await wait_until(lambda: len(seen.said("job_completed")) == 2)
        assert await raw.zscore("bull:mail:completed", b"\xff\xfe")
        assert await raw.lrange(b"bull:mail:\xff\xfe:logs", 0, -1) == [b"begun"]
        assert not await raw.exists("bull:mail:active")


async def _lives_longer(raw: Redis, key: bytes, ms: int) -> bool:
    return bool(await raw.pttl(key) > ms)


@pytest.mark.parametrize("odd", [{"stalledCounter": "abc"}, {"priority": "urgent"}, {"opts": '{"removeOnFail":0.5}'}, {"opts": "not json"}])
async def test_a_stalled_job_with_an_odd_hash_is_recovered_with_its_neighbour(redis_url: str, redis: Redis, odd: dict[str, str]) -> None:
    for job_id, fields in (("a", FIELDS | odd), ("b", FIELDS)):
        await redis.hset(f"bull:mail:{job_id}", mapping=fields)
        await redis.lpush("bull:mail:active", job_id)
        await redis.sadd("bull:mail:stalled", job_id)
    async with queue_at(redis_url) as queue, working(queue, nothing) as (_, seen):
        await wait_until(lambda: sorted(seen.said("job_completed")) == ["a", "b"])


@pytest.mark.parametrize("keep", ["0.5", '{"count":1.5,"age":1.5}', "-1"])
async def test_a_job_that_stalls_too_often_fails_whatever_its_retention_says(redis_url: str, redis: Redis, keep: str) -> None:
    for job_id, opts in (("a", f'{{"removeOnFail":{keep}}}'), ("b", "{}")):
        await redis.hset(f"bull:mail:{job_id}", mapping=FIELDS | {"opts": opts, "stalledCounter": "1"})
        await redis.lpush("bull:mail:active", job_id)
        await redis.sadd("bull:mail:stalled", job_id)
    async with queue_at(redis_url) as queue, working(queue, nothing) as (_, seen):
        await wait_until(lambda: seen.said("jobs_given_up"))
        assert not await redis.exists("bull:mail:active", "bull:mail:wait")
        assert await redis.hget("bull:mail:b", "failedReason") == "job stalled more than allowable limit"


async def test_a_delayed_id_that_is_no_job_takes_no_other_with_it(redis_url: str, redis: Redis) -> None:
    await redis.set("bull:mail:odd", "a string where a hash belongs")
    for number, job_id in enumerate(("a", "odd", "b")):
        if job_id != "odd":
            await redis.hset(f"bull:mail:{job_id}", mapping=FIELDS)
        await redis.zadd("bull:mail:delayed", {job_id: (now_ms() - 1000) * 4096 + number})
    async with queue_at(redis_url) as queue, working(queue, nothing) as (_, seen):
        await wait_until(lambda: seen.said("job_completed") == ["a", "b"])
    assert not await redis.exists("bull:mail:delayed")


async def test_many_jobs_due_or_stalled_at_once_all_come_through(redis_url: str, redis: Redis) -> None:
    pipe = redis.pipeline(transaction=False)
    for number in range(6000):
        pipe.hset(f"bull:mail:{number}", mapping=FIELDS | {"opts": '{"removeOnComplete":true}'})
    for number in range(3000):
        pipe.zadd("bull:mail:delayed", {str(number): (now_ms() - 1000) * 4096 + number})
        pipe.lpush("bull:mail:active", str(3000 + number))
        pipe.sadd("bull:mail:stalled", str(3000 + number))
    await pipe.execute()
    async with queue_at(redis_url) as queue, working(queue, nothing, concurrency=50) as (_, seen):
        await wait_until(lambda: len(seen.said("job_completed")) == 6000, timeout=30)
    assert not await redis.exists("bull:mail:active", "bull:mail:delayed", "bull:mail:wait", "bull:mail:completed")


ODD_OPTIONS = [
    '{"attempts":1e30,"backoff":{"type":"exponential","delay":1e300}}',
    '{"attempts":-3,"backoff":{"type":[],"delay":{}}}',
    '{"attempts":[],"backoff":[],"repeat":[],"lifo":{},"debounce":[]}',
    '{"attempts":2,"backoff":{"type":"fixed","delay":-1}}',
    '{"attempts":1e400}',
    '{"timeout":1e300}',
    '{"timeout":-1}',
    '{"timeout":"soon"}',
    '{"delay":1e300}',
    '{"stackTraceLimit":1e300}',
    '{"stackTraceLimit":-5}',
    '{"removeOnComplete":1e300,"removeOnFail":1e300}',
    '{"removeOnComplete":-1.5,"removeOnFail":"yes"}',
    '{"removeOnComplete":{"count":1e300,"age":1e300},"removeOnFail":{"count":[],"age":"old"}}',
    '{"debounce":{"id":{"a":1}}}',
    '{"repeat":{}}',
    '{"repeat":true}',
    '{"repeat":{"every":-5}}',
    '{"repeat":{"every":1e300}}',
    '{"repeat":{"cron":"x","key":5}}',
    '{"repeat":{"cron":"* * * * *","tz":"No/Where"}}',
    '{"repeat":{"every":1000,"endDate":"nonsense"}}',
    '{"repeat":{"every":1000,"limit":"x","count":"y"}}',
    '{"repeat":{"every":1000},"prevMillis":"x"}',
]


@pytest.mark.parametrize("fails", [False, True])
async def test_whatever_stands_in_its_options_a_job_has_an_outcome(redis_url: str, redis: Redis, fails: bool) -> None:
    """All of them at once on one worker, and a good job behind them."""

    async def work(job: Any) -> str:
        if fails and job.id != "good":
            raise ValueError("on purpose")
        return "done"

    odd = {f"odd-{number}": opts for number, opts in enumerate(ODD_OPTIONS)}
    for job_id, opts in (odd | {"good": "{}"}).items():
        await redis.hset(f"bull:mail:{job_id}", mapping=FIELDS | {"opts": opts})
        await redis.lpush("bull:mail:wait", job_id)
    async with queue_at(redis_url) as queue, working(queue, work, concurrency=3) as (consumer, seen):
        names = ("job_failed", "job_retried") if fails else ("job_completed",)
        await wait_until(lambda: {job_id for name in names for job_id in seen.said(name)} >= odd.keys())
        await wait_until(lambda: "good" in seen.said("job_completed"))
        await wait_until(lambda: not consumer.running)
        assert not await redis.exists("bull:mail:active")
