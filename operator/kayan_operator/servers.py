"""The Redis servers that the operator knows, each with what the loop wants of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from kayan_workers import logs
from kayan_workers.bull.ending import end, undisturbed
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.server import RedisAddress, Server

from kayan_operator.decision.facts import Consumers, QueueFacts, Unread
from kayan_operator.decision.policy import Queue
from kayan_operator.metrics import Metrics
from kayan_operator.queues.consumers import Census
from kayan_operator.queues.doorbell import Doorbell
from kayan_operator.queues.reading import Reader, Request

_CALL_SECONDS = 3.0


class RedisServer:
    """One server: its queues are read over one connection, and over another it says when a job was added to one of them."""

    def __init__(self, name: str, address: RedisAddress, metrics: Metrics) -> None:
        self.name = name
        self.server = Server(address, call_timeout=_CALL_SECONDS)
        self.server.on_change.append(self._change)
        self._metrics = metrics
        self._log = logs.get(server=name)
        self._reader = Reader(self.server, changed=lambda: self._changed())
        self._reading = asyncio.Lock()
        self._census = Census(self.server, refused=self._unlisted)
        self._keys: dict[Queue, Keys] = {}
        self._by_base: dict[str, Keys] = {}
        self._rung: Callable[[str, str], None] = lambda prefix, queue: None
        self._changed: Callable[[], None] = lambda: None
        self._doorbell = Doorbell(self.server, self._wake, refused=self._refused)

    def know(self, queues: Iterable[Queue]) -> None:
        """The queues of which there is to be word when a job is added."""
        self._keys = {queue: Keys(queue.name, queue.prefix) for queue in queues}
        self._by_base = {keys.base: keys for keys in self._keys.values()}
        self._doorbell.know(self._by_base.values())
        self._reader.know(self._by_base.keys())

    async def read(self, queues: Sequence[tuple[Queue, float, float]]) -> list[QueueFacts | Unread]:
        """All of them in one round trip: each queue with its look-ahead and its window, in seconds."""
        requests = [Request(self._keys[queue], look_ahead=ahead, window=window) for queue, ahead, window in queues]
        async with self._reading:
            if self.server.address.cluster:  # of which the doorbell knows one node only, and the reader all
                return await self._reader.read(requests)
            return await self._read_unless_lost(requests)

    async def _read_unless_lost(self, requests: Sequence[Request]) -> list[QueueFacts | Unread]:
        """Of a server that is lost all queues are unread, without waiting for it, and without asking it."""
        bell = self._doorbell
        if not bell.lost.is_set():
            reading, loss = asyncio.ensure_future(self._reader.read(requests)), asyncio.ensure_future(bell.lost.wait())
            try:
                await asyncio.wait([reading, loss], return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    return reading.result()
            finally:
                await end([reading, loss])
        return self._reader.unread(requests, bell.trouble)

    def consumers(self, queue: Queue) -> Consumers | None:
        """Who waited for its jobs half a minute ago or later; None while nobody knows. To ask has the list read anew when it is old."""
        self._census.refresh()
        return self._census.of(self._keys[queue])

    def tell(self, rung: Callable[[str, str], None], changed: Callable[[], None]) -> None:
        """Call ``rung`` with prefix and name of each queue to which a job was added, ``changed`` when the server goes or comes back."""
        self._rung, self._changed = rung, changed

    async def run(self) -> None:
        """Listen until cancelled."""
        listening = [asyncio.create_task(self._doorbell.run())]
        if self.server.address.cluster:
            listening.append(asyncio.create_task(self._reader.run()))
        try:
            done, _ = await asyncio.wait(listening, return_when=asyncio.FIRST_COMPLETED)
            for task in done:  # none of them ends by itself
                task.result()
        finally:
            try:
                await undisturbed(end(listening))
            finally:
                await self._reader.close()
                await self._census.close()
                await self.server.close()

    def _wake(self, bases: frozenset[str]) -> None:
        for base in bases:
            if keys := self._by_base.get(base):
                self._reader.look_closely(base)
                self._rung(keys.prefix, keys.queue)

    def _change(self, up: bool, error: Exception | None) -> None:
        self._metrics.redis_up.labels(self.name).set(up)
        if up:
            self._log.info("redis.connected", address=str(self.server.address))
        else:
            self._log.warning("redis.lost", address=str(self.server.address), error=error)
        self._changed()

    def _unlisted(self, error: Exception) -> None:
        self._log.info("redis.unlisted", error=error, message="this user may not list clients: who takes jobs of its queues is not known")

    def _refused(self, error: Exception) -> None:
        self._log.warning("redis.deaf", error=error, message="this user may not subscribe: new jobs are found by looking, seconds later")
