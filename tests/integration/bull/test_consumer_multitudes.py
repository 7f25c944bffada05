"""Very many jobs at once: a fleet that died with its hands full, a night of delayed mail. Nothing is lost, and Redis serves others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from at_work import queue_at, working
from kayan_workers.bull.line import now_ms
from redis.asyncio import Redis
from waiting import wait_until

SLOW_MICROSECONDS = 1_000_000
"""Far above what any of our scripts may take (a few hundredths of a second), far below what a quadratic one takes."""

UNHURRIED = {"stalled_interval_ms": 0, "lock_duration_ms": 60_000, "lock_renew_ms": 20_000, "grace_seconds": 60.0}
"""For what is not about locks: with so many jobs in ``active``, a finish takes Redis milliseconds, and on a busy machine many of them."""

FILL = """
local base, list, from, to, due = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
for id = from, to do
  local priority = list == "delayed" and id % 100 == 0 and 1 or 0
  redis.call("HSET", base .. id, "name", "x", "data", "{}", "opts", "{}", "timestamp", 1, "delay", 0, "priority", priority)
  if list == "delayed" then
    redis.call("ZADD", base .. list, due * 4096 + id, id)
  else
    redis.call("LPUSH", base .. list, id)
  end
end
"""

COUNT_STALLS = """
local counts = {0, 0, 0}
for id = 1, tonumber(ARGV[1]) do
  local stalls = tonumber(redis.call("HGET", KEYS[1] .. id, "stalledCounter") or 0)
  counts[stalls + 1] = counts[stalls + 1] + 1
end
return counts
"""


async def fill(redis: Redis, which: str, count: int) -> None:
    """Jobs 1 to ``count``, in the list ``which`` in this order, or all due a second ago."""
    for first in range(1, count + 1, 10_000):
        last = min(first + 9_999, count)
        await redis.eval(FILL, 1, "bull:mail:", which, first, last, now_ms() - 1000)  # type: ignore[misc]


@asynccontextmanager
async def never_blocked(redis: Redis) -> AsyncIterator[None]:
    """Fails when a single command or script kept Redis from everybody else for as long as a second."""
    before = (await redis.config_get("slowlog-log-slower-than"))["slowlog-log-slower-than"]
    await redis.config_set("slowlog-log-slower-than", SLOW_MICROSECONDS)
    await redis.slowlog_reset()
    try:
        yield
        slow = await redis.slowlog_get(10)
    finally:
        await redis.config_set("slowlog-log-slower-than", before)
    assert [(entry["duration"], entry["command"][:60]) for entry in slow] == []


async def nothing(job: Any) -> None:
    """The empty handler."""


async def test_fifty_thousand_jobs_of_a_fleet_that_died_wait_again_in_their_order(redis_url: str, redis: Redis) -> None:
    """A second of their locks is still there: whose worker lives keeps its job."""
    count = 50_000
    await fill(redis, "active", count)
    await redis.set("bull:mail:777:lock", "the token of one that lives", px=600_000)
    async with queue_at(redis_url) as queue, never_blocked(redis), working(queue, nothing) as (consumer, seen):
        consumer.pause_locally()
        await wait_until(lambda: redis.llen("bull:mail:wait"), 30, what="the second pass")
        await wait_until(lambda: _all_but_one(redis, count), 30, what="all but one of them recovered")
        waiting = await redis.lrange("bull:mail:wait", 0, -1)
        said = [job_id for name, _, ids in seen.calls if name == "jobs_stalled" for job_id in ids]
        assert await redis.smembers("bull:mail:stalled") == {"777"}
    assert waiting[::-1] == [str(number) for number in range(1, count + 1) if number != 777]
    assert len(said) == len(set(said)) == count - 1
    assert await redis.eval(COUNT_STALLS, 1, "bull:mail:", count) == [1, count - 1, 0]  # type: ignore[misc]
    assert await redis.lrange("bull:mail:active", 0, -1) == ["777"]


async def _all_but_one(redis: Redis, count: int) -> bool:
    return await redis.llen("bull:mail:wait") == count - 1


async def test_thousands_that_stalled_too_often_fail_each_by_its_own_policy(redis_url: str, redis: Redis) -> None:
    """Half of them ask to be forgotten; the others stay, with Bull's reason."""
    count = 5_000
    await fill(redis, "active", count)
    pipe = redis.pipeline(transaction=False)
    for number in range(1, count + 1):
        fields = {"stalledCounter": "1"} | ({"opts": '{"removeOnFail":true}'} if number % 2 else {})
        pipe.hset(f"bull:mail:{number}", mapping=fields)
        pipe.sadd("bull:mail:stalled", number)
    await pipe.execute()
    async with queue_at(redis_url) as queue, never_blocked(redis), working(queue, nothing) as (_, seen):
        await wait_until(lambda: sum(len(ids) for name, _, ids in seen.calls if name == "jobs_given_up") == count, 30)
    assert await redis.zcard("bull:mail:failed") == count // 2
    assert await redis.exists("bull:mail:1", "bull:mail:3", "bull:mail:active", "bull:mail:wait") == 0
    assert await redis.hget("bull:mail:2", "failedReason") == "job stalled more than allowable limit"
    assert seen.said("job_started") == []


@pytest.mark.parametrize(("count", "others"), [(100_000, 0), (3_000, 200_000)])
async def test_very_many_jobs_due_at_once_run_each_once(redis_url: str, redis: Redis, count: int, others: int) -> None:
    """In their order, the urgent ones ahead of the others, while a worker takes them; however many others are being worked meanwhile."""
    await fill(redis, "delayed", count)
    for _ in range(0, others, 50_000):
        await redis.lpush("bull:mail:active", *["another"] * 50_000)
    async with queue_at(redis_url) as queue, never_blocked(redis):
        async with working(queue, nothing, concurrency=20, settings=UNHURRIED) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) >= 1000, 60, what="a thousand jobs done")
            await wait_until(lambda: _none_delayed(redis), 60, what="all promoted")
        done = seen.said("job_completed")
        left = await redis.lrange("bull:mail:wait", 0, -1)
        assert await redis.llen("bull:mail:active") == others
    started = [int(job_id) for job_id in seen.said("job_started")]
    assert sorted(started) == sorted(int(job_id) for job_id in done)
    assert len(done) + len(left) == count == len({*done, *left})
    for some in ([number for number in started if number % 100 == 0], [number for number in started if number % 100]):
        assert some == sorted(some)
    assert started[0] == 100


async def _none_delayed(redis: Redis) -> bool:
    return not await redis.exists("bull:mail:delayed")
