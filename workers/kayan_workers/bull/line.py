"""A line: one connection to Redis with many calls in flight, answered in order.

redis-py makes the connection (addresses, Sentinel, TLS, passwords, database number); then a line takes over its transport
and speaks through hiredis alone. A call costs a third of the CPU of ``Redis.execute_command`` that way, and two calls may be
under way at once, which is what the consumer's group commit lives on. A line never re-sends: what a lost reply means is for
the caller to say.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kayan_workers.bull.scripts import Script, refusal

log = logging.getLogger(__name__)

LOST_CONNECTION = (RedisConnectionError, RedisTimeoutError, OSError)
"""What a call raises whose reply will never come: Redis may have done it or not."""

_PING = hiredis.pack_command(("PING",))

_MOVED_AWAY = ("READONLY", "MOVED", "ASK", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN")
"""Replies that say: not here, not now. The line closes, and whoever opens the next one asks again where the master is."""


class Line(asyncio.Protocol):
    """One connection. Made by ``Server.open_line``; closed for good by the first error of its transport."""

    def __init__(self, timeout: float) -> None:
        """``timeout`` is in seconds: a line whose oldest call waits longer is dead. Infinity: it may block for ever."""
        self._timeout = timeout
        self._reader = hiredis.Reader(replyError=_error_of_reply)
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._transport: asyncio.Transport | None = None
        self._connection: Any = None
        self._hear: Callable[[list[Any]], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._watchdog: asyncio.TimerHandle | None = None
        self.closed = self._loop.create_future()
        """Resolves to the error that closed the line."""

    def take_over(self, connection: Any) -> None:
        """Speak through the transport of a connected redis-py ``connection``, which sees nothing of it from here on."""
        self._connection = connection
        self._transport = connection._writer.transport
        self._transport.set_protocol(self)
        if math.isfinite(self._timeout):
            self._watchdog = self._loop.call_later(self._timeout / 2, self._watch)

    # -- calls ---------------------------------------------------------------------------------------------------------------

    def send(self, *command: Any) -> asyncio.Future[Any]:
        """Send a command; the future resolves to its reply (bytes, ints, lists) or raises ResponseError or ConnectionError."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        try:
            data = hiredis.pack_command(command)
        except UnicodeEncodeError:  # an id that is no UTF-8, as text_of reads it
            data = hiredis.pack_command(tuple(part.encode(errors="surrogateescape") if isinstance(part, str) else part for part in command))  # type: ignore[arg-type]
        if self._write(data):
            self._waiting.append((self._loop.time(), answer))
        else:
            answer.set_exception(RedisConnectionError("the connection to Redis is closed"))
        return answer

    def _write(self, data: bytes) -> bool:
        """False when the connection is closed."""
        if self._transport is None or self.closed.done():
            return False
        try:
            self._transport.write(data)
        except RuntimeError as error:  # uvloop: closed already, and connection_lost is still on its way to us
            self.close(RedisConnectionError(f"connection to Redis lost: {error}"))
            return False
        return True

    def tell(self, *command: Any) -> None:
        """Send a command whose reply nobody waits for."""
        self.send(*command).add_done_callback(_ignore)

    def tell_script(self, script: Script, keys: Sequence[str], args: Sequence[Any], complain: Callable[[BaseException], None]) -> None:
        """Send a script whose outcome nobody waits for; ``complain`` hears of its failure.

        To a server that did not know the script it goes again, with its text and one more argument: 1, for late.
        """

        def done(answer: asyncio.Future[Any]) -> None:
            error = None if answer.cancelled() else answer.exception()
            if isinstance(error, NoScriptError) and self.is_open:
                self.send("EVAL", script.text, len(keys), *keys, *args, 1).add_done_callback(done)
            elif error:
                complain(error)

        self.send("EVALSHA", script.sha, len(keys), *keys, *args).add_done_callback(done)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script by its hash, with its text when the server does not know it."""
        try:
            return await self.send("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await self.send("EVAL", script.text, len(keys), *keys, *args)

    def subscribe(self, channel: str, hear: Callable[[list[Any]], None]) -> None:
        """Give this line to one channel: from here on ``hear`` gets every message as [kind, channel, payload], and nothing may be sent."""
        assert not self._waiting
        self._hear = hear
        self._write(hiredis.pack_command(("SUBSCRIBE", channel)))  # type: ignore[arg-type]

    def psubscribe(self, patterns: Sequence[str], hear: Callable[[list[Any]], None]) -> None:
        """Give this line to all channels that match one of the patterns: ``hear`` gets every message as [kind, pattern, channel, payload],
        and a refusal as the exception that it is. Nothing may be sent but ``ping``."""
        assert not self._waiting
        self._hear = hear
        self._write(hiredis.pack_command(("PSUBSCRIBE", *patterns)))  # type: ignore[arg-type]

    def ping(self) -> None:
        """Ask a server whose messages this line hears whether it is still there: ``hear`` gets [b"pong", b""]."""
        self._write(_PING)

    @property
    def is_open(self) -> bool:
        return not self.closed.done()

    def close(self, error: Exception | None = None) -> None:
        """Close the connection; what is still unanswered fails with ``error``."""
        if self.closed.done():
            return
        self.closed.set_result(error)
        if self._watchdog:
            self._watchdog.cancel()
        if self._transport:
            self._transport.abort()
            self._connection._reader = self._connection._writer = None  # aborted already: nothing is left for redis-py to close
        failure = error if isinstance(error, RedisConnectionError | RedisTimeoutError) else RedisConnectionError(str(error or "closed"))
        while self._waiting:
            answer = self._waiting.popleft()[1]
            if not answer.done():
                answer.set_exception(failure)

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        reader, waiting = self._reader, self._waiting
        reader.feed(data)
        try:
            reply = reader.gets()
            while reply is not False:
                if self._hear is not None:
                    self._hear(reply)
                    reply = reader.gets()
                    continue
                answer = waiting.popleft()[1]
                if isinstance(reply, Exception):
                    self._fail(answer, reply)
                elif not answer.done():
                    answer.set_result(reply)
                reply = reader.gets()
        except (hiredis.ProtocolError, IndexError) as error:
            self.close(RedisConnectionError(f"Redis sent what is no reply: {error}"))

    def _fail(self, answer: asyncio.Future[Any], error: Exception) -> None:
        if isinstance(error, RedisConnectionError):
            if not answer.done():
                answer.set_exception(error)
            self.close(error)
        elif not answer.done():
            answer.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.close(RedisConnectionError(f"connection to Redis lost: {exc or 'closed by the server'}"))

    def eof_received(self) -> bool:
        return False

    def _watch(self) -> None:
        """Close the line when its oldest call has waited too long: the server hangs, or the network dropped it silently."""
        if self.closed.done():
            return
        if self._waiting and self._loop.time() - self._waiting[0][0] > self._timeout:
            self.close(RedisTimeoutError(f"Redis did not answer within {self._timeout:g} s"))
            return
        self._watchdog = self._loop.call_later(self._timeout / 2, self._watch)


def _error_of_reply(text: str) -> Exception:
    text = refusal(text)
    code = text.split(" ", 1)[0]
    if code == "NOSCRIPT":
        return NoScriptError(text)
    if code in _MOVED_AWAY:
        return RedisConnectionError(text)
    return ResponseError(text)


def _ignore(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled() and (error := answer.exception()):
        log.debug("nobody waits for this reply: %s", error)


def now_ms() -> int:
    """Unix time in milliseconds: every time stamp on the wire is the client's."""
    return time.time_ns() // 1_000_000
