"""Ctrl-C, SIGTERM and a closed terminal end the demo; nothing interrupts its cleaning up."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While it is entered, the first signal ends the ``guard``ed task, and a second one the worker, at once. Neither raises anywhere:
    servers that are just starting or stopping are left to do so, and whoever starts something asks ``received`` afterwards."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        """The first signal that came."""
        self.worker_group: int | None = None
        """The process group of the running worker."""
        self._task: asyncio.Task[Any] | None = None
        self._before: dict[signal.Signals, Any] = {}

    @property
    def exit_code(self) -> int:
        """128 and the signal's number, as a shell has it."""
        return 128 + (self.received or signal.SIGINT)

    def __enter__(self) -> Self:
        self._before = {one: signal.signal(one, self._hear) for one in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for one, before in self._before.items():
            signal.signal(one, before)

    def guard(self) -> None:
        """Let the first signal cancel the current task."""
        self._task = asyncio.current_task()
        self.check()

    def check(self) -> None:
        """Raises CancelledError once a signal has come: on Python 3.11 a library may swallow the cancellation itself."""
        if self.received:
            raise asyncio.CancelledError

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            if self._task is not None:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)
        elif self.worker_group is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.worker_group, signal.SIGKILL)
