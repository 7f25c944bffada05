"""Adding jobs to a real Redis: together, once, and each for itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from at_work import queue_at
from kayan_workers.bull.adding import MOST_JOBS
from kayan_workers.bull.errors import BulkError, QueueUnreachable
from kayan_workers.bull.options import Debounce, JobOptions
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.server import RedisAddress, Server
from redis.asyncio import Redis
from redis.exceptions import ResponseError


async def calls(redis: Redis) -> int:
    """How many scripts the server has run."""
    stats = await redis.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval"))


async def test_adds_at_the_same_time_share_a_call_and_keep_their_order(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add({})
        before = await calls(redis)
        jobs = await asyncio.gather(*(queue.add({"n": n}) for n in range(300)))
        made = await calls(redis) - before

        assert made <= 2
        assert [job.id for job in jobs] == [str(n + 2) for n in range(300)]
        assert [job.data for job in await queue.jobs("waiting", 1)] == [{"n": n} for n in range(300)]


async def test_a_bulk_of_many_goes_in_calls_of_a_bounded_size(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add({})
        before = await calls(redis)
        added = await queue.add_bulk({"data": {"n": n}} for n in range(2200))

        assert await calls(redis) - before == -(-2200 // MOST_JOBS)
        assert [job.data["n"] for job in added] == list(range(2200))
        assert (await queue.counts()).waiting == 2201


async def test_large_payloads_do_not_share_a_call(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add({})
        before = await calls(redis)
        await queue.add_bulk(BulkJob("x" * 600_000) for _ in range(4))

        assert await calls(redis) - before == 2
        assert await redis.hstrlen("bull:mail:2", "data") == 600_002


async def test_every_length_of_text_arrives_whole(redis_url: str):
    """The script's arguments are packed, and each length has a header of its own."""
    async with queue_at(redis_url) as queue:
        lengths = [0, 1, 15, 16, 31, 32, 127, 128, 255, 256, 65_535, 65_536, 70_000]
        added = await queue.add_bulk(BulkJob("ü" * length, name="n" * (length % 300) or "n") for length in lengths)

        found = [await queue.get_job(job.id) for job in added]
        assert [(job.data, job.name) for job in found if job] == [
            ("ü" * length if length else {}, "n" * (length % 300) or "n") for length in lengths]


class Deaf:
    """A queue's way to Redis on which replies get lost: the call is made, and its connection is cut."""

    def __init__(self, queue: Queue, losses: int) -> None:
        self.losses = losses
        self._open = queue.server.open_line
        queue.server.open_line = self.open_line  # type: ignore[method-assign]

    async def open_line(self, *args: Any, **options: Any) -> Any:
        line = await self._open(*args, **options)
        run = line.run

        async def run_and_lose(*args: Any) -> Any:
            reply = await run(*args)
            if self.losses:
                self.losses -= 1
                line.close()
                raise ConnectionError("the reply is lost")
            return reply

        line.run = run_and_lose  # type: ignore[method-assign]
        return line


async def test_a_lost_reply_does_not_double_an_add(redis_url: str, redis: Redis):
    """Window W21, three times in a row."""
    async with queue_at(redis_url) as queue:
        deaf = Deaf(queue, 3)
        jobs = await asyncio.gather(*(queue.add({"n": n}) for n in range(20)))
        more = await queue.add({"n": 20})

        assert deaf.losses == 0
        assert [job.id for job in [*jobs, more]] == [str(n + 1) for n in range(21)]
        assert await redis.llen("bull:mail:wait") == 21
        assert await redis.get("bull:mail:id") == "21"


async def test_a_call_that_arrives_after_a_later_one_does_nothing(redis_url: str, redis: Redis):
    """Out of the buffer of an old connection, say."""
    async with queue_at(redis_url) as queue:
        await queue.add({})
        await queue.add({})
        lane = queue._lane
        lane._sequence -= 2
        with pytest.raises(ResponseError, match="STALE"):
            await queue.add({})

        assert await redis.llen("bull:mail:wait") == 2


async def test_redis_away_for_too_long_is_an_error_that_says_so():
    server = Server(RedisAddress(host="127.0.0.1", port=1))
    queue = Queue("mail", server, add_deadline_seconds=0.3)
    with pytest.raises(QueueUnreachable, match="1 job for mail"):
        await queue.add({})
    await queue.close()
    await server.close()


async def test_who_closes_without_sending_leaves_no_add_behind():
    """Redis accepts connections and says nothing: an add would wait for its deadline."""
    silent = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    server = Server(RedisAddress(host="127.0.0.1", port=silent.sockets[0].getsockname()[1]), call_timeout=60)
    queue = Queue("mail", server, add_deadline_seconds=60)
    add = asyncio.create_task(queue.add({}))
    await asyncio.sleep(0.2)

    await asyncio.wait_for(queue.close(send_waiting=False), 10)

    with pytest.raises(QueueUnreachable, match="given up"):
        await add
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("adds")] == []
    await server.close()
    silent.close()


