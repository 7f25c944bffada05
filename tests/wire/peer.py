"""A Node process that runs Bull 4.16.5, with awaitable calls: the other party of every test here."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from waiting import wait_until
from wire import node_packages

FAST_SETTINGS = {"lockDuration": 1000, "lockRenewTime": 300, "stalledInterval": 500, "guardInterval": 500, "drainDelay": 1}
"""Bull's settings, scaled down: what takes it half a minute in production takes a second here. drainDelay is in seconds."""


class PeerError(Exception):
    """What Bull threw."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in the Node process: a handler's ``start`` or ``end``, or one of Bull's own events."""

    name: str
    queue: str | None
    args: list[Any]
    at_ms: int
    """Node's clock."""


@dataclass
class NodePeer:
    """One Node process. ``queue`` objects are opened by name and then addressed by it."""

    redis_url: str
    events: list[Event] = field(default_factory=list)
    _calls: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _ids: Any = field(default_factory=lambda: itertools.count(1))
    _process: asyncio.subprocess.Process | None = None
    _reader: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            node_packages.node(),
            "peer.js",
            self.redis_url,
            cwd=node_packages.FOLDER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        self._reader = asyncio.create_task(self._read())
        await wait_until(lambda: self.named("ready"), 20, what="the Node process is ready")
        return self

    async def ask(self, op: str, **args: Any) -> Any:
        """Run one op of ``peer.js``; its value, None for undefined. Raises PeerError with Bull's message."""
        assert self._process is not None
        assert self._process.stdin is not None
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls[number] = future
        self._process.stdin.write(json.dumps({"id": number, "op": op, **args}).encode() + b"\n")
        return await asyncio.wait_for(future, 60)

    # -- what Bull does -------------------------------------------------------------------------------------------------------

    async def open(self, queue: str, **options: Any) -> None:
        """Make the queue object. ``options`` are Bull's own: prefix, settings, limiter, metrics, defaultJobOptions."""
        await self.ask("open", queue=queue, options=options | {"settings": FAST_SETTINGS | options.get("settings", {})})

    async def call(self, queue: str, method: str, *args: Any) -> Any:
        """Any method of the queue object; jobs come back as their JSON."""
        return await self.ask("call", queue=queue, method=method, args=list(args))

    async def job(self, queue: str, job_id: str, method: str, *args: Any) -> Any:
        """Any method of one job object."""
        return await self.ask("job", queue=queue, jobId=job_id, method=method, args=list(args))

    async def add(self, queue: str, data: Any, *, name: str = "__default__", **opts: Any) -> str:
        """Add a job; its id."""
        return str((await self.call(queue, "add", name, data, opts))["id"])

    async def process(self, queue: str, handler: str, *, name: str = "__default__", concurrency: int = 1, **how: Any) -> None:
        """Start a worker with one of the handlers of ``peer.js``."""
        await self.ask("process", queue=queue, name=name, concurrency=concurrency, handler=handler, **how)

    async def listen(self, queue: str, *events: str) -> None:
        await self.ask("listen", queue=queue, events=list(events))

    # -- what was seen -------------------------------------------------------------------------------------------------------

    def named(self, name: str, queue: str | None = None) -> list[Event]:
        return [event for event in self.events if event.name == name and queue in (None, event.queue)]

    def args_of(self, name: str) -> list[list[Any]]:
        """The arguments of every event of that name, in order."""
        return [event.args for event in self.named(name)]

    def started(self) -> list[str]:
        """The ids of the jobs whose handler was started here, in order."""
        return [str(event.args[0]) for event in self.named("start")]

    async def saw(self, name: str, *, queue: str | None = None, count: int = 1, timeout: float = 10) -> list[Event]:
        """Wait for ``count`` events of that name, of one queue or of any."""

        def enough() -> list[Event]:
            events = self.named(name, queue)
            return events if len(events) >= count else []

        return await wait_until(enough, timeout, what=f"{count} x {name} in Node; seen: {[event.name for event in self.events]}")

    @property
    def mishaps(self) -> Sequence[Event]:
        """Exceptions that nobody caught in the Node process.

        Bull closes the connection of its own blocked call on a local pause and does not catch what that call then throws.
        """
        uncaught = [event for event in self.events if event.name in ("uncaught", "unhandled")]
        return [event for event in uncaught if "Error: Connection is closed." not in str(event.args)]

    # -- its end -------------------------------------------------------------------------------------------------------------

    async def kill(self) -> None:
        """kill -9."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        await self._stop_reading()

    async def stop(self) -> None:
        """Let the process end by itself; it exits when its stdin closes."""
        if self._process is not None and self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        await self._stop_reading()

    async def _stop_reading(self) -> None:
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=2)
            self._reader.cancel()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            if "event" in message:
                self.events.append(Event(message["event"], message["queue"], message["args"], message["at"]))
                continue
            future = self._calls.pop(message["id"], None)
            if future is None or future.done():
                continue
            if "error" in message:
                future.set_exception(PeerError(message["error"]))
            else:
                future.set_result(message.get("value"))
        for future in self._calls.values():
            if not future.done():
                future.set_exception(PeerError("the Node process has ended"))
