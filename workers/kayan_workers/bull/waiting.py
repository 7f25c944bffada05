"""Waiting for a job's end, and listening to a queue."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
from redis.exceptions import RedisError

from kayan_workers.bull.core import QueueCore
from kayan_workers.bull.ending import end
from kayan_workers.bull.errors import JobFailed, NoSuchJob
from kayan_workers.bull.events import ALL_EVENTS, EventListener, EventName, QueueEvent
from kayan_workers.bull.insist import may_pass

_LOOK_SECONDS = 3.0
"""How often to look whether the job has ended, in case its message was lost."""

_MESSAGE_GRACE_SECONDS = 0.25
"""A job that is removed as it ends is gone a moment before its message is here."""

class Listening(QueueCore):
    """Hears what happens on a queue."""

    _waiting: dict[str, list[asyncio.Future[QueueEvent]]] | None = None
    _listener: asyncio.Task[None] | None = None
    _subscribed: asyncio.Event | None = None

    def events(self, *names: EventName) -> EventListener:
        """A listener for these events, or all: ``async with queue.events("failed") as events: async for event in events: …``."""
        return EventListener(self, names or ALL_EVENTS)

    async def finished(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait until the job has finished; returns its return value, None for none.

        Raises JobFailed with the failed reason, NoSuchJob when the job is gone (removed, also by its own
        ``remove_on_complete`` before anybody listened), and TimeoutError after ``timeout`` seconds (None: never). Goes on
        waiting while Redis is away. Wire: section 4, W23.
        """
        async with asyncio.timeout(timeout):
            event = await self._ending_of(job_id)
        if event.name == "failed":
            raise JobFailed(str(event.value))
        return event.value

    async def close(self) -> None:
        """Stop listening; who still waits for a job is told so."""
        for futures in (self._waiting or {}).values():
            for future in futures:
                if not future.done():
                    future.set_exception(RuntimeError(f"queue {self.name} was closed while somebody waited for a job of it"))
        await self._stop_listening()
        await super().close()

    # -- inside --------------------------------------------------------------------------------------------------------------

    async def _ending_of(self, job_id: str) -> QueueEvent:
        waiting = self._waiting = {} if self._waiting is None else self._waiting
        ending: asyncio.Future[QueueEvent] = asyncio.get_running_loop().create_future()
        waiting.setdefault(job_id, []).append(ending)
        try:
            await self._start_listening()
            while not ending.done():
                event = await self._look(job_id, ending)
                if event is not None:
                    return event
                await asyncio.wait([ending], timeout=_LOOK_SECONDS)
            return ending.result()
        finally:
            waiting[job_id].remove(ending)
            if not waiting[job_id]:
                del waiting[job_id]
            if not waiting:
                await self._stop_listening()

    async def _look(self, job_id: str, ending: asyncio.Future[QueueEvent]) -> QueueEvent | None:
        """How the job has ended; None while it has not, or Redis does not say."""
        try:
            state, *value = await self.run("finished", job_id)
        except (RedisError, OSError, TimeoutError) as error:
            if not may_pass(error):
                raise
            return None
        if state == b"completed":
            return QueueEvent("completed", job_id, _decoded(value[0]))
        if state == b"failed":
            return QueueEvent("failed", job_id, value[0].decode(errors="replace"))
        if state == b"missing":
            await asyncio.wait([ending], timeout=_MESSAGE_GRACE_SECONDS)
            if not ending.done():
                raise NoSuchJob(f"job {job_id} of {self.name} is gone: it was removed, perhaps as it finished, or was never there")
        return None

    async def _start_listening(self) -> None:
        """Return when the subscription stands, or Redis has not answered for a while."""
        if self._listener is None or self._listener.done():
            self._subscribed = asyncio.Event()
            self._listener = asyncio.create_task(self._listen(self._subscribed), name=f"finished jobs of {self.name}")
        if self._subscribed is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._subscribed.wait()

    async def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await end([listener])

    async def _listen(self, subscribed: asyncio.Event) -> None:
        while True:
            try:
                async with self.events("completed", "failed") as events:
                    subscribed.set()
                    async for event in events:
                        self._deliver(event)
            except (RedisError, OSError, TimeoutError) as error:
                if not may_pass(error):
                    return  # those who wait go on looking
                await asyncio.sleep(0.5)

    def _deliver(self, event: QueueEvent) -> None:
        for ending in (self._waiting or {}).get(event.job_id or "", ()):
            if not ending.done():
                ending.set_result(event)


def _decoded(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
