"""A worker of this library in a process of its own: see worker.py."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from waiting import wait_until
from wire.party import FAST
from wire.peer import Event

FAST_SETTINGS = {name: value for name, value in asdict(FAST).items() if value is not None and value != {}}


class WorkerProcess:
    """Started by ``start``; ``events`` has what it printed."""

    def __init__(self, url: str, queue: str, handler: str = "nothing", *, settings: dict[str, Any] | None = None, **config: Any) -> None:
        self.config = {"url": url, "queue": queue, "handler": handler, "settings": FAST_SETTINGS | (settings or {}), **config}
        self.events: list[Event] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> Self:
        program = Path(__file__).parent / "worker.py"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(program),
            json.dumps(self.config),
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        self._reader = asyncio.create_task(self._read())
        return self

    def args_of(self, name: str) -> list[list[Any]]:
        return [event.args for event in self.events if event.name == name]

    @property
    def started(self) -> list[str]:
        return [args[0] for args in self.args_of("start")]

    async def saw(self, name: str, *, count: int = 1, timeout: float = 10) -> list[Event]:
        def enough() -> list[Event]:
            events = [event for event in self.events if event.name == name]
            return events if len(events) >= count else []

        return await wait_until(enough, timeout, what=f"{count} x {name}; seen: {[event.name for event in self.events][-30:]}")

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def terminate(self) -> None:
        """SIGTERM: drain."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: the process stands still, as a machine does that swaps or migrates."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def is_over(self) -> bool:
        return self._process is not None and self._process.returncode is not None

    async def ended(self, timeout: float = 15) -> int:
        """Its exit code; minus the signal that killed it."""
        assert self._process is not None
        assert self._reader is not None
        code = await asyncio.wait_for(self._process.wait(), timeout)
        await self._reader
        return code

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            self.events.append(Event(message["event"], self.config["queue"], message["args"], int(message["at"])))
