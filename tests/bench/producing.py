"""The producer of the latency measurements: the same one for both sides, in the process of the harness."""

from __future__ import annotations

import asyncio
import time

from bench.peer import APP_OPTIONS
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server


class Producing:
    """Adds jobs that carry the time at which they were added, on the clock that all processes of a machine share."""

    def __init__(self, url: str) -> None:
        self._server = Server(RedisAddress(url=url))
        self._queues: dict[str, Queue] = {}

    def queue(self, name: str) -> Queue:
        if name not in self._queues:
            self._queues[name] = Queue(name, self._server, defaults=APP_OPTIONS)
        return self._queues[name]

    async def at_rate(self, queue: str, per_second: float, seconds: float) -> int:
        """Add jobs evenly spaced; returns how many."""
        target = self.queue(queue)
        adds: set[asyncio.Task[object]] = set()
        loop = asyncio.get_running_loop()
        began, added = loop.time(), 0
        while added < per_second * seconds:
            await asyncio.sleep(max(0.0, began + added / per_second - loop.time()))
            task: asyncio.Task[object] = asyncio.create_task(target.add({"at": time.monotonic() * 1000}))
            adds.add(task)
            task.add_done_callback(adds.discard)
            added += 1
        await asyncio.gather(*adds)
        return added

    async def __aenter__(self) -> Producing:
        return self

    async def __aexit__(self, *_: object) -> None:
        for queue in self._queues.values():
            await queue.close()
        await self._server.close()
