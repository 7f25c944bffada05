"""Waking by what Bull publishes, on servers that come, go and hang."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable

import pytest
from kayan_operator.queues.doorbell import Doorbell, pattern
from kayan_workers.bull.ending import end
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.server import RedisAddress, Server
from redis.asyncio import Redis
from redis_process import ClusterGroup, RedisProcess
from waiting import wait_until
from wire.peer import NodePeer

MAIL, FILM = Keys("mail"), Keys("film")


class Listening:
    """A doorbell at work and what it rang for."""

    def __init__(self, server: Server) -> None:
        self.wakes: list[frozenset[str]] = []
        self.refusals: list[Exception] = []
        self.changes: list[tuple[bool, Exception | None]] = []
        server.on_change.append(lambda up, error: self.changes.append((up, error)))
        self.bell = Doorbell(server, self.wakes.append, refused=self.refusals.append)

    @property
    def rung(self) -> set[str]:
        return set().union(*self.wakes)

    async def rings(self, *bases: str, timeout: float = 10) -> None:
        """Wait until it has rung for just these, and begin anew."""
        await wait_until(lambda: self.rung >= set(bases), timeout, what=f"a wake of {bases}")
        assert self.rung == set(bases)
        self.wakes.clear()


@contextlib.asynccontextmanager
async def listening(server: Server, *queues: Keys) -> AsyncIterator[Listening]:
    listening = Listening(server)
    listening.bell.know(queues)
    task = asyncio.create_task(listening.bell.run())
    try:
        yield listening
    finally:
        await end([task])
        await server.close()


@contextlib.asynccontextmanager
async def standing(server: Server, *queues: Keys) -> AsyncIterator[Listening]:
    """Once it listens, and has woken everybody."""
    async with listening(server, *queues) as one:
        await one.rings(*(keys.base for keys in queues))
        yield one


@pytest.fixture
def url_of(redis_url: str) -> Callable[[], Server]:
    return lambda: Server(RedisAddress(url=redis_url), call_timeout=2)


async def test_bull_wakes_the_queue_it_adds_to_delays_or_resumes(url_of: Callable[[], Server], node: NodePeer) -> None:
    async with standing(url_of(), MAIL, FILM) as bell:
        await node.open("mail")
        await node.open("film")
        await node.open("somebody-elses")
        await node.add("somebody-elses", {})
        await node.add("mail", {})
        await bell.rings(MAIL.base)
        await node.add("film", {}, delay=60_000)
        await bell.rings(FILM.base)
        await node.call("film", "pause")
        await node.call("film", "resume")
        await bell.rings(FILM.base)
        await node.add("mail", {}, priority=3)
        await bell.rings(MAIL.base)
        await node.process("mail", "fail")
        await node.saw("end", count=2)
        bell.wakes.clear()
        await node.add("mail", {}, attempts=2, backoff=60_000)
        await node.saw("end", count=3)
        await bell.rings(MAIL.base)


async def test_what_happens_to_jobs_that_run_is_not_even_sent_to_it(url_of: Callable[[], Server], redis: Redis) -> None:
    async with standing(url_of(), *(Keys(f"q{number}") for number in range(100))):
        assert await redis.pubsub_numpat() == 1
        for word in ("active@x", "completed", "failed", "progress", "drained", "paused", "stalled@", "duplicated@x", "debounced@x"):
            assert await redis.publish(f"bull:q1:{word}", "1") == 0, word
        for word in ("waiting@x", "waiting@", "delayed", "resumed"):
            assert await redis.publish(f"bull:q1:{word}", "1") == 1, word
        assert await redis.publish("other:q1:delayed", "1") == 0


async def test_queues_under_another_prefix_are_heard_once_they_are_known(url_of: Callable[[], Server], redis: Redis) -> None:
    odd = Keys("mail", r"[a]*\?")
    async with standing(url_of(), MAIL) as bell:
        bell.bell.know([MAIL, odd])
        await bell.rings(MAIL.base, odd.base)
        assert await redis.pubsub_numpat() == 2
        await redis.publish(odd.delayed, "1")
        await redis.publish("aX?Y:mail:delayed", "1")
        await bell.rings(odd.base)
        bell.bell.know([])
        await wait_until(lambda: no_patterns(redis))
        bell.bell.know([FILM])
        await bell.rings(FILM.base)
        await redis.publish(FILM.waiting + "@x", "1")
        await redis.publish(MAIL.waiting + "@x", "1")
        await bell.rings(FILM.base)


async def no_patterns(redis: Redis) -> bool:
    return not await redis.pubsub_numpat()


async def test_a_flood_of_messages_is_a_few_wakes(url_of: Callable[[], Server], redis: Redis) -> None:
    async with standing(url_of(), MAIL, FILM) as bell:
        async with redis.pipeline(transaction=False) as pipe:
            for number in range(10_000):
                pipe.publish(f"bull:mail:waiting@producer-{number}", number)
            pipe.publish(FILM.delayed, "1")
            await pipe.execute()
        await wait_until(lambda: FILM.base in bell.rung)
        assert 1 <= len(bell.wakes) < 200
        await bell.rings(MAIL.base, FILM.base)


async def test_a_user_who_may_not_subscribe_is_told_so_once_and_tries_on(redis_url: str, redis: Redis) -> None:
    await redis.execute_command("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "+@all", "resetchannels")
    try:
        server = Server(RedisAddress(url=redis_url.replace("redis://", "redis://deaf:pw@")), call_timeout=2)
        async with listening(server, MAIL) as bell:
            await wait_until(lambda: bell.refusals)
            assert "permission" in str(bell.refusals[0]).lower()
            assert server.is_up, "it is there all the same"
            assert not bell.bell.is_listening
            await redis.execute_command("ACL", "SETUSER", "deaf", "allchannels")
            await bell.rings(MAIL.base, timeout=15)
            assert len(bell.refusals) == 1
    finally:
        await redis.execute_command("ACL", "DELUSER", "deaf")


class TestTrouble:
    async def test_a_server_that_was_away_wakes_everybody_once_it_is_back(self, private_redis: RedisProcess) -> None:
        async with standing(Server(RedisAddress(url=private_redis.url), call_timeout=2), MAIL, FILM) as bell:
            assert bell.changes == [(True, None)]
            private_redis.kill()
            await wait_until(lambda: len(bell.changes) == 2, timeout=3)
            assert not bell.changes[1][0]
            assert str(bell.changes[1][1])
            assert not bell.bell.is_listening
            private_redis.start()
            await bell.rings(MAIL.base, FILM.base)
            assert bell.changes[2] == (True, None)
            assert bell.bell.is_listening

    async def test_a_server_that_hangs_is_reported_within_three_seconds(self, private_redis: RedisProcess) -> None:
        async with standing(Server(RedisAddress(url=private_redis.url), call_timeout=2), MAIL) as bell:
            assert private_redis.process is not None
            os.kill(private_redis.process.pid, signal.SIGSTOP)
            try:
                await wait_until(lambda: len(bell.changes) == 2, timeout=6)  # three, and what a busy machine takes
                assert "did not answer" in str(bell.changes[1][1])
            finally:
                os.kill(private_redis.process.pid, signal.SIGCONT)
            await bell.rings(MAIL.base, timeout=15)
            assert bell.changes[-1] == (True, None)

    async def test_a_server_that_hangs_from_the_beginning_is_reported_too(self, private_redis: RedisProcess) -> None:
        assert private_redis.process is not None
        os.kill(private_redis.process.pid, signal.SIGSTOP)
        try:
            async with listening(Server(RedisAddress(url=private_redis.url), call_timeout=30), MAIL) as bell:
                await wait_until(lambda: bell.changes, timeout=6)
                assert "did not answer" in str(bell.changes[0][1])
                os.kill(private_redis.process.pid, signal.SIGCONT)
                await bell.rings(MAIL.base, timeout=15)
        finally:
            os.kill(private_redis.process.pid, signal.SIGCONT)

    async def test_a_server_nobody_answers_for_is_reported_at_once(self) -> None:
        async with listening(Server(RedisAddress(url="redis://127.0.0.1:1/0"), call_timeout=2), MAIL) as bell:
            await wait_until(lambda: bell.changes, timeout=3)
            assert "127.0.0.1:1" in str(bell.changes[0][1])


async def test_in_a_cluster_one_node_tells_what_is_published_on_any() -> None:
    cluster = ClusterGroup()
    try:
        cluster.start()
        queues = [Keys("mail", prefix) for prefix in ("{one}", "{two}", "{three}")]
        async with standing(Server(RedisAddress(url=cluster.url, cluster=True), call_timeout=5), *queues) as bell:
            for node in cluster.nodes:
                for keys in queues:
                    async with Redis(port=node.port) as client:
                        await client.publish(keys.delayed, "1")
                    await bell.rings(keys.base)
    finally:
        cluster.remove()


def test_characters_of_patterns_in_a_prefix_stand_for_themselves() -> None:
    assert pattern("a*b[c]?d\\").startswith(r"a\*b\[c]\?d\\:*:")