async def test_a_full_redis_refuses_a_job_at_once_and_by_name(private_redis: Any):
    async with queue_at(private_redis.url) as queue, Redis.from_url(private_redis.url) as redis:
        await queue.add({})
        await redis.config_set("maxmemory", 1)

        with pytest.raises(ResponseError, match=r"(?i)memory"):
            await queue.add({})
        with pytest.raises(BulkError) as refused:
            await queue.add_bulk([BulkJob({}), BulkJob(object())])
        assert [type(outcome) for outcome in refused.value.outcomes][1] is TypeError

        await redis.config_set("maxmemory", 0)
        assert (await queue.add({})).id == "2"


async def test_an_add_survives_a_flush_of_scripts(redis_url: str, redis: Redis):
    """Window W9."""
    async with queue_at(redis_url) as queue:
        await queue.add({})
        await redis.script_flush()
        assert len(await queue.add_bulk(BulkJob({}) for _ in range(3))) == 3
        assert await redis.llen("bull:mail:wait") == 4


async def test_an_automatic_id_passes_over_a_number_that_is_taken(redis_url: str, redis: Redis):
    """Window W22: a Node producer may have given a number as custom id."""
    await redis.hset("bull:mail:2", mapping={"name": "theirs", "data": "{}"})
    await redis.hset("bull:mail:5", mapping={"name": "theirs", "data": "{}"})
    async with queue_at(redis_url) as queue:
        jobs = await queue.add_bulk(BulkJob({}) for _ in range(4))

        assert len({job.id for job in jobs} | {"2", "5"}) == 6
        assert await redis.hget("bull:mail:2", "name") == await redis.hget("bull:mail:5", "name") == "theirs"
        assert await redis.llen("bull:mail:wait") == 4


async def test_the_same_id_twice_in_one_call_is_one_job(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        jobs = await queue.add_bulk(BulkJob({"n": n}, options=JobOptions(job_id="order-1")) for n in range(3))

        assert {job.id for job in jobs} == {"order-1"}
        assert await redis.lrange("bull:mail:wait", 0, -1) == ["order-1"]
        assert await redis.hget("bull:mail:order-1", "data") == '{"n":0}'
        assert await redis.get("bull:mail:id") == "3"


async def test_a_debounce_id_whose_job_is_gone_holds_nobody_up(redis_url: str, redis: Redis):
    """Window W19: Bull's empty() leaves the id taken, and every later add returned a dead job."""
    await redis.set("bull:mail:de:digest", "99")
    async with queue_at(redis_url) as queue:
        first = await queue.add({}, options=JobOptions(debounce=Debounce(id="digest")))
        second = await queue.add({}, options=JobOptions(debounce=Debounce(id="digest")))

        assert first.id == second.id == "1"
        assert await redis.lrange("bull:mail:wait", 0, -1) == ["1"]
        assert await redis.hget("bull:mail:1", "deid") == "digest"


async def test_a_debounce_by_time_outlives_its_job(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        options = JobOptions(debounce=Debounce(id="digest", ttl_ms=60_000))
        first = await queue.add({}, options=options)
        await redis.delete(f"bull:mail:{first.id}")

        assert (await queue.add({}, options=options)).id == first.id


async def test_jobs_added_while_paused_wait_in_paused(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.pause()
        await queue.add_bulk([BulkJob({}), BulkJob({}, options=JobOptions(priority=1)), BulkJob({}, options=JobOptions(lifo=True))])

        assert await redis.lrange("bull:mail:paused", 0, -1) == ["1", "2", "3"]
        assert not await redis.exists("bull:mail:wait")


async def test_a_key_of_the_wrong_type_fails_before_anything_is_written(redis_url: str, redis: Redis):
    await redis.set("bull:mail:wait", "not a list")
    async with queue_at(redis_url) as queue:
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await queue.add({})

    assert await redis.keys("*") == ["bull:mail:wait"]


async def test_a_group_key_becomes_part_of_the_id(redis_url: str, redis: Redis):
    """Section 3.20: a limiter groups jobs by the end of their id."""
    async with queue_at(redis_url, group_key="tenant") as queue:
        job = await queue.add({"tenant": "acme"}, options=JobOptions(job_id="order-1"))
        other = await queue.add({"tenant": "acme"})

        assert job.id == "order-1:acme"
        assert other.id.endswith(":acme")
        assert json.loads(await redis.hget(f"bull:mail:{job.id}", "opts") or "")["jobId"] == job.id


async def test_defaults_of_the_queue_reach_every_job(redis_url: str):
    async with queue_at(redis_url, defaults=JobOptions(attempts=3, remove_on_complete=100)) as queue:
        plain, own = await queue.add({}), await queue.add({}, options=JobOptions(attempts=1))

        assert (plain.opts["attempts"], plain.opts["removeOnComplete"], own.opts["attempts"]) == (3, 100, 1)


async def test_an_add_that_is_cancelled_before_it_went_out_adds_nothing(redis_url: str, redis: Redis):
    async with queue_at(redis_url) as queue:
        await queue.add({})
        adding = asyncio.create_task(queue.add({}))
        await asyncio.sleep(0)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        await queue.add({})

        assert await redis.llen("bull:mail:wait") == 2
