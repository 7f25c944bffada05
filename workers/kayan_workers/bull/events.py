"""What happens on a queue, as it is published: an async iterator over its channels.

Pub/sub delivers at most once: whoever is not connected misses what is said. Good for watching, never for correctness.
Source: wire document, section 4, W24.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, get_args

import msgspec
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from kayan_workers.bull.core import QueueCore
from kayan_workers.bull.insist import may_pass

EventName = Literal[
    "waiting", "active", "progress", "completed", "failed", "stalled", "delayed", "drained", "paused", "resumed", "duplicated", "debounced"
]
ALL_EVENTS: tuple[EventName, ...] = get_args(EventName)

_WITH_TOKEN = frozenset({"waiting", "active", "stalled", "duplicated", "debounced"})
"""Channels that end in ``@`` and the token of the queue object that sent the message."""

_QUIET_SECONDS = 30.0
"""After so long a silence a ping is sent; after two the connection counts as dead."""


@dataclass(frozen=True, slots=True)
class QueueEvent:
    """One message. ``value`` is the progress, the return value (None for none), the failed reason, or when a delayed job is
    due (ms); None for the others. ``token`` names the queue object that sent it, where the channel says so."""

    name: EventName
    job_id: str | None = None
    value: Any = None
    token: str | None = None


def read_event(base: str, channel: bytes, message: bytes) -> QueueEvent | None:
    """The event that was published, or None for a message that nobody can read. ``base`` is the queue's."""
    name, _, token = channel.decode(errors="replace").removeprefix(base).partition("@")
    if name not in ALL_EVENTS:
        return None
    text = message.decode(errors="replace")
    try:
        if name in _WITH_TOKEN:
            return QueueEvent(name, text, token=token or None)
        if name == "progress":
            return _progress(text)
        if name == "completed" or name == "failed":
            told = msgspec.json.decode(text)
            value = told.get("val")
            return QueueEvent(name, str(told["jobId"]), _json_or_none(value) if name == "completed" else value)
        if name == "delayed":
            return QueueEvent("delayed", value=float(text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return QueueEvent(name)


def _progress(text: str) -> QueueEvent:
    """``{"jobId": …, "progress": …}``, or ``id,progress`` as old Bulls have it."""
    try:
        told = msgspec.json.decode(text)
        return QueueEvent("progress", str(told["jobId"]), told.get("progress"))
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        job_id, _, value = text.partition(",")
        return QueueEvent("progress", job_id, msgspec.json.decode(value))


def _json_or_none(text: Any) -> Any:
    """A return value is JSON inside JSON; one that cannot be read is none, as in Bull."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, TypeError):
        return None


class EventListener:
    """Listens to a queue while it is entered: ``async with queue.events("completed") as events: async for event in events: …``.

    It has subscribed when it is entered. A lost connection is made again; what was published meanwhile is missed.
    """

    def __init__(self, queue: QueueCore, names: Sequence[EventName] = ALL_EVENTS) -> None:
        base = queue.keys.base
        self._queue = queue
        self._channels = [base + name for name in names if name not in _WITH_TOKEN]
        self._patterns = [f"{base}{name}@*" for name in names if name in _WITH_TOKEN]
        self._client: Any = None
        self._pubsub: Any = None
        self._asked = False

    async def __aenter__(self) -> Self:
        """Raises RedisError or OSError when Redis cannot be reached."""
        await self._subscribe()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._leave()

    def __aiter__(self) -> AsyncIterator[QueueEvent]:
        return self

    async def __anext__(self) -> QueueEvent:
        while True:
            try:
                message = await self._next_message()
            except (RedisError, OSError, TimeoutError) as error:
                if not may_pass(error):
                    raise
                await self._subscribe_again()
                continue
            if message and (event := read_event(self._queue.keys.base, message["channel"], message["data"])):
                return event

    async def _next_message(self) -> dict[str, Any] | None:
        if self._pubsub is None:
            raise RedisConnectionError("the listener has been left")
        message: dict[str, Any] | None = await self._pubsub.get_message(timeout=_QUIET_SECONDS)
        if message is not None:
            self._asked = False
            return message if message["type"] in ("message", "pmessage") else None
        if self._asked:
            raise RedisConnectionError(f"no answer to a ping within {_QUIET_SECONDS:g} s")
        await self._pubsub.ping()
        self._asked = True
        return None

    async def _subscribe(self) -> None:
        self._client = self._queue.server.connection()
        self._asked = False
        try:
            await self._client.initialize()  # a cluster's client does not know its nodes before
            self._pubsub = self._client.pubsub()
            if self._channels:
                await self._pubsub.subscribe(*self._channels)
            if self._patterns:
                await self._pubsub.psubscribe(*self._patterns)
            for _ in range(len(self._channels) + len(self._patterns)):
                if await self._pubsub.get_message(timeout=_QUIET_SECONDS) is None:
                    raise RedisConnectionError(f"no subscription within {_QUIET_SECONDS:g} s")
        except BaseException:
            await self._leave()
            raise

    async def _subscribe_again(self) -> None:
        pause = 0.05
        while True:
            await self._leave()
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311  jitter, not a secret
            try:
                return await self._subscribe()
            except (RedisError, OSError, TimeoutError) as error:
                if not may_pass(error):
                    raise
            pause = min(pause * 2, 5.0)

    async def _leave(self) -> None:
        client, self._client = self._client, None
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            await pubsub.aclose()
        if client is not None:
            await client.aclose()
