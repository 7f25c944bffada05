"""Real Bull in a Node process, which adds jobs and says when."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from bench.peers import TESTS, Obedient
from wire import node_packages


@dataclass(frozen=True, slots=True)
class Added:
    """When Bull's ``add`` was called: on the clock that all processes of a machine share, and in Unix time. Seconds."""

    monotonic: float
    wall: float


class Producer(Obedient):
    """``async with Producer(url) as producer: added = await producer.add("email")``."""

    def __init__(self, redis_url: str) -> None:
        environment = os.environ | {"NODE_PATH": str(node_packages.FOLDER / "node_modules"), "NODE_ENV": "production"}
        super().__init__("bull", [node_packages.node(), str(TESTS / "bench" / "node" / "producer.js"), redis_url], environment)

    async def open(self, queues: Iterable[str]) -> None:
        """As in a web app that has run for a while: connected, with its scripts known."""
        await self.ask("open", queues=list(queues))

    async def add(self, queue: str) -> Added:
        return Added(**await self.ask("add", queue=queue))

    async def bulk(self, queue: str, jobs: int) -> Added:
        """``addBulk`` of so many."""
        answer = await self.ask("bulk", queue=queue, jobs=jobs)
        return Added(answer["monotonic"], answer["wall"])

    async def flood(self, queue: str, per_second: float, seconds: float) -> int:
        """Add so many a second; returns how many it were."""
        return int(await self.ask("flood", queue=queue, perSecond=per_second, seconds=seconds))
