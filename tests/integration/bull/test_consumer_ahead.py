"""Quick work is claimed one call ahead of its slots; slow work never."""

from __future__ import annotations

import asyncio
from typing import Any

from at_work import queue_at, working
from redis.asyncio import Redis
from waiting import wait_until


async def test_quick_work_is_claimed_ahead_and_never_runs_in_more_slots_than_asked_for(redis_url: str) -> None:
    running = most_running = most_claimed = 0

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}}] * 3000)

        async def work(job: Any) -> None:
            nonlocal running, most_running, most_claimed
            running += 1
            most_running = max(most_running, running)
            most_claimed = max(most_claimed, consumer.in_flight)
            await asyncio.sleep(0)
            running -= 1

        async with working(queue, work, concurrency=4) as (consumer, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 3000)
    assert most_running == 4
    assert most_claimed > 4


async def test_jobs_claimed_ahead_go_back_to_the_head_of_the_line_when_the_work_turns_slow(redis_url: str, redis: Redis) -> None:
    go = asyncio.Event()

    async def work(job: Any) -> None:
        if job.data["slow"]:
            await go.wait()

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {"slow": n >= 600}} for n in range(608)])
        async with working(queue, work, concurrency=4) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 600)
            await wait_until(lambda: redis.llen("bull:mail:wait"))
            assert await redis.lrange("bull:mail:wait", 0, -1) == ["608", "607", "606", "605"]
            assert await redis.lrange("bull:mail:active", 0, -1) == ["604", "603", "602", "601"]
            go.set()
            await wait_until(lambda: len(seen.said("job_completed")) == 608)
    assert sorted(seen.said("job_completed"), key=int) == [str(n) for n in range(1, 609)]
    assert not [n for n in range(1, 609) if await redis.hexists(f"bull:mail:{n}", "stalledCounter")]


async def test_slow_work_is_never_claimed_ahead(redis_url: str) -> None:
    most_claimed = 0

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}}] * 60)

        async def work(job: Any) -> None:
            nonlocal most_claimed
            most_claimed = max(most_claimed, len([one for one in consumer.running.values() if not one.ended]))
            await asyncio.sleep(0.02)

        async with working(queue, work, concurrency=4) as (consumer, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 60)
    assert most_claimed == 4


async def test_jobs_that_finish_together_leave_another_workers_alone(redis_url: str, redis: Redis) -> None:
    """Three that finish in one call are usually the tail of ``active``; here another's job and a second entry stand among them."""
    go = asyncio.Event()

    async def work(job: Any) -> None:
        await go.wait()

    async with queue_at(redis_url) as queue, working(queue, work, concurrency=4) as (_, seen):
        await queue.add_bulk([{"data": {}}] * 4)
        await wait_until(lambda: len(seen.said("job_started")) == 4)
        await redis.linsert("bull:mail:active", "before", "2", "theirs")
        await redis.lpush("bull:mail:active", "1")
        go.set()
        await wait_until(lambda: len(seen.said("job_completed")) == 4)
        assert await redis.lrange("bull:mail:active", 0, -1) == ["1", "theirs"]
