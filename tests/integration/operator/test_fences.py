"""Fences on real servers, with real consumers: whoever is found idle holds no job and gets none."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from kayan_operator.queues import fences as fences_of
from kayan_operator.queues.fences import (
    FENCE_SECONDS,
    Busy,
    Chosen,
    Fences,
    OutdatedTermError,
    Term,
    UnfenceableError,
    choose_on_all,
    places,
)
from kayan_workers.bull import watch
from kayan_workers.bull.ending import end
from kayan_workers.bull.keys import Keys, fence
from kayan_workers.bull.keys import term as key_of_term
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.server import RedisAddress, Server
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis_process import ClusterGroup, RedisProcess, running
from waiting import wait_until
from wire.party import Party
from wire.peer import NodePeer
from wire.worker_process import WorkerProcess

MAIL, FILM = Keys("mail"), Keys("film")
PODS = ("a", "b", "c", "d")
TERM, NEXT_TERM = Term("lease", 4), Term("lease", 5)


async def hold(redis: Any, keys: Keys, job: object, token: str | None, started: float | None = 0) -> None:
    """A job that is active, locked under a token, started so many seconds ago."""
    await redis.lpush(keys.active, job)
    if token is not None:
        await redis.set(keys.lock(str(job)), token, px=60_000)
    if started is not None:
        await redis.hset(keys.job(str(job)), "processedOn", int((time.time() - started) * 1000))


async def fill(redis: Redis, count: int) -> None:
    """So many active jobs of seven pods."""
    async with redis.pipeline() as pipe:
        for number in range(count):
            pipe.lpush(MAIL.active, number)
            pipe.set(MAIL.lock(str(number)), f"pod-{number % 7}/x.{number}")
        await pipe.execute()


def jobs(busy: dict[str, Busy] | Any) -> dict[str, int]:
    return {pod: one.jobs for pod, one in busy.items()}


class TestEachVersion:
    @pytest.fixture
    def fences(self, each: Server) -> Fences:
        [fences] = places(each, [MAIL, FILM], TERM)
        return fences

    async def test_the_first_idle_candidates_are_fenced_and_the_busy_told(self, fences: Fences, each_redis: Redis) -> None:
        await hold(each_redis, MAIL, 1, "b/x1.1", started=100)
        await hold(each_redis, MAIL, 2, "b/x2.2", started=20)
        await hold(each_redis, FILM, 1, "b/x1.1", started=50)
        await hold(each_redis, FILM, 2, "other/x1.1", started=10)

        chosen = await fences.choose(PODS, 2, ttl_ms=60_000)

        assert chosen.idle == ("a", "c")
        assert jobs(chosen.busy) == {"b": 3, "other": 1}
        assert round(chosen.busy["b"].oldest_started_seconds or 0, -1) == 100
        assert round(chosen.busy["other"].oldest_started_seconds or 0, -1) == 10
        assert await fences.fenced([*PODS, "other"]) == {"a", "c"}
        assert sorted(await each_redis.keys("kayan:fence:*")) == [fence("a"), fence("c")]
        assert 50_000 < await each_redis.pttl(fence("a")) <= 60_000

    async def test_fewer_are_fenced_when_not_so_many_are_idle(self, fences: Fences, each_redis: Redis) -> None:
        for number, pod in enumerate(PODS):
            await hold(each_redis, FILM, number, f"{pod}/token")
        assert (await fences.choose(PODS, 4, ttl_ms=60_000)).idle == ()
        await each_redis.delete(FILM.lock("2"))
        assert (await fences.choose(PODS, 4, ttl_ms=60_000)).idle == ("c",)
        assert (await fences.choose(PODS, 0, ttl_ms=60_000)).idle == ()

    async def test_jobs_without_a_lock_or_a_hash_belong_to_nobody(self, fences: Fences, each_redis: Redis) -> None:
        await hold(each_redis, MAIL, "unlocked", None)
        await hold(each_redis, MAIL, "hashless", "a/x", started=None)
        await hold(each_redis, MAIL, "no-hash", "a/x", started=None)
        await each_redis.set(MAIL.job("no-hash"), "text")
        await hold(each_redis, MAIL, "node", "95262fd7-8d0c-4a7c-b5a5-8f0b8f2c9a0b")
        chosen = await fences.choose(PODS, 4, ttl_ms=60_000)
        assert chosen == Chosen(("b", "c", "d"), {"a": Busy(2, None)})

    async def test_a_fence_stands_until_it_is_lifted_or_its_time_is_over(self, fences: Fences, each_redis: Redis) -> None:
        await fences.fence(["a", "b"], ttl_ms=60_000)
        await fences.fence(["c"], ttl_ms=1)

        async def has_fallen() -> bool:
            return not await each_redis.exists(fence("c"))

        await wait_until(has_fallen)
        assert await fences.renew(["a", "c", "never"], ttl_ms=90_000) == {"a"}
        assert await each_redis.pttl(fence("a")) > 60_000
        await fences.lift(["a"])
        assert await fences.fenced(["a", "b", "c"]) == {"b"}
        await fences.lift([])
        await fences.fence([], ttl_ms=1)
        assert await fences.renew([], ttl_ms=1) == await fences.fenced([]) == set()

    @pytest.mark.parametrize("count", [4500, 5500])
    async def test_long_lists_are_read_to_their_end(self, fences: Fences, each_redis: Redis, count: int) -> None:
        await fill(each_redis, count)
        await each_redis.hset(MAIL.job("0"), "processedOn", int((time.time() - 500) * 1000))
        await hold(each_redis, FILM, 1, "pod-0/x")
        busy, chosen = await fences.busy(), await fences.choose(["pod-6", "pod-7", "pod-8"], 1, ttl_ms=60_000)
        assert sum(one.jobs for one in busy.values()) == count + 1
        assert jobs(busy) == jobs(chosen.busy)
        assert chosen.idle == ("pod-7",)
        assert await fences.fenced([f"pod-{number}" for number in range(9)]) == {"pod-7"}
        assert round(busy["pod-0"].oldest_started_seconds or 0, -1) == 500

    async def test_a_queue_that_cannot_be_read_lets_nobody_be_fenced(self, fences: Fences, each_redis: Redis) -> None:
        await each_redis.set(FILM.active, "text")
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await fences.choose(PODS, 4, ttl_ms=60_000)
        assert await fences.fenced(PODS) == set()

    async def test_queues_with_a_hash_tag_have_fences_of_their_own(self, each: Server, each_redis: Redis) -> None:
        tagged = Keys("mail", "{bull}")
        [fences] = places(each, [MAIL, tagged], TERM)
        assert (await fences.choose(["a"], 1, ttl_ms=60_000)).idle == ("a",)
        assert sorted(await each_redis.keys("kayan:fence:*")) == [MAIL.fence("a"), tagged.fence("a")]
        await each_redis.delete(tagged.fence("a"))
        assert await fences.fenced(["a"]) == set(), "it may claim from one of them"
        assert await fences.renew(["a"], ttl_ms=60_000) == set()

    async def test_a_leader_that_has_a_successor_neither_fences_nor_lifts(self, each: Server, each_redis: Redis) -> None:
        [old], [new] = places(each, [MAIL, FILM], TERM), places(each, [MAIL], NEXT_TERM)
        await old.fence(["a"], ttl_ms=60_000)
        assert (await new.choose(PODS, 2, ttl_ms=60_000)).idle == ("a", "b")
        attempts = (old.choose(["c"], 1, ttl_ms=60_000), old.fence(["c"], ttl_ms=60_000), old.lift(PODS), old.renew(PODS, ttl_ms=90_000))
        for wanted in attempts:
            with pytest.raises(OutdatedTermError, match="term 4 is over"):
                await wanted
        assert await new.fenced(PODS) == {"a", "b"}
        assert await each_redis.pttl(fence("b")) <= 60_000
        assert await old.busy() == {}, "who only looks may look"
        await new.lift(["a"])
        assert await new.fenced(PODS) == {"b"}

    async def test_a_new_leader_need_not_fence_anybody_to_be_the_newer_one(self, each: Server, each_redis: Redis) -> None:
        [old], [new] = places(each, [MAIL], TERM), places(each, [MAIL], NEXT_TERM)
        await old.begin()
        await old.fence(["a"], ttl_ms=60_000)
        await new.begin()
        with pytest.raises(OutdatedTermError):
            await old.renew(["a"], ttl_ms=60_000)
        with pytest.raises(OutdatedTermError):
            await old.begin()
        assert await new.renew(["a"], ttl_ms=60_000) == {"a"}
        assert await each_redis.ttl(key_of_term("lease")) > 10 * FENCE_SECONDS, "it outlives what it protects"

    async def test_a_leader_of_another_cluster_is_nobodys_successor(self, each: Server) -> None:
        [here], [there] = places(each, [MAIL], TERM), places(each, [FILM], Term("the lease of another cluster", 1))
        await here.fence(["a"], ttl_ms=60_000)
        await there.fence(["b"], ttl_ms=60_000)
        await here.lift(["a"])
        assert await here.fenced(["a", "b"]) == {"b"}

    async def test_looks_in_parts_belong_to_a_term_as_well(self, each: Server, each_redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fences_of, "MOST_AT_ONCE", 0)
        [old], [new] = places(each, [MAIL], TERM), places(each, [MAIL], NEXT_TERM)
        await hold(each_redis, MAIL, 1, "a/x")
        assert (await new.choose(PODS, 1, ttl_ms=60_000)).idle == ("b",)
        with pytest.raises(OutdatedTermError):
            await old.choose(PODS, 2, ttl_ms=60_000)
        assert await new.fenced(PODS) == {"b"}


class TestConsumers:
    @pytest.mark.parametrize(("rounds", "most"), [(1000, fences_of.MOST_AT_ONCE), (300, 0)], ids=["one-step", "of-many"])
    async def test_a_pod_found_idle_starts_nothing_until_its_fence_is_lifted(
        self, party: Party, server: Server, redis: Redis, monkeypatch: pytest.MonkeyPatch, rounds: int, most: int
    ) -> None:
        monkeypatch.setattr(fences_of, "MOST_AT_ONCE", most)
        monkeypatch.setattr(watch, "_FENCED_SECONDS", 0.001)  # so that they try again and again
        queue = party.queue("mail")
        starts, fenced, slipped = 0, set[str](), list[str]()

        def handler_of(pod: str) -> Callable[[Any], Awaitable[None]]:
            async def handle(job: Any) -> None:
                nonlocal starts
                starts += 1
                if pod in fenced:
                    slipped.append(pod)
                if random.random() < 0.3:
                    await asyncio.sleep(random.uniform(0, 0.004))

            return handle

        for pod in PODS:
            # a busy machine must not let locks expire before the handler runs
            party.work(queue, handler_of(pod), pod=pod, concurrency=2, lock_duration_ms=60_000)
        producing = asyncio.create_task(self.produce(queue))
        [fences] = places(server, [queue.keys], TERM)
        fences_set = 0
        try:
            for _ in range(rounds):
                chosen = await fences.choose(random.sample(PODS, 4), 2, ttl_ms=60_000)
                fenced |= set(chosen.idle)
                fences_set += len(fenced)
                assert not fenced & {pod async for pod in holders(redis)}
                seen = starts
                await wait_until(lambda seen=seen: starts > seen + 2)  # type: ignore[misc]
                assert not fenced & {pod async for pod in holders(redis)}
                assert not slipped
                lifted = set(fenced)
                fenced.clear()  # a pod may hear of its next job before this test hears that the fence is gone
                await fences.lift(lifted)
        finally:
            await end([producing])
        assert fences_set > rounds / 4, "too few pods were ever idle for this to prove anything"

    async def test_workers_in_processes_of_their_own_heed_it_too(self, party: Party, server: Server, redis: Redis, redis_url: str) -> None:
        queue = party.queue("mail")
        settings = {"lock_duration_ms": 60_000}
        workers = [await WorkerProcess(redis_url, "mail", settings=settings, pod=pod, concurrency=2).start() for pod in PODS]
        producing = asyncio.create_task(self.produce(queue))
        [fences] = places(server, [queue.keys], TERM)
        try:
            for worker in workers:
                await worker.saw("start")
            for _ in range(20):
                chosen = await fences.choose(random.sample(PODS, 4), 2, ttl_ms=60_000)
                done = sum(len(worker.started) for worker in workers)
                await wait_until(lambda done=done: sum(len(worker.started) for worker in workers) > done + 10)  # type: ignore[misc]
                assert not {*chosen.idle} & {pod async for pod in holders(redis)}
                await fences.lift(chosen.idle)
        finally:
            await end([producing])
            for worker in workers:
                worker.kill()
                await worker.ended()

    async def produce(self, queue: Any) -> None:
        """A trickle: workers are now busy and now idle."""
        while True:
            if await queue.server.commands.llen(queue.keys.wait) < 20:
                await queue.add({}, options=JobOptions(remove_on_complete=True))
            else:
                await asyncio.sleep(0.001)

    async def test_a_busy_pod_that_is_fenced_finishes_its_job_and_takes_no_other(self, party: Party, server: Server, redis: Redis) -> None:
        queue, go = party.queue("mail"), asyncio.Event()

        async def wait_for_it(job: Any) -> None:
            await go.wait()

        worker = party.work(queue, wait_for_it, pod="media-7", concurrency=2)
        [fences] = places(server, [queue.keys], TERM)
        await queue.add({})
        await worker.has_started(1)
        assert jobs(await fences.busy()) == {"media-7": 1}
        assert (await fences.choose(["media-7"], 1, ttl_ms=60_000)).idle == ()

        await fences.fence(["media-7"], ttl_ms=60_000)
        await queue.add({})
        go.set()
        await wait_until(lambda: worker.seen.completed == ["1"])
        assert await fences.busy() == {}
        assert worker.started == ["1"]
        await fences.lift(["media-7"])
        await wait_until(lambda: worker.started == ["1", "2"])

    async def test_jobs_of_node_workers_make_no_pod_busy(self, node: NodePeer, server: Server, redis: Redis) -> None:
        await node.open("mail")
        await node.process("mail", "hold", concurrency=3)
        for _ in range(3):
            await node.add("mail", {})
        await node.saw("start", count=3)
        [fences] = places(server, [MAIL], TERM)
        assert await redis.llen(MAIL.active) == 3
        assert await fences.choose(["a"], 1, ttl_ms=60_000) == Chosen(("a",), {})
        await node.ask("open_gate")
        await node.saw("end", count=3)


async def holders(redis: Redis) -> AsyncIterator[str]:
    """The pods in whose names jobs are locked now."""
    for job in await redis.lrange(MAIL.active, 0, -1):
        yield str(await redis.get(MAIL.lock(job))).split("/")[0]


class TestSeveralPlaces:
    @pytest.fixture
    async def other(self) -> AsyncIterator[tuple[Server, Redis, RedisProcess]]:
        with running("--appendonly", "no") as process:
            server = Server(RedisAddress(url=process.url), call_timeout=2)
            async with Redis.from_url(process.url, decode_responses=True) as client:
                yield server, client, process
            await server.close()

    async def test_whom_another_server_finds_busy_is_not_fenced_and_the_next_takes_its_turn(
        self, server: Server, redis: Redis, other: tuple[Server, Redis, RedisProcess]
    ) -> None:
        await hold(redis, MAIL, 1, "a/x")
        await hold(other[1], FILM, 1, "b/x", started=30)
        await hold(other[1], FILM, 2, "a/x", started=70)
        everywhere = [*places(server, [MAIL], TERM), *places(other[0], [FILM], TERM)]
        chosen = await choose_on_all(everywhere, PODS, 2, ttl_ms=60_000)
        assert chosen.idle == ("c", "d")
        assert jobs(chosen.busy) == {"a": 2, "b": 1}
        assert round(chosen.busy["a"].oldest_started_seconds or 0, -1) == 70
        for place in everywhere:
            assert await place.fenced(PODS) == {"c", "d"}

    async def test_who_takes_a_job_there_while_it_is_fenced_here_is_let_go_again(
        self, server: Server, redis: Redis, other: tuple[Server, Redis, RedisProcess]
    ) -> None:
        here, [there] = places(server, [MAIL], TERM)[0], places(other[0], [FILM], TERM)

        class ABitLater(Fences):
            """Its pod `a` takes a job once everybody has been found idle."""

            async def choose(self, candidates: Any, count: int, *, ttl_ms: int) -> Chosen:
                if not await other[1].exists(FILM.active):
                    await hold(other[1], FILM, 1, "a/x")
                return await super().choose(candidates, count, ttl_ms=ttl_ms)

        chosen = await choose_on_all([here, ABitLater(other[0], [FILM], TERM)], PODS, 2, ttl_ms=60_000)
        assert chosen.idle == ("b", "c")
        assert jobs(chosen.busy) == {"a": 1}
        assert await here.fenced(PODS) == await there.fenced(PODS) == {"b", "c"}

    async def test_fences_that_stood_before_stay(self, server: Server, redis: Redis, other: tuple[Server, Redis, RedisProcess]) -> None:
        [here], [there] = places(server, [MAIL], TERM), places(other[0], [FILM], TERM)
        await here.fence(["a"], ttl_ms=60_000)

        class ABitLater(Fences):
            async def choose(self, candidates: Any, count: int, *, ttl_ms: int) -> Chosen:
                await hold(other[1], FILM, 1, "a/x")
                return await super().choose(candidates, count, ttl_ms=ttl_ms)

        assert (await choose_on_all([here, ABitLater(other[0], [FILM], TERM)], ["a"], 1, ttl_ms=60_000)).idle == ()
        assert await here.fenced(PODS) == {"a"}
        assert await there.fenced(PODS) == set()

    async def test_a_server_that_is_away_leaves_nobody_fenced(
        self, server: Server, redis: Redis, other: tuple[Server, Redis, RedisProcess]
    ) -> None:
        class GoneMeanwhile(Fences):
            async def choose(self, candidates: Any, count: int, *, ttl_ms: int) -> Chosen:
                other[2].kill()
                return await super().choose(candidates, count, ttl_ms=ttl_ms)

        [here] = places(server, [MAIL], TERM)
        with pytest.raises(RedisConnectionError):
            await choose_on_all([here, GoneMeanwhile(other[0], [FILM], TERM)], PODS, 2, ttl_ms=60_000)
        assert await here.fenced(PODS) == set()


async def test_in_a_cluster_each_hash_tag_is_a_place_and_a_queue_without_one_is_refused() -> None:
    cluster = ClusterGroup()
    try:
        cluster.start()
        server = Server(RedisAddress(url=cluster.url, cluster=True), call_timeout=5)
        queues = [Keys("mail", "{one}"), Keys("film", "{one}"), Keys("mail", "{two}")]
        await hold(server.commands, queues[1], 1, "a/x")
        await hold(server.commands, queues[2], 1, "b/x")
        everywhere = places(server, queues, TERM)
        assert len(everywhere) == 2
        chosen = await choose_on_all(everywhere, PODS, 1, ttl_ms=60_000)
        assert chosen.idle == ("c",)
        assert jobs(chosen.busy) == {"a": 1, "b": 1}
        for place in everywhere:
            assert await place.fenced(PODS) == await place.renew(PODS, ttl_ms=60_000) == {"c"}
            await place.lift(PODS)
            assert await place.fenced(PODS) == set()
        with pytest.raises(UnfenceableError, match=r"use a prefix such as \{bull\}"):
            places(server, [*queues, MAIL], TERM)
        await server.close()
    finally:
        cluster.remove()
