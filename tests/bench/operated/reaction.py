"""From Bull's ``add`` on an idle queue to the number that is written, as a watch of the Deployments sees it, and to the decision."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from bench.operated.producer import Added, Producer
from bench.operated.watching import Deployments
from kayan_operator.queues.ledger import decisions_of
from kayan_workers.bull.server import RedisAddress, Server
from redis.asyncio import Redis

_WITHIN_SECONDS = 30
_LEDGER_SECONDS = 10
"""The operator writes down what it has decided every second."""


@dataclass(frozen=True)
class Waking:
    """A place where jobs are added to queues whose Deployments have no pods."""

    producer: Producer
    deployments: Deployments
    pause: tuple[float, float] = (0.15, 0.45)
    """Between two jobs, in seconds: at no fixed phase."""

    async def wake(self, names: Sequence[str]) -> dict[str, Added]:
        """Add one job to each of these queues, one after the other; when that was. All of them have pods afterwards."""
        await self.producer.open(names)
        dice, added = random.Random(len(names)), {}
        for name in names:
            await asyncio.sleep(dice.uniform(*self.pause))
            added[name] = await self.producer.add(name)
        await self.deployments.until(
            lambda: all(self.deployments.replicas(name) for name in names), _WITHIN_SECONDS, what="every queue with a job has a pod"
        )
        return added

    def written_ms(self, added: dict[str, Added]) -> list[float]:
        """From each job to the number."""
        return [1000 * (self.deployments.changes_of(name, when.monotonic)[0].at - when.monotonic) for name, when in added.items()]


async def decided_ms(url: str, namespace: str, added: dict[str, Added]) -> list[float]:
    """From each job to the decision for pods, as the operator remembers it (to the millisecond)."""
    server = Server(RedisAddress(url=url))
    try:
        return [1000 * (await _decided(server, namespace, name, when) - when.wall) for name, when in added.items()]
    finally:
        await server.close()


async def _decided(server: Server, namespace: str, name: str, added: Added) -> float:
    async with asyncio.timeout(_LEDGER_SECONDS):
        while True:
            records = [one.at for one in await decisions_of(server, namespace, name) if one.desired and one.at >= added.wall - 0.001]
            if records:
                return min(records)
            await asyncio.sleep(0.1)


async def emptied(url: str, queue: str) -> None:
    """As when the last job is done and kept by nobody."""
    async with Redis.from_url(url) as client:
        keys = [key async for key in client.scan_iter(f"bull:{queue}:*", count=10_000)]
        for first in range(0, len(keys), 1000):
            await client.unlink(*keys[first:first + 1000])
