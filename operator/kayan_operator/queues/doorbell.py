"""Hears that there is work, by what Bull itself publishes: one connection and one pattern for all queues under a prefix.

    doorbell = Doorbell(server, wake)
    doorbell.know([Keys("thumbnail-generation"), Keys("email")])
    task = asyncio.create_task(doorbell.run())

What is published while nobody listens is lost, so everything is woken once whenever the connection stands anew. Whether the server is
there, and why not, is told through ``Server.on_change``: at once of one that is gone, within three seconds of one that hangs. One that is
merely slow for two seconds, or that we ourselves are too busy to hear, is told nothing of. ``lost`` is set while nobody needs to ask.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
from collections.abc import Callable, Iterable
from typing import Any

from kayan_workers.bull.ending import end
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.line import LOST_CONNECTION, Line
from kayan_workers.bull.server import Server
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kayan_operator.queues.lines import CLIENT_NAME
from kayan_operator.queues.patience import HANGS_SECONDS, Patience

WORDS = "[wdr][ae][ils][tau][iym][ne][gd]"
"""Matches waiting (and what follows it), delayed and resumed, and none of the other channels: every PUBLISH pays for every pattern."""

_APART_SECONDS = 0.05
"""What is heard sooner after the latest wake waits so long."""
_BEAT_SECONDS = 0.4
_REFUSED_SECONDS = 5.0
_MOST_CHANNELS = 10_000
"""Of ``waiting`` there is one for each producer: their names are remembered, and all forgotten when they become too many."""


def pattern(prefix: str) -> str:
    """What PSUBSCRIBE is given for the queues under a prefix."""
    return re.sub(r"([*?\[\\])", r"\\\1", prefix) + ":*:" + WORDS + "*"


class Doorbell:
    """Calls ``wake`` with the base keys (``bull:<queue>:``) of queues to which something happened: jobs were added, delayed or promoted, or
    the queue was resumed. ``refused`` hears of an error that says this user may not subscribe; then only looks find work."""

    def __init__(
        self, server: Server, wake: Callable[[frozenset[str]], None], *, refused: Callable[[Exception], None] = lambda error: None
    ) -> None:
        self._server = server
        self._wake = wake
        self._tell_refused = refused
        self._known: dict[str, Keys] = {}
        self._channels: dict[Any, str] = {}
        """Channel -> the base key of its queue; empty for one that is nobody's."""
        self._patterns: list[str] = []
        self._line: Line | None = None
        self._is_known = asyncio.Event()
        self._rung: set[str] = set()
        self._flushing: asyncio.TimerHandle | None = None
        self._woken_at = 0.0
        self._silent = True
        self._refusal: Exception | None = None
        self._awaits_subscription = False
        self._subscribe_at = math.inf
        self.is_listening = False
        """Whether what is published now is heard."""
        self.lost = asyncio.Event()
        """Set while the server hangs, or cannot be connected to: whoever asks it anything would only wait in vain."""
        self.trouble: Exception = RedisConnectionError("not connected")
        """Why it was lost."""

    def know(self, queues: Iterable[Keys]) -> None:
        """The queues to listen for from now on, instead of those before."""
        self._known = {keys.base: keys for keys in queues}
        self._channels.clear()
        patterns = sorted(map(pattern, {keys.prefix for keys in self._known.values()}))
        if patterns != self._patterns:
            self._patterns = patterns
            if self._line:
                self._line.close()
        if self._known:
            self._is_known.set()
        else:
            self._is_known.clear()

    async def run(self) -> None:
        """Listen until cancelled, through every loss of the connection."""
        try:
            while True:
                await self._is_known.wait()
                self._line = line = await self._open_line()
                self.lost.clear()
                try:
                    await self._listen(line)
                except LOST_CONNECTION as error:
                    if isinstance(error, RedisTimeoutError):
                        self._lose(error)
                    self._server.note_down(error)
                finally:
                    self.is_listening = False
                    self._line = None
                    line.close()
        finally:
            if self._flushing:
                self._flushing.cancel()

    async def _open_line(self) -> Line:
        key = next(iter(self._known.values())).wait
        tries = 0

        def on_try() -> None:
            nonlocal tries
            tries += 1
            if tries > 1 and self._server.trouble:
                self._lose(self._server.trouble)

        opening = asyncio.ensure_future(self._server.line(key, name=CLIENT_NAME, timeout=math.inf, on_try=on_try))
        patience = Patience(HANGS_SECONDS)
        try:
            while not await patience.wait_for(opening) and not patience.is_over:
                pass
            if not opening.done():  # it takes connections and says nothing, or the network swallows all
                error = RedisTimeoutError(f"Redis did not answer within {HANGS_SECONDS:g} s")
                self._lose(error)
                self._server.note_down(error)
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await end([opening])
            if not opening.cancelled() and not opening.exception():  # it came in this very moment
                opening.result().close()
            raise

    async def _listen(self, line: Line) -> None:
        """Until the line is lost (raises), or the patterns have changed."""
        if not self._patterns or line.closed.done():
            return
        patience = Patience(HANGS_SECONDS)
        self._silent = False
        self._subscribe(line)
        while not line.closed.done():
            if not self._silent:
                self._silent, patience = True, Patience(HANGS_SECONDS)
                line.ping()
            elif patience.is_over:
                raise RedisTimeoutError(f"Redis did not answer a ping within {HANGS_SECONDS:g} s")
            await patience.wait_for(line.closed, at_most=_BEAT_SECONDS)
            if self._subscribe_at <= asyncio.get_running_loop().time():
                self._subscribe(line)
        error = line.closed.result()
        if error is not None:
            raise error

    def _subscribe(self, line: Line) -> None:
        self._awaits_subscription, self._subscribe_at = True, math.inf
        line.psubscribe(self._patterns, self._hear)

    def _refuse(self, error: Exception) -> None:
        """Whoever may not subscribe still learns by this line whether the server is there, and asks again in a while."""
        pause = random.uniform(_REFUSED_SECONDS / 2, _REFUSED_SECONDS)  # noqa: S311  jitter, not a secret
        self._subscribe_at = asyncio.get_running_loop().time() + pause
        if str(error) != str(self._refusal):
            self._refusal = error
            self._tell_refused(error)

    def _lose(self, error: Exception) -> None:
        self.trouble = error
        self.lost.set()

    # -- what is heard -------------------------------------------------------------------------------------------------------

    def _hear(self, message: list[Any]) -> None:
        self._silent = False
        try:
            base = self._channels[message[2]]
        except (LookupError, TypeError):  # a new channel, or no message of a channel at all
            base = self._hear_other(message)
        if base and base not in self._rung:
            self._ring([base])

    def _hear_other(self, message: Any) -> str:
        """The base key of the queue whose channel is heard for the first time, else nothing."""
        awaited, self._awaits_subscription = self._awaits_subscription, False
        if isinstance(message, RedisConnectionError):  # not here, or not now
            if self._line:
                self._line.close(message)
        elif isinstance(message, Exception):
            if awaited:  # else it is a ping that is refused, which is an answer too
                self._refuse(message)
        elif message[0] == b"pmessage":
            if len(self._channels) >= _MOST_CHANNELS:
                self._channels.clear()
            base = base_of(message[2])
            self._channels[message[2]] = base if base in self._known else ""
            return self._channels[message[2]]
        elif message[0] == b"psubscribe" and message[2] == len(self._patterns):
            self.is_listening, self._refusal = True, None
            self._ring(self._known)
        return ""

    def _ring(self, bases: Iterable[str]) -> None:
        self._rung.update(bases)
        if self._flushing is None and self._rung:
            loop = asyncio.get_running_loop()
            self._flushing = loop.call_at(max(loop.time(), self._woken_at + _APART_SECONDS), self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self._woken_at = asyncio.get_running_loop().time()
        rung, self._rung = frozenset(self._rung), set()
        self._wake(rung)


def base_of(channel: bytes) -> str:
    """``bull:mail:`` of ``bull:mail:waiting@token`` or ``bull:mail:delayed``. A token has no ``@``; the name of a queue may have."""
    name = channel.decode(errors="surrogateescape")
    if not name.endswith((":delayed", ":resumed")):
        name = name.rpartition("@")[0]
    return name.rpartition(":")[0] + ":"
