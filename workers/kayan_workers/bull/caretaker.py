"""The chores of a queue, done by one worker at a time: promote delayed jobs on time, recover stalled ones, mend repeat chains.

Whoever holds the short-lived key ``chore`` is the caretaker; the others look every few seconds whether it is gone. Should the
caretaker die, due jobs are still promoted by every claim, and somebody else takes over within ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import secrets
from typing import TYPE_CHECKING, Any, Protocol

from redis.exceptions import RedisError

from kayan_workers.bull import repeat, scripts
from kayan_workers.bull.ending import end
from kayan_workers.bull.job import text_of
from kayan_workers.bull.line import LOST_CONNECTION, now_ms

if TYPE_CHECKING:
    from kayan_workers.bull.keys import Keys
    from kayan_workers.bull.line import Line
    from kayan_workers.bull.observer import Observer
    from kayan_workers.bull.pulse import Pulse
    from kayan_workers.bull.queue import Queue
    from kayan_workers.bull.server import Server

_KEEP_OFFICE = scripts.load("keep_office")
_LEAVE_OFFICE = scripts.load("leave_office")
_STALLED = scripts.load("stalled")

_APPLY_SECONDS = 10.0
"""How often the others look whether the office is free."""

_REPAIR_SECONDS = 60.0
_SOON_MS = 2


class Household(Protocol):
    """What a caretaker asks of its consumer."""

    keys: Keys
    queue: Queue
    observer: Observer

    @property
    def line_now(self) -> Line | None:
        """The connection as it stands."""

    async def open_line(self) -> Line:
        """The connection; waits while Redis is away."""


class Caretaker:
    """Runs the chores while it holds the office, and applies for it otherwise."""

    def __init__(
        self,
        server: Server,
        household: Household,
        *,
        pod: str,
        guard_interval_ms: int,
        stalled_interval_ms: int,
        max_stalled_count: int,
        pulse: Pulse,
    ) -> None:
        self._server = server
        self._household = household
        self._keys = household.keys
        self._guard_ms = guard_interval_ms
        self._stalled_ms = stalled_interval_ms
        self._max_stalled = max_stalled_count
        self._pulse = pulse
        self._office = self._keys.chore("caretaker")
        self._me = f"{pod}/{secrets.token_hex(6)}"
        self._next_due_ms = math.inf
        self._due_sooner = asyncio.Event()

    async def run(self) -> None:
        """Apply for the office and do its chores, until cancelled. Redis trouble only costs time."""
        try:
            while True:
                try:
                    if await self._keep_office():
                        await self._serve()
                except LOST_CONNECTION:
                    await asyncio.sleep(random.uniform(0.1, 0.5))  # noqa: S311  jitter, not a secret
                except Exception as error:  # a chore that cannot be done must not stop the work
                    self._household.observer.queue_warning(self._keys.queue, f"a chore of the queue failed, trying again: {error}")
                self._rest()
                await asyncio.sleep(random.uniform(0.5, 1) * _APPLY_SECONDS)  # noqa: S311
        finally:
            self._rest()
            await self._resign()

    def _beat(self) -> None:
        self._pulse.beat("caretaker")

    def _rest(self) -> None:
        self._pulse.rest("caretaker")

    async def _open_line(self) -> Line:
        self._rest()
        line = await self._household.open_line()
        self._beat()
        return line

    @property
    def _patience(self) -> float:
        """Seconds between two looks when nothing calls: with no delayed job at all, only the office must be renewed."""
        return self._guard_ms / 1000 * (1 if math.isfinite(self._next_due_ms) else 2)

    async def _keep_office(self) -> bool:
        """Take or keep the office; whoever has it also promotes what is due, and learns what is due next."""
        line = await self._open_line()
        while True:
            self._beat()
            now = now_ms()
            held, score = await line.run(
                _KEEP_OFFICE,
                (self._office, self._keys.delayed),
                (self._me, int(self._patience * 2000), self._keys.base, self._household.queue.token, now),
            )
            self._next_due_ms = float(score) / 4096 if score else math.inf
            if not held or self._next_due_ms > now:
                return bool(held)

    async def _resign(self) -> None:
        """While Redis is away the office lapses by itself: leaving waits for nobody."""
        line = self._household.line_now
        if line is not None:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await line.run(_LEAVE_OFFICE, (self._office,), (self._me,))

    async def _serve(self) -> None:
        listener = asyncio.create_task(self._listen(), name=f"delayed jobs of {self._keys.queue}")
        loop = asyncio.get_running_loop()
        stalled_at = repaired_at = loop.time()
        try:
            while True:
                if self._stalled_ms and loop.time() >= stalled_at:
                    stalled_at = loop.time() + await self._recover() / 1000
                if loop.time() >= repaired_at:
                    self._beat()
                    await repeat.repair(self._household.queue)
                    repaired_at = loop.time() + _REPAIR_SECONDS
                self._rest()
                await self._doze(stalled_at - loop.time() if self._stalled_ms else math.inf)
                if not await self._keep_office():
                    return
        finally:
            await end([listener])

    async def _doze(self, until_stalled: float) -> None:
        """Sleep until a delayed job is due, a chore is, or the office must be renewed."""
        loop = asyncio.get_running_loop()
        end = loop.time() + min(self._patience, max(0.0, until_stalled))
        while True:
            self._due_sooner.clear()
            until_due = (self._next_due_ms - now_ms() + _SOON_MS) / 1000
            try:
                async with asyncio.timeout_at(min(end, loop.time() + max(0.0, until_due))):
                    await self._due_sooner.wait()
            except TimeoutError:
                return

    # -- delayed -------------------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Hear of delayed jobs that are due sooner than what the timer knows."""
        while True:
            line = await self._server.line(self._keys.delayed, timeout=math.inf)
            try:
                line.subscribe(self._keys.delayed, self._hear)
                await asyncio.shield(line.closed)
            finally:
                line.close()

    def _hear(self, message: list[Any]) -> None:
        kind, _, payload = message
        try:
            # what was published before the subscription stood is found by looking once more
            due = float(payload) if kind == b"message" else 0.0
        except (TypeError, ValueError):
            return
        if due < self._next_due_ms:
            self._next_due_ms = due
            self._due_sooner.set()

    # -- stalled -------------------------------------------------------------------------------------------------------------

    async def _recover(self) -> float:
        """One stalled pass; returns after how many ms the next is due."""
        observer, queue = self._household.observer, self._keys.queue
        going_on = 0
        while True:
            line = await self._open_line()
            # The guard lives a little shorter than the interval: with both the same, every other pass would find it standing (W17).
            failed, stalled, forgiven, wait_ms, going_on = await line.run(
                _STALLED,
                (self._keys.stalled, self._keys.unstarted, self._keys.forgiven),
                (self._keys.base, now_ms(), int(self._stalled_ms * 0.9), self._max_stalled, going_on),
            )
            for tell, ids in ((observer.jobs_given_up, failed), (observer.jobs_stalled, stalled), (observer.jobs_forgiven, forgiven)):
                if ids:
                    tell(queue, [text_of(job_id) for job_id in ids])
            if not going_on:
                return float(max(wait_ms, 1) if wait_ms > 0 else self._stalled_ms)
