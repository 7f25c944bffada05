"""A consumer at work in a test: started, observed, stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kayan_workers.bull.consumer import Consumer, ConsumerSettings
from kayan_workers.bull.observer import Observer
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server

QUICK = {
    "lock_duration_ms": 1500,
    "lock_renew_ms": 600,
    "stalled_interval_ms": 1000,
    "guard_interval_ms": 1000,
    "grace_seconds": 5.0,
}
"""Bull's intervals, scaled down for tests."""


class Recorder(Observer):
    """Remembers what a consumer says: ``events`` are (name, job id) in order, ``calls`` have every argument."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.calls: list[tuple[Any, ...]] = []

    def __getattribute__(self, name: str) -> Any:
        if name not in ("jobs_started", "jobs_completed") and name.startswith(("job_", "jobs_", "queue_")):  # those tell of each job
            return lambda *args: self._record(name, *args)
        return super().__getattribute__(name)

    def _record(self, name: str, *args: Any) -> None:
        self.calls.append((name, *args))
        self.events.append((name, getattr(args[0], "id", args[0])))

    def said(self, name: str) -> list[str]:
        """The job ids (or queue names) of every event of that name."""
        return [subject for event, subject in self.events if event == name]


def server_at(url: str) -> Server:
    return Server(RedisAddress(url=url))


@asynccontextmanager
async def queue_at(url: str, name: str = "mail", **options: Any) -> AsyncIterator[Queue]:
    server = server_at(url)
    queue = Queue(name, server, **options)
    try:
        yield queue
    finally:
        await queue.close()
        await server.close()


@asynccontextmanager
async def working(
    queue: Queue, handler: Any, *, settings: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[Consumer, Recorder]]:
    """A running consumer and its recorder; stopped, with everything settled, at the end."""
    recorder = Recorder()
    consumer = Consumer(queue, handler, observer=recorder, settings=ConsumerSettings(**(QUICK | (settings or {}))), **options)
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer, recorder
    finally:
        consumer.stop()
        async with asyncio.timeout(20):
            await task
