"""What all scalers share, so that hundreds of them do not flood the API server, nor keep it from those whose number changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_STATUSES_AT_ONCE = 4
"""A number is not to be written behind a thousand statuses."""
_PODS_AT_ONCE = 2
"""Where no pod can start, hundreds of targets are asked about."""
FIGURES_PER_SECOND = 5.0
"""Statuses in which only such figures have changed as change with every job: of hundreds of long queues hardly anybody reads them."""


class Allowance:
    """So many a second, by whoever comes first; as many at once after a second's pause."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._per_second = self._left = per_second
        self._clock = clock
        self._at = clock()

    @property
    def has_room(self) -> bool:
        now = self._clock()
        self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
        self._at = now
        return self._left >= 1

    def take(self) -> None:
        self._left -= 1


class Turns:
    """``statuses`` is for writing one, ``figures`` for those that can wait, ``pods`` for asking about a target's pods."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.statuses = asyncio.Semaphore(_STATUSES_AT_ONCE)
        self.figures = Allowance(FIGURES_PER_SECOND, clock)
        self.pods = asyncio.Semaphore(_PODS_AT_ONCE)
