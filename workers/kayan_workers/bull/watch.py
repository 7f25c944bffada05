"""Notice a new job without taking it: watch by turns.

``BLMOVE wait wait`` blocks until the list has something and leaves it as it is, so nothing is popped that a crash could strand
(windows W1, W2). But it wakes everybody who blocks on it; so only the holder of the queue's turn does, and the claim script passes
the turn on. Turns are a matter of speed: every claim is atomic, whoever makes it.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from typing import TYPE_CHECKING, Protocol

from redis.exceptions import RedisError

from kayan_workers.bull import scripts
from kayan_workers.bull.ending import end
from kayan_workers.bull.lanes import Lanes
from kayan_workers.bull.line import LOST_CONNECTION
from kayan_workers.bull.refusal import Refusal

if TYPE_CHECKING:
    from kayan_workers.bull.keys import Keys
    from kayan_workers.bull.line import Line
    from kayan_workers.bull.pulse import Pulse
    from kayan_workers.bull.server import Server

_TAKE_TURN = scripts.load("take_turn")

TURN_SECONDS = 5.0
"""How long one blocking call lasts. An idle worker sends two commands in this time."""

_WATCH_SECONDS = 6.5
"""How long the holder of the turn watches in one call; then it says that it is still there."""
_WATCHER_MS = 10_000
_FENCED_SECONDS = 1.0


class Watched(Protocol):
    """What a watch asks of its consumer."""

    keys: Keys
    fenced: bool

    @property
    def wants_more(self) -> bool:
        """Whether there is a free slot and nobody else is about to fill it."""

    async def until_it_wants_more(self) -> None: ...

    def reserve(self) -> int:
        """Reserve slots for the claim that follows; how many jobs it may take."""

    def warn(self, message: str) -> None:
        """Say that something is odd."""


class Watch:
    """Waits for jobs and claims them through the lanes."""

    def __init__(self, server: Server, lanes: Lanes, watched: Watched, *, pod: str, pulse: Pulse) -> None:
        self._server = server
        self._lanes = lanes
        self._watched = watched
        self._keys = watched.keys
        self._pod = pod
        self._who = f"{pod}/{secrets.token_hex(4)}"
        self._turn: bytes = b""
        self._refusal = Refusal(watched.warn, "Redis refuses to let this worker watch the queue")
        self._line: Line | None = None
        self._pulse = pulse

    def _beat(self) -> None:
        self._pulse.beat("watch")

    def _rest(self) -> None:
        self._pulse.rest("watch")

    async def run(self) -> None:
        """Watch until cancelled, on a connection of its own: the one that bears the name ``getWorkers()`` looks for."""
        try:
            while True:
                name, timeout = self._keys.client_name_of(self._pod), TURN_SECONDS * 3
                self._line = await self._server.line(self._keys.wait, name=name, timeout=timeout, on_try=self._beat)
                try:
                    await self._line.run(_TAKE_TURN, (self._keys.turn, self._keys.watcher), (_WATCHER_MS, self._who, self._pod))
                    while True:
                        if not self._watched.wants_more:
                            await self._until_it_wants_more(self._line)
                        self._rest()
                        await self._lanes.line()  # a turn is of no use to whoever cannot claim
                        await self._wait_and_claim(self._line)
                except LOST_CONNECTION as error:
                    self._turn = b""
                    self._line.close()
                    self._server.note_down(error)
                except RedisError as error:
                    self._turn = b""
                    self._line.close()
                    self._refusal.met(error)
                    await asyncio.sleep(random.uniform(0.5, 1))  # noqa: S311  jitter, not a secret
        finally:
            self._rest()
            if self._line:
                self._line.close()
            self._pass_on()

    def _pass_on(self) -> None:
        """Give the turn to the next worker, without taking anything: this one is leaving."""
        line = self._lanes.open_line
        if self._turn and line:
            line.tell("RPUSH", self._keys.turn, self._turn)
        self._turn = b""

    async def _until_it_wants_more(self, line: Line) -> None:
        """Others have the turn meanwhile. The connection is one to lose all the same: by its name we are counted among the workers."""
        if self._turn:
            await self._claim()
        self._rest()
        wanting = asyncio.ensure_future(self._watched.until_it_wants_more())
        try:
            await asyncio.wait([wanting, line.closed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end([wanting])
        if line.closed.done():  # now, and not when the claims' own connection is back: that would tell of a second loss
            raise line.closed.result()

    async def _claim(self) -> None:
        """Claim what there is room for, perhaps nothing, and give the turn back in the same step."""
        turn, self._turn = self._turn, b""
        self._beat()
        await self._lanes.claim(self._watched.reserve(), turn)

    async def _wait_and_claim(self, line: Line) -> None:
        self._beat()
        if not self._turn:
            answer = await line.send("BLPOP", self._keys.turn, TURN_SECONDS)
            if not answer:
                watcher = await line.send("GET", self._keys.watcher)
                if watcher in (None, self._who.encode()):  # perhaps the turn was lost with its holder
                    await line.run(_TAKE_TURN, (self._keys.turn, self._keys.watcher), (_WATCHER_MS, self._who, ""))
                return
            self._turn = answer[1]
            self._beat()
            if not self._watched.wants_more:
                return
        if not await line.send("BLMOVE", self._keys.wait, self._keys.wait, "RIGHT", "RIGHT", _WATCH_SECONDS):
            line.tell("SET", self._keys.watcher, self._who, "PX", _WATCHER_MS)
            return
        self._refusal.over()
        await self._claim()
        if self._watched.fenced:
            await asyncio.sleep(_FENCED_SECONDS)
