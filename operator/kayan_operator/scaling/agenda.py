"""When each scaler is to be looked at next."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections.abc import Callable

from kayan_operator.cluster.fleet import Key

AT_REST_SECONDS = 5.0
"""The safety net: everybody is looked at this often, all in the same moment, so that one round trip reads all queues."""
AT_WORK_SECONDS = 1.0
"""A scaler with jobs; all of them in the same moment too."""
_QUIET_SECONDS = 0.06
_LONGEST_BURST_SECONDS = 0.25
"""The first job of a burst is followed by others for a while: one look sees them all, and one write suffices. Messages come no less than
0.05 s apart (``Doorbell``)."""
_BETWEEN_WAKES_SECONDS = 0.25


class Agenda:
    """What is due when. A scaler may have two moments: a planned one, of which the earliest counts, and that of a message, of which the
    latest does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._planned: dict[Key, float] = {}
        self._rung: dict[Key, float] = {}
        self._first_ring: dict[Key, float] = {}
        self._looked: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._news = asyncio.Event()

    def look_at(self, key: Key, within: float = 0) -> None:
        """Look at it in ``within`` seconds, or before."""
        self._plan(key, self._clock() + within)

    def look_again(self, key: Key, *, at_work: bool, within: float | None) -> None:
        """After a look: at the next common moment, or in ``within`` seconds when that is sooner."""
        now = self._clock()
        step = AT_WORK_SECONDS if at_work else AT_REST_SECONDS
        moment = (now // step + 1) * step
        self._plan(key, moment if within is None else min(moment, now + max(within, _QUIET_SECONDS)))

    def ring(self, key: Key, *, wakes: bool) -> None:
        """A job was added to one of its queues. ``wakes``: there are no pods yet, so it is urgent."""
        now = self._clock()
        first = self._first_ring.setdefault(key, now)
        moment = min(now + _QUIET_SECONDS, first + _LONGEST_BURST_SECONDS)
        if not wakes:
            moment = max(moment, self._looked.get(key, 0) + _BETWEEN_WAKES_SECONDS)
        if self._rung.get(key) != moment:
            self._rung[key] = moment
            self._push(key, moment)

    def forget(self, key: Key) -> None:
        for book in (self._planned, self._rung, self._first_ring, self._looked):
            book.pop(key, None)

    async def next(self) -> dict[Key, float | None]:
        """Wait until something is due, and take all that is; with when each was first rung for since its last look."""
        while not (due := self._take()):
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._heap[0][0] - self._clock()) if self._heap else None):
                    await self._news.wait()
        return due

    def take_rung(self) -> dict[Key, float | None]:
        """Take those for which the moment of a message has come, without waiting."""
        now = self._clock()
        return {key: self._taken(key, now) for key in [key for key, moment in self._rung.items() if moment <= now]}

    def _plan(self, key: Key, moment: float) -> None:
        if moment < self._planned.get(key, float("inf")):
            self._planned[key] = moment
            self._push(key, moment)

    def _push(self, key: Key, moment: float) -> None:
        heapq.heappush(self._heap, (moment, key))
        if self._heap[0] == (moment, key):
            self._news.set()

    def _take(self) -> dict[Key, float | None]:
        now, due = self._clock(), {}
        while self._heap and self._heap[0][0] <= now:
            moment, key = heapq.heappop(self._heap)
            if moment in (self._planned.get(key), self._rung.get(key)):
                due[key] = self._taken(key, now)
        return due

    def _taken(self, key: Key, now: float) -> float | None:
        self._planned.pop(key, None)
        self._rung.pop(key, None)
        self._looked[key] = now
        return self._first_ring.pop(key, None)
