"""The table of all queues in the log, once for the whole fleet: whoever gets a short-lived key says it, the others are silent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kayan_workers import logs
from kayan_workers.bull.keys import health_table

if TYPE_CHECKING:
    from kayan_workers.bull.server import Server
    from kayan_workers.metrics import Depths

FIRST_SECONDS = 10.0
"""How long after its start a worker looks whether the table is due."""
PERIOD_SECONDS = 300.0

_COLUMNS = ("waiting", "active", "completed", "failed", "delayed", "paused")


class HealthTable:
    """One worker's part in it. Fleets that share a Redis and have prefixes of their own have tables of their own."""

    def __init__(self, server: Server, depths: Depths, *, prefix: str, pod: str, labels: Mapping[str, str]) -> None:
        """``labels`` are what people read in place of a queue's name."""
        self._server = server
        self._depths = depths
        self._key = health_table(prefix)
        self._pod = pod
        self._labels = labels

    async def run(self) -> None:
        """Say the table whenever it is due and nobody else does, until cancelled. While Redis is away there is none."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                wait_seconds = await self._take_turn()
            except Exception:  # of uvloop too, while a connection closes: a table is no reason to end a worker
                wait_seconds = FIRST_SECONDS
            # not all at once: one is enough to take over from a worker that has died
            await asyncio.sleep(wait_seconds + random.uniform(0, FIRST_SECONDS / 2))  # noqa: S311

    async def _take_turn(self) -> float:
        """Say the table if it is due; returns after how many seconds to look again."""
        redis, period_ms = self._server.commands, round(PERIOD_SECONDS * 1000)
        if not await redis.set(self._key, self._pod, nx=True, px=period_ms):
            return float(max(0, await redis.pttl(self._key))) / 1000
        if not await self._depths.refresh():
            await redis.delete(self._key)  # somebody else may have better luck
            return FIRST_SECONDS
        counts = {queue: {name: by_state[name] for name in _COLUMNS} for queue, by_state in self._depths.last.items()}
        logs.get().info("queues.health", queues=counts, labels=self._labels)
        return PERIOD_SECONDS
