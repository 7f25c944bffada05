"""A Sentinel group whose master dies: everything that touches Redis finds the new one by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from kayan_operator.decision.facts import QueueFacts
from kayan_operator.queues.doorbell import Doorbell
from kayan_operator.queues.fences import Term, places
from kayan_operator.queues.reading import Reader, Request
from kayan_workers.bull.ending import end
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.server import RedisAddress, Server
from redis_process import SentinelGroup
from waiting import wait_until

MAIL = Keys("mail")


@pytest.fixture
async def group() -> AsyncIterator[SentinelGroup]:
    group = SentinelGroup()
    try:
        yield group.start()
    finally:
        group.remove()


async def test_after_a_failover_queues_are_read_heard_and_fenced_at_the_new_master(group: SentinelGroup) -> None:
    address = RedisAddress(sentinels=(("127.0.0.1", group.sentinel.port),), sentinel_master=group.name)
    server, wakes = Server(address, call_timeout=2), list[frozenset[str]]()
    reader, bell, [fences] = Reader(server), Doorbell(server, wakes.append), places(server, [MAIL], Term("lease", 1))
    bell.know([MAIL])
    listening = asyncio.create_task(bell.run())
    try:
        await wait_until(lambda: wakes)
        assert await reader.read([Request(MAIL)]) == [QueueFacts()]
        assert (await fences.choose(["a"], 1, ttl_ms=60_000)).idle == ("a",)
        wakes.clear()

        await asyncio.to_thread(group.fail_over)
        await wait_until(lambda: wakes, timeout=30)
        with group.replica.client() as client:
            client.rpush(MAIL.wait, "1")

        async def is_read() -> bool:
            return await reader.read([Request(MAIL)]) == [QueueFacts(waiting=1)]

        await wait_until(is_read, timeout=30)
        wakes.clear()
        with group.replica.client() as client:
            client.publish(MAIL.delayed, "1")
        await wait_until(lambda: wakes)
        assert (await fences.choose(["b"], 1, ttl_ms=60_000)).idle == ("b",)
    finally:
        await end([listening])
        await reader.close()
        await server.close()
