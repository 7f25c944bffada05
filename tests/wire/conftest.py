"""The two parties of every test here, Bull in Node and this library, on one Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from kayan_workers.bull.queue import Queue
from wire.party import Party, Worker
from wire.peer import NodePeer
from wire.worker_process import WorkerProcess

pytest.register_assert_rewrite("wire.whole_life")

NewNode = Callable[..., Awaitable[NodePeer]]


@pytest.fixture
async def new_node(redis_url: str, bull_installed: None) -> AsyncIterator[NewNode]:
    """Starts Node processes; ``await new_node()``. None may end the test with an exception that nobody caught."""
    peers: list[NodePeer] = []

    async def start(url: str | None = None) -> NodePeer:
        peer = await NodePeer(url or redis_url).start()
        peers.append(peer)
        return peer

    yield start
    for peer in peers:
        await peer.stop()
    mishaps = [mishap.args for peer in peers for mishap in peer.mishaps]
    assert not mishaps, f"uncaught in Node: {mishaps}"


@pytest.fixture
async def node(new_node: NewNode) -> NodePeer:
    """One Node process with Bull; queues are yet to be opened."""
    return await new_node()


@pytest.fixture
async def party(redis_url: str) -> AsyncIterator[Party]:
    """This library's side: makes queues and workers, and ends them after the test."""
    async with Party(redis_url) as party:
        yield party


@pytest.fixture
def queue(party: Party) -> Queue:
    """The queue ``mail``, as this library sees it."""
    return party.queue("mail")


@pytest.fixture
def work(party: Party) -> Callable[..., Worker]:
    """Starts workers of this library: ``work(queue, handler, concurrency=…, settings…)``."""
    return party.work


@pytest.fixture
async def new_worker(redis_url: str) -> AsyncIterator[Callable[..., Awaitable[WorkerProcess]]]:
    """Starts workers of this library in processes of their own; ``await new_worker("mail", "slow", seconds=5)``."""
    processes: list[WorkerProcess] = []

    async def start(queue: str, handler: str = "nothing", *, url: str | None = None, **config: Any) -> WorkerProcess:
        process = await WorkerProcess(url or redis_url, queue, handler, **config).start()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        await process.ended()
