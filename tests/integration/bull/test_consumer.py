"""A consumer on a real Redis: what it takes, what it leaves behind, how it goes."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from at_work import queue_at, server_at, working
from kayan_workers.bull.consumer import Consumer, ConsumerSettings
from kayan_workers.bull.keys import fence
from kayan_workers.bull.options import Backoff, JobOptions
from kayan_workers.bull.server import RedisAddress, Server
from kayan_workers.bull.settle import Limiter
from kayan_workers.errors import NotNowError, PermanentError, TemporaryError
from proxy import Proxy
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from waiting import wait_until

TWICE = JobOptions(attempts=2, backoff=Backoff(type="fixed", delay_ms=50))


async def nothing(job: Any) -> None:
    """The empty handler."""


async def test_a_job_is_worked_and_leaves_no_trace_but_its_result(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue:

        async def double(job: Any) -> int:
            return int(job.data["n"] * 2)

        added = await queue.add({"n": 21})
        async with working(queue, double) as (_, seen):
            await wait_until(lambda: seen.said("job_completed"))
    assert await redis.hget(f"bull:mail:{added.id}", "returnvalue") == "42"
    assert await redis.zrange("bull:mail:completed", 0, -1) == [added.id]
    for left in ("active", "stalled", f"{added.id}:lock"):
        assert not await redis.exists(f"bull:mail:{left}"), left
    assert not await redis.exists("kayan:unstarted:bull:mail")


async def test_a_plain_function_runs_in_a_thread_and_speaks_of_its_progress(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue:

        def work(job: Any) -> str:
            job.progress(40)
            job.log("half way")
            job.progress({"pct": 100})
            return threading.current_thread().name

        added = await queue.add({})
        async with working(queue, work, concurrency=2) as (_, seen):
            await wait_until(lambda: seen.said("job_completed"))
    assert await redis.hget(f"bull:mail:{added.id}", "progress") == '{"pct":100}'
    assert await redis.lrange(f"bull:mail:{added.id}:logs", 0, -1) == ["half way"]
    assert "MainThread" not in str(await redis.hget(f"bull:mail:{added.id}", "returnvalue"))


async def test_the_slots_run_side_by_side_and_no_more_than_asked_for(redis_url: str) -> None:
    running = most = 0

    async def work(job: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {"n": n}} for n in range(60)])
        async with working(queue, work, concurrency=7) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 60)
    assert most == 7


async def test_a_thousand_jobs_run_once_each_and_in_order(redis_url: str) -> None:
    order: list[int] = []

    async def work(job: Any) -> None:
        order.append(job.data["n"])

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {"n": n}} for n in range(1000)])
        async with working(queue, work, concurrency=20) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 1000)
    assert order == list(range(1000))


async def test_a_batch_handler_gets_many_jobs_at_once_and_each_has_an_outcome_of_its_own(redis_url: str) -> None:
    sizes: list[int] = []

    def work(jobs: list[Any]) -> list[Any]:
        sizes.append(len(jobs))
        return [PermanentError("odd") if job.data["n"] % 2 else job.data["n"] for job in jobs]

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {"n": n}} for n in range(50)])
        async with working(queue, work, concurrency=2, batch=20) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) + len(seen.said("job_failed")) == 50)
        assert (await queue.counts()).failed == 25
    assert max(sizes) == 20
    assert len(sizes) <= 5


async def test_a_batch_handler_that_raises_fails_each_of_its_jobs(redis_url: str) -> None:
    def work(jobs: list[Any]) -> list[Any]:
        raise TemporaryError("the database is away")

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {"n": n}} for n in range(5)])
        async with working(queue, work, batch=10) as (_, seen):
            await wait_until(lambda: len(seen.said("job_failed")) == 5)


async def test_a_failed_attempt_waits_and_the_next_one_succeeds(redis_url: str, redis: Redis) -> None:
    async def work(job: Any) -> str:
        if job.attempt == 1:
            raise TemporaryError("not yet")
        return "now"

    async with queue_at(redis_url) as queue:
        added = await queue.add({}, options=TWICE)
        async with working(queue, work) as (_, seen):
            await wait_until(lambda: seen.said("job_completed"))
    assert seen.events == [("job_started", added.id), ("job_retried", added.id), ("job_started", added.id), ("job_completed", added.id)]
    fields = await redis.hmget(f"bull:mail:{added.id}", "attemptsMade", "failedReason", "returnvalue")
    assert fields == ["1", "not yet", '"now"']


async def test_a_job_with_no_room_comes_again_as_often_as_it_takes_and_keeps_its_attempts(redis_url: str, redis: Redis) -> None:
    """A quota that is used up is nobody's failure."""
    runs: list[int] = []
    fields: list[str] = []

    async def work(job: Any) -> str:
        runs.append(job.attempt)
        if len(runs) == 2:
            fields.extend(await redis.hmget(f"bull:mail:{job.id}", "attemptsMade", "failedReason", "stacktrace"))
        if len(runs) <= 3:
            raise NotNowError("the quota is used up", again_in_seconds=0.02)
        if len(runs) == 4:
            raise TemporaryError("not yet")
        return "now"

    async with queue_at(redis_url) as queue:
        added = await queue.add({}, options=TWICE)
        async with working(queue, work) as (_, seen):
            await wait_until(lambda: seen.said("job_completed"))
    assert fields == ["0", "the quota is used up", "[]"]
    assert runs == [1, 1, 1, 1, 2]
    assert [len(seen.said(name)) for name in ("job_postponed", "job_retried", "job_failed")] == [3, 1, 0]
    assert await redis.hget(f"bull:mail:{added.id}", "attemptsMade") == "1"


