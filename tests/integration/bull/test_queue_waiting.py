"""Waiting for a job's end and listening, on a real Redis that comes and goes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from at_work import queue_at, working
from kayan_workers.bull.errors import JobFailed, NoSuchJob
from kayan_workers.bull.events import QueueEvent
from kayan_workers.bull.options import JobOptions
from redis.asyncio import Redis
from waiting import wait_until


async def echo(job: Any) -> Any:
    if job.data.get("fail"):
        raise RuntimeError(job.data["fail"])
    return job.data


@pytest.mark.parametrize("keep", [False, True])
async def test_many_wait_for_their_jobs_over_one_subscription(redis_url: str, redis: Redis, keep: bool):
    async with queue_at(redis_url) as queue:
        options = JobOptions(remove_on_complete=not keep, remove_on_fail=not keep)
        jobs = [await queue.add({"n": n} | ({"fail": f"no {n}"} if n % 3 == 0 else {}), options=options) for n in range(12)]
        waiting = [asyncio.create_task(queue.finished(job.id, timeout=10)) for job in jobs]
        await wait_until(lambda: _subscribers(redis))
        assert await _subscribers(redis) == 1
        async with working(queue, echo, concurrency=5):
            endings = await asyncio.gather(*waiting, return_exceptions=True)

        for n, ending in enumerate(endings):
            if n % 3 == 0:
                assert isinstance(ending, JobFailed)
                assert str(ending) == f"no {n}"
            else:
                assert ending == {"n": n}
        await wait_until(lambda: _nobody_listens(redis))


async def _subscribers(redis: Redis) -> int:
    [(_, count)] = await redis.pubsub_numsub("bull:mail:completed")
    return int(count)


async def _nobody_listens(redis: Redis) -> bool:
    return await _subscribers(redis) == 0


async def test_a_job_that_has_ended_already_is_told_at_once(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue, working(queue, echo):
        good, bad = await queue.add({"n": 1}), await queue.add({"fail": "smtp 550"})
        await wait_until(lambda: redis.zcard("bull:mail:completed"))
        await wait_until(lambda: redis.zcard("bull:mail:failed"))

        assert await queue.finished(good.id) == {"n": 1}
        with pytest.raises(JobFailed, match="smtp 550"):
            await queue.finished(bad.id)


async def test_a_lost_message_only_costs_time(redis_url: str, redis: Redis):
    """Window W24: the job ends without anybody being told."""
    async with queue_at(redis_url) as queue:
        job = await queue.add({})
        waiting = asyncio.create_task(queue.finished(job.id))
        await wait_until(lambda: _subscribers(redis))
        await redis.hset(f"bull:mail:{job.id}", "returnvalue", "[1]")
        await redis.zadd("bull:mail:completed", {job.id: 1})

        assert await asyncio.wait_for(waiting, 8) == [1]


async def test_a_job_that_is_gone_is_not_waited_for(redis_url: str):
    """Window W23."""
    async with queue_at(redis_url) as queue:
        with pytest.raises(NoSuchJob, match="no-such"):
            await asyncio.wait_for(queue.finished("no-such"), 5)


async def test_waiting_outlives_a_restart_of_redis(private_redis: Any):
    async with queue_at(private_redis.url) as queue:
        job = await queue.add({})
        waiting = asyncio.create_task(queue.finished(job.id))
        await asyncio.sleep(0.2)
        private_redis.kill()
        await asyncio.sleep(0.3)
        private_redis.start()
        async with Redis.from_url(private_redis.url) as redis:
            await redis.hset(f"bull:mail:{job.id}", "returnvalue", '"done"')
            await redis.zadd("bull:mail:completed", {job.id: 1})

        assert await asyncio.wait_for(waiting, 15) == "done"


async def test_closing_the_queue_ends_the_waiting(redis_url: str):
    async with queue_at(redis_url) as queue:
        job = await queue.add({})
        waiting = asyncio.create_task(queue.finished(job.id))
        await asyncio.sleep(0.2)
        await queue.close()

        with pytest.raises(RuntimeError, match="closed"):
            await asyncio.wait_for(waiting, 5)


async def test_a_listener_hears_the_life_of_a_job_in_order(redis_url: str):
    heard: list[QueueEvent] = []
    async with queue_at(redis_url) as queue, queue.events() as events:
        job = await queue.add({"n": 1})
        async with working(queue, echo):
            async for event in events:
                heard.append(event)
                if event.name == "drained":
                    break

    names = [event.name for event in heard]
    assert names[:3] == ["waiting", "active", "completed"]
    assert (heard[0].job_id, heard[0].token, heard[2].value) == (job.id, queue.token, {"n": 1})


async def test_a_listener_passes_over_what_is_broken(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue, queue.events("completed", "failed") as events:
        await redis.publish("bull:mail:completed", "{broken")
        await redis.publish("bull:mail:failed", json.dumps({"jobId": 'a"b', "val": "no"}))

        assert await anext(events) == QueueEvent("failed", 'a"b', "no")


async def test_a_listener_comes_back_after_a_cut(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue, queue.events("failed") as events:
        hearing = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.1)
        await redis.client_kill_filter(_type="pubsub")

        async def heard() -> bool:
            await redis.publish("bull:mail:failed", json.dumps({"jobId": "1", "val": "no"}))
            return hearing.done()

        await wait_until(heard)
        assert hearing.result().job_id == "1"
