"""How long somebody waits for Redis, by a clock that stands still while our own loop does not turn.

A process that gets no time from its machine, or was stopped, finds its time limits over and the answers, which came long ago, still
unread. Such a stretch says nothing about Redis, so it is not counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from kayan_workers.bull.ending import end

T = TypeVar("T")

HANGS_SECONDS = 2.5
"""A Redis that does not answer a ping for so long hangs: a long script, or the fork for a snapshot, takes less."""

_STRETCH_SECONDS = 0.25
_LATE_SECONDS = 0.1
"""Whoever is woken later than that has been starved."""


class Patience:
    """A time limit of so many ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    async def wait_for(self, future: asyncio.Future[T], at_most: float = _STRETCH_SECONDS) -> bool:
        """Wait for a while: until the future is done (True), at most so long and never longer than patience lasts."""
        loop, stretch = asyncio.get_running_loop(), max(0.0, min(at_most, self.left))
        begun = loop.time()
        await asyncio.wait([future], timeout=stretch)
        took = loop.time() - begun
        self.left -= min(took, stretch)
        if took > stretch + _LATE_SECONDS:
            for _ in range(2):  # what has come meanwhile is read first
                await asyncio.sleep(0)
        return future.done()

    @property
    def is_over(self) -> bool:
        return self.left <= 0


async def within(seconds: float, work: Awaitable[T]) -> T:
    """Await ``work``, which is cancelled when patience is over. Raises TimeoutError then."""
    task, patience = asyncio.ensure_future(work), Patience(seconds)
    try:
        while not await patience.wait_for(task):
            if patience.is_over:
                raise TimeoutError(f"no answer within {seconds:g} s")
        return task.result()
    finally:
        await end([task])  # also of one that has just failed while we were told to go: nobody else would ask for its error