async def test_a_payload_that_is_no_json_fails_that_job_and_no_other(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue:

        async def work(job: Any) -> Any:
            return job.data

        broken = await queue.add({}, options=TWICE)
        await redis.hset(f"bull:mail:{broken.id}", "data", '{"to":')
        good = await queue.add({"to": "ada"})
        async with working(queue, work) as (_, seen):
            await wait_until(lambda: len(seen.events) >= 4)
    assert seen.said("job_failed") == [broken.id]
    assert seen.said("job_completed") == [good.id]
    assert "data is not JSON" in str(await redis.hget(f"bull:mail:{broken.id}", "failedReason"))


async def test_a_job_whose_hash_has_vanished_is_dropped_and_leaves_no_ghost(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue:
        lost = await queue.add({"n": 1})
        kept = await queue.add({"n": 2})
        await redis.delete(f"bull:mail:{lost.id}")
        async with working(queue, nothing) as (_, seen):
            await wait_until(lambda: seen.said("job_completed"))
        assert seen.said("job_started") == [kept.id]
        assert not await redis.exists(f"bull:mail:{lost.id}")
        assert (await queue.counts()).active == 0


async def test_a_job_that_somebody_else_has_locked_is_left_to_them(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue:
        taken = await queue.add({})
        await redis.set(f"bull:mail:{taken.id}:lock", "another worker's token", px=60_000)
        other = await queue.add({})
        async with working(queue, nothing) as (_, seen):
            await wait_until(lambda: seen.said("job_completed"))
        assert seen.said("job_started") == [other.id]
        assert await redis.lrange("bull:mail:active", 0, -1) == [taken.id]


async def test_a_job_taken_over_by_another_worker_is_left_to_it(redis_url: str, redis: Redis) -> None:
    go = asyncio.Event()

    async def work(job: Any) -> str:
        await go.wait()
        return "too late"

    async with queue_at(redis_url) as queue:
        added = await queue.add({})
        async with working(queue, work, settings={"lock_renew_ms": 60_000}) as (_, seen):
            await wait_until(lambda: seen.said("job_started"))
            await redis.set(f"bull:mail:{added.id}:lock", "another worker's token")
            go.set()
            await wait_until(lambda: seen.said("job_lost"))
        assert await redis.lrange("bull:mail:active", 0, -1) == [added.id]
        assert await redis.hget(f"bull:mail:{added.id}", "returnvalue") is None
        assert await redis.get(f"bull:mail:{added.id}:lock") == "another worker's token"


async def test_a_lost_lock_ends_the_handler(redis_url: str, redis: Redis) -> None:
    ended = asyncio.Event()

    async def work(job: Any) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()

    async with queue_at(redis_url) as queue:
        added = await queue.add({})
        async with working(queue, work, settings={"lock_renew_ms": 150}) as (_, seen):
            await wait_until(lambda: seen.said("job_started"))
            await redis.set(f"bull:mail:{added.id}:lock", "another worker's token")
            await asyncio.wait_for(ended.wait(), 5)
            await wait_until(lambda: seen.said("job_lost"))


async def test_a_handler_that_blocks_the_loop_keeps_its_lock(redis_url: str, redis: Redis) -> None:
    async def work(job: Any) -> None:
        time.sleep(1.5)

    async with queue_at(redis_url) as queue:
        await queue.add({})
        async with working(queue, work, settings={"lock_duration_ms": 500, "lock_renew_ms": 200, "stalled_interval_ms": 200}) as (_, seen):
            await wait_until(lambda: seen.said("job_completed"))
    assert seen.said("job_started") == ["1"]
    assert seen.said("job_lost") == []
    assert await redis.hget("bull:mail:1", "stalledCounter") is None


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_a_timeout_ends_the_work_and_frees_the_slot(redis_url: str, redis: Redis, kind: str) -> None:
    ended: list[str] = []

    async def on_loop(job: Any) -> None:
        try:
            await asyncio.sleep(60 if job.data["long"] else 0)
        finally:
            ended.append(job.id)

    def in_thread(job: Any) -> None:
        until = time.monotonic() + (60 if job.data["long"] else 0)
        try:
            while time.monotonic() < until:
                time.sleep(0.005)
        finally:
            ended.append(job.id)

    async with queue_at(redis_url) as queue:
        slow = await queue.add({"long": True}, options=JobOptions(timeout_ms=150))
        quick = await queue.add({"long": False})
        async with working(queue, on_loop if kind == "async" else in_thread) as (_, seen):
            await wait_until(lambda: seen.said("job_completed"))
    assert ended == [slow.id, quick.id]
    assert await redis.hget(f"bull:mail:{slow.id}", "failedReason") == "Promise timed out after 150 milliseconds"


async def test_a_handlers_own_timeout_error_is_an_ordinary_failure(redis_url: str, redis: Redis) -> None:
    async def work(job: Any) -> None:
        raise TimeoutError("the mail server did not answer")

    async with queue_at(redis_url) as queue:
        await queue.add({}, options=JobOptions(timeout_ms=5000))
        async with working(queue, work) as (_, seen):
            await wait_until(lambda: seen.said("job_failed"))
    assert await redis.hget("bull:mail:1", "failedReason") == "the mail server did not answer"


async def test_stopping_finishes_what_runs_and_hands_back_what_does_not_finish(redis_url: str, redis: Redis) -> None:
    async def work(job: Any) -> None:
        await asyncio.sleep(job.data["seconds"])

    async with queue_at(redis_url) as queue:
        short = await queue.add({"seconds": 0.3})
        long = await queue.add({"seconds": 60})
        later = await queue.add({"seconds": 60})
        async with working(queue, work, concurrency=2, settings={"grace_seconds": 0.8}) as (_, seen):
            await wait_until(lambda: len(seen.said("job_started")) == 2)
        assert seen.said("job_completed") == [short.id]
        assert seen.said("job_handed_back") == [long.id]
        assert [job.id for job in await queue.jobs("waiting")] == [long.id, later.id]
    assert await redis.hmget(f"bull:mail:{long.id}", "stalledCounter", "attemptsMade", "failedReason") == [None, None, None]
    assert not await redis.exists(f"bull:mail:{long.id}:lock", "bull:mail:active", "kayan:unstarted:bull:mail")


async def test_a_retry_or_delayed_job_starts_within_milliseconds_of_its_time(redis_url: str) -> None:
    started: dict[str, float] = {}

    async def work(job: Any) -> None:
        started[job.data["name"]] = time.time() * 1000

    async with queue_at(redis_url) as queue, working(queue, work):
        await asyncio.sleep(0.2)
        due: dict[str, float] = {}
        for name, delay_ms in (("later", 900), ("sooner", 300)):  # the second is due before the first, which the timer knows already
            added = await queue.add({"name": name}, options=JobOptions(delay_ms=delay_ms))
            due[name] = added.timestamp_ms + delay_ms
        await wait_until(lambda: len(started) == 2)
    late = {name: started[name] - due[name] for name in due}
    assert all(-1 <= ms < 250 for ms in late.values()), late


async def test_a_job_is_noticed_at_once_on_an_idle_queue(redis_url: str) -> None:
    async with queue_at(redis_url) as queue, working(queue, nothing, concurrency=3) as (_, seen):
        await asyncio.sleep(0.3)
        for count in range(1, 6):
            await queue.add({})
            await wait_until(lambda count=count: len(seen.said("job_completed")) == count, timeout=2)


async def test_two_workers_take_turns_and_the_survivor_watches_on(redis_url: str) -> None:
    async with queue_at(redis_url) as one, queue_at(redis_url) as other, working(other, nothing, pod="b") as (_, second):
        async with working(one, nothing, pod="a") as (_, first):
            await asyncio.sleep(0.2)
            for _ in range(10):
                await one.add({})
            await wait_until(lambda: len(first.said("job_completed")) + len(second.said("job_completed")) == 10)
        done = len(second.said("job_completed"))
        await one.add({})
        await wait_until(lambda: len(second.said("job_completed")) == done + 1, timeout=3)


async def test_a_burst_of_heavy_jobs_spreads_over_idle_workers(redis_url: str) -> None:
    workers: list[tuple[Consumer, asyncio.Task[None]]] = []
    counts: dict[str, int] = {}

    async def work(job: Any) -> None:
        await asyncio.sleep(1)

    server = server_at(redis_url)
    async with queue_at(redis_url) as queue:
        for name in "abcd":
            consumer = Consumer(
                queue,
                work,
                concurrency=5,
                spread=True,
                pod=name,
                settings=ConsumerSettings(grace_seconds=3),
            )
            workers.append((consumer, asyncio.create_task(consumer.run())))
        await asyncio.sleep(0.5)
        await queue.add_bulk([{"data": {}}] * 12)
        await wait_until(lambda: sum(len(consumer.running) for consumer, _ in workers) == 12)
        counts = {consumer._pod: len(consumer.running) for consumer, _ in workers}
        for consumer, _ in workers:
            consumer.stop()
        await asyncio.gather(*(task for _, task in workers))
    await server.close()
    assert all(2 <= count <= 4 for count in counts.values()), counts


async def test_a_fenced_pod_claims_nothing_and_finishes_what_it_runs(redis_url: str, redis: Redis) -> None:
    go = asyncio.Event()

    async def work(job: Any) -> None:
        await go.wait()

    async with queue_at(redis_url) as queue, working(queue, work, pod="media-7", concurrency=2) as (_, seen):
        await queue.add({})
        await wait_until(lambda: seen.said("job_started"))
        await redis.set(fence("media-7"), "1", px=60_000)
        await queue.add({})
        await wait_until(lambda: seen.said("queue_fenced"))
        go.set()
        await wait_until(lambda: seen.said("job_completed") == ["1"])
        assert seen.said("job_started") == ["1"]
        await redis.delete(fence("media-7"))
        await wait_until(lambda: seen.said("job_completed") == ["1", "2"])


async def test_the_lock_token_names_the_pod(redis_url: str, redis: Redis) -> None:
    async def work(job: Any) -> None:
        await asyncio.sleep(0.4)

    async with queue_at(redis_url) as queue, working(queue, work, pod="email-5d9f-x7") as (_, seen):
        await queue.add({})
        await wait_until(lambda: seen.said("job_started"))
        assert str(await redis.get("bull:mail:1:lock")).startswith("email-5d9f-x7/")


async def test_local_pause_stops_claims_here_and_resume_starts_them(redis_url: str) -> None:
    async with queue_at(redis_url) as queue, working(queue, nothing) as (consumer, seen):
        await asyncio.sleep(0.2)
        consumer.pause_locally()
        await queue.add({})
        await asyncio.sleep(0.5)
        assert seen.events == []
        consumer.resume_locally()
        await wait_until(lambda: seen.said("job_completed") == ["1"])


async def watching(redis: Redis) -> list[str]:
    """The connection of the consumer that has the turn, unless its look has just ended."""
    return [client["id"] for client in await redis.client_list() if client["cmd"] == "blmove"]


async def looks_no_more(redis: Redis, client: str) -> None:
    async def is_it_so() -> bool:
        return client not in await watching(redis)

    await wait_until(is_it_so, 10, what="the look of the one that was paused ends")


async def are_blocked(redis: Redis, count: int) -> bool:
    return int((await redis.info("clients"))["blocked_clients"]) == count


async def test_a_paused_consumer_leaves_the_watch_to_others(redis_url: str, redis: Redis) -> None:
    """One that had the turn gives it back with its first look in vain, and does not take it again."""
    async with queue_at(redis_url) as queue, queue_at(redis_url) as same, working(queue, nothing, pod="a") as (paused, _):
        [first] = await wait_until(lambda: watching(redis), what="the first one watches")
        async with working(same, nothing, pod="b") as (_, seen):
            await wait_until(lambda: are_blocked(redis, 2), what="the second one waits for its turn")
            paused.pause_locally()
            await looks_no_more(redis, first)
            added = await queue.add({})
            await wait_until(lambda: seen.said("job_completed") == [added.id], 2)


async def test_a_paused_consumer_stays_among_the_workers_although_its_connection_is_cut(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue, working(queue, nothing) as (consumer, _):
        [before] = await wait_until(lambda: watching(redis))
        consumer.pause_locally()
        await looks_no_more(redis, before)
        await redis.client_kill_filter(_id=before)
        [after] = await wait_until(queue.workers)
        assert after["id"] != before


async def test_jobs_that_a_claim_brings_to_a_paused_consumer_go_back_to_the_head_of_the_line(redis_url: str, redis: Redis) -> None:
    async with (
        Proxy(urlsplit(redis_url).port or 6379) as proxy,
        queue_at(redis_url) as queue,
        queue_at(proxy.url) as behind,
        working(behind, nothing, concurrency=3) as (consumer, seen),
    ):
        await wait_until(lambda: are_blocked(redis, 1), what="it watches")
        proxy.withhold_replies_to(b"EVALSHA")
        added = [(await queue.add({})).id for _ in range(2)]
        await wait_until(lambda: redis.llen("bull:mail:active"), what="the claim")
        await wait_until(lambda: proxy.holding, what="its answer")
        consumer.pause_locally()
        proxy.release()
        await wait_until(lambda: _are_all(redis, "wait", added), what="they wait again")
        assert await redis.llen("bull:mail:active") == 0
        assert seen.said("job_started") == []
        consumer.resume_locally()
        await wait_until(lambda: sorted(seen.said("job_completed")) == sorted(added))


async def _are_all(redis: Redis, state: str, ids: list[str]) -> bool:
    return sorted(await redis.lrange(f"bull:mail:{state}", 0, -1)) == sorted(ids)


async def test_the_limiter_lets_no_more_start_in_a_window_than_it_says(redis_url: str) -> None:
    starts: list[float] = []

    async def work(job: Any) -> None:
        starts.append(time.monotonic())

    async with queue_at(redis_url) as queue:
        await queue.add_bulk([{"data": {}}] * 6)
        async with working(queue, work, concurrency=5, settings={"limiter": Limiter(2, 500)}) as (_, seen):
            await wait_until(lambda: len(seen.said("job_completed")) == 6, timeout=15)
    assert all(late - early >= 0.45 for early, late in zip(starts, starts[2:], strict=False)), starts


async def test_an_error_in_another_jobs_shape_never_stops_the_consumer(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue:
        await redis.lpush("bull:mail:wait", "not-a-job")
        await redis.set("bull:mail:not-a-job", "a string where a hash belongs")
        added = await queue.add({})
        async with working(queue, nothing) as (_, seen):
            await wait_until(lambda: seen.said("job_completed") == [added.id])


async def test_an_id_without_a_job_behind_it_is_dropped_and_somebody_is_told(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue:
        await redis.lpush("bull:mail:wait", "evicted", "odd")
        await redis.set("bull:mail:odd", "a string where a hash belongs")
        async with working(queue, nothing) as (_, seen):
            await wait_until(lambda: sum(len(ids) for name, _, ids in seen.calls if name == "jobs_dropped") == 2)
        assert [job_id for name, _, ids in seen.calls if name == "jobs_dropped" for job_id in ids] == ["evicted", "odd"]
        assert not await redis.exists("bull:mail:active", "bull:mail:wait", "bull:mail:evicted")


async def test_redis_going_away_and_coming_back_costs_time_and_nothing_else(private_redis: Any) -> None:
    async def work(job: Any) -> int:
        await asyncio.sleep(0.01)
        return int(job.data["n"])

    async with queue_at(private_redis.url) as queue, working(queue, work, concurrency=5) as (_, seen):
        await queue.add_bulk([{"data": {"n": n}} for n in range(300)])
        await wait_until(lambda: len(seen.said("job_completed")) > 50)
        private_redis.restart()
        await wait_until(lambda: len(seen.said("job_completed")) == 300, timeout=40)
        assert sorted(seen.said("job_completed"), key=int) == [str(n) for n in range(1, 301)]
        counts = await queue.counts()
    assert (counts.waiting, counts.active, counts.completed) == (0, 0, 300)


async def test_a_lock_that_expired_while_redis_was_away_is_taken_again(redis_url: str, redis: Redis) -> None:
    go = asyncio.Event()

    async def work(job: Any) -> None:
        await go.wait()

    async with queue_at(redis_url) as queue:
        await queue.add({})
        async with working(queue, work, settings={"lock_renew_ms": 300}) as (_, seen):
            await wait_until(lambda: seen.said("job_started"))
            token = await redis.getdel("bull:mail:1:lock")
            await wait_until(lambda: redis.exists("bull:mail:1:lock"))
            assert await redis.get("bull:mail:1:lock") == token
            go.set()
            await wait_until(lambda: seen.said("job_completed"))
    assert seen.said("job_lost") == []


async def test_listeners_hear_drained_after_the_last_job_whatever_the_concurrency(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue, redis.pubsub() as listener, working(queue, nothing, concurrency=5):
        await asyncio.sleep(0.2)
        await listener.subscribe("bull:mail:completed", "bull:mail:drained")
        await queue.add({})
        heard: list[str] = []

        async def both_came() -> bool:
            if message := await listener.get_message(ignore_subscribe_messages=True, timeout=0.1):
                heard.append(message["channel"])
            return len(heard) >= 2

        await wait_until(both_came)
    assert heard == ["bull:mail:completed", "bull:mail:drained"]


async def test_odd_numbers_in_a_jobs_hash_count_as_nothing(redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url) as queue:
        added = await queue.add({}, options=TWICE)
        await redis.hset(f"bull:mail:{added.id}", mapping={"attemptsMade": "abc", "timestamp": "inf", "priority": "urgent", "delay": ""})
        async with working(queue, nothing) as (_, seen):
            await wait_until(lambda: seen.said("job_completed") == [added.id])


async def test_a_call_on_a_line_whose_transport_is_gone_fails_like_any_lost_connection(redis_url: str) -> None:
    server = server_at(redis_url)
    line = await server.open_line("x")
    line._transport.abort()  # as the network would; the news of it is still on its way
    with pytest.raises(RedisConnectionError):
        await line.send("PING")
    line.tell("PING")
    await wait_until(lambda: not line.is_open)
    with pytest.raises(RedisConnectionError):
        await line.send("PING")
    await server.close()


async def test_a_server_that_does_not_answer_in_time_costs_the_line(redis_url: str, redis: Redis) -> None:
    server = Server(RedisAddress(url=redis_url), call_timeout=0.3)
    line = await server.open_line("x")
    with pytest.raises(RedisTimeoutError):
        await line.send("BLPOP", "nothing", 5)
    assert not line.is_open
    await server.close()
