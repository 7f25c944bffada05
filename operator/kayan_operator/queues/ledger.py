"""Remembers decisions in Redis, for people: the last hundred of each QueueScaler, and what the latest look came to.

Nobody waits for it. While Redis is away what is to be written gathers, the newest of it; what it refuses is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

from kayan_workers.bull import keys
from kayan_workers.bull.server import Server
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kayan_operator.decision.decide import Decision
from kayan_operator.decision.facts import Consumers
from kayan_operator.decision.policy import Policy
from kayan_operator.queues.records import Record

KEPT = 100
"""Decisions of one scaler."""

_DAY = 86_400
_KEPT_SECONDS = 30 * _DAY
_OUTSTANDING = 2000
"""Records that wait for a Redis that is away."""
_AT_ONCE = 500
_WRITE_SECONDS = 1.0
"""Between two writes: what is decided meanwhile goes in one round trip."""
_BUSY_SECONDS, _IDLE_SECONDS = 3.0, 60.0
"""How long a written look stands before another that came to the same takes its place: with jobs, and without."""
_AWAY_SECONDS = 5.0
_LAST_WORDS_SECONDS = 1.0

log = logging.getLogger(__name__)

Scaler = tuple[str, str]
"""Namespace and name."""
Command = tuple[Any, ...]


class Ledger:
    """Written by the operator that leads."""

    def __init__(self, servers: Mapping[str, Server], *, clock: Callable[[], float] = time.time) -> None:
        """Of several servers the ``default`` remembers: it is the one that ``kayan why`` asks."""
        self._server = servers.get("default") or next(iter(servers.values()))
        self._clock = clock
        self._decisions: deque[tuple[Scaler, Record]] = deque(maxlen=_OUTSTANDING)
        self._looks: dict[Scaler, Record] = {}
        """The latest look at each scaler, if it is not written yet."""
        self._written: dict[Scaler, Record] = {}
        """What the look that is written came to, unless another decision has been made since."""
        self._refusal = ""

    def note(self, key: Scaler, policy: Policy, decision: Decision, *, changed: bool, consumers: Consumers | None = None) -> None:
        """What the look at a scaler has come to; ``changed`` makes it a decision to be remembered. Returns at once."""
        record, scaler = Record.of(decision, policy, self._clock(), consumers), (key[0], key[1])
        if changed:
            self._decisions.append((scaler, record))
            self._written.pop(scaler, None)
        self._looks[scaler] = record

    def forget(self, key: Scaler) -> None:
        """The scaler is gone. What was decided for it remains to be read for a while."""
        self._looks.pop((key[0], key[1]), None)
        self._written.pop((key[0], key[1]), None)

    async def run(self) -> None:
        """Write until cancelled, then what is left."""
        try:
            while True:
                there = await self._write()
                await asyncio.sleep(_WRITE_SECONDS if there else _AWAY_SECONDS)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    await self._write()

    # -- writing -------------------------------------------------------------------------------------------------------------

    async def _write(self) -> bool:
        """Write what is due; False when Redis is away."""
        decisions = [self._decisions.popleft() for _ in range(min(_AT_ONCE, len(self._decisions)))]
        looks = self._due_looks()
        if not decisions and not looks:
            return True
        try:
            await self._send([*chain.from_iterable(map(_remember, decisions)), *map(_show, looks)])
        except BaseException as error:
            room = _OUTSTANDING - len(self._decisions)
            self._decisions.extendleft(reversed(decisions[-room:] if room else []))
            if not isinstance(error, RedisError | OSError):
                raise
            if isinstance(error, ReadOnlyError) and not self._server.address.cluster:
                await self._server.commands.connection_pool.disconnect(inuse_connections=False)  # to ask anew who is the master
            return False
        self._written |= dict(looks)
        for scaler, record in looks:
            if self._looks.get(scaler) is record:
                del self._looks[scaler]
        return True

    def _due_looks(self) -> list[tuple[Scaler, Record]]:
        now = self._clock()
        due = []
        for scaler, record in self._looks.items():
            before = self._written.get(scaler)
            quiet = before is not None and not record.load and record.says_the_same_as(before)
            if before is None or not 0 <= now - before.at < (_IDLE_SECONDS if quiet else _BUSY_SECONDS):
                due.append((scaler, record))
                if len(due) == _AT_ONCE:
                    break
        return due

    async def _send(self, commands: Iterable[Command]) -> None:
        """All in one round trip. What Redis refuses is said once and dropped: it would refuse it again."""
        async with self._server.commands.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            answers = await pipe.execute(raise_on_error=False)
        refusals = [answer for answer in answers if isinstance(answer, Exception)]
        for refusal in refusals:
            if isinstance(refusal, RedisConnectionError | RedisTimeoutError | ReadOnlyError):  # not here, or not now
                raise refusal
        if refusals and (why := str(refusals[0])) != self._refusal:
            self._refusal = why
            log.warning("Redis at %s refuses to remember decisions: %s", self._server.address, why)


def _remember(decision: tuple[Scaler, Record]) -> list[Command]:
    scaler, record = decision
    key = keys.decisions(*scaler)
    return [
        ("LPUSH", key, record.text()),
        ("LTRIM", key, 0, KEPT - 1),
        ("EXPIRE", key, _KEPT_SECONDS),
        ("ZADD", keys.SCALERS, record.at, "/".join(scaler)),
        ("ZREMRANGEBYSCORE", keys.SCALERS, "-inf", record.at - _KEPT_SECONDS),
    ]


def _show(look: tuple[Scaler, Record]) -> Command:
    scaler, record = look
    return ("SET", keys.why(*scaler), record.text(), "EX", _DAY)


# -- reading -----------------------------------------------------------------------------------------------------------------


async def decisions_of(server: Server, namespace: str, name: str, count: int = KEPT) -> list[Record]:
    """The last decisions for a scaler, the newest first. Redis errors pass through."""
    texts = await server.commands.execute_command("LRANGE", keys.decisions(namespace, name), 0, count - 1)
    # those whose answer was lost may have been written twice
    return [record for text in dict.fromkeys(texts) if (record := Record.parse(text))]


async def latest_look_at(server: Server, namespace: str, name: str) -> Record | None:
    """What the latest look at a scaler came to; None when there was none within a day."""
    text = await server.commands.execute_command("GET", keys.why(namespace, name))
    return Record.parse(text) if text else None


async def known_scalers(server: Server) -> list[Scaler]:
    """The scalers of which decisions are remembered, those decided last first."""
    names = await server.commands.execute_command("ZREVRANGE", keys.SCALERS, 0, -1)
    return [(namespace, name) for text in names for namespace, _, name in (text.decode().partition("/"),)]
