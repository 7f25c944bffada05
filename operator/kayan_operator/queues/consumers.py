"""Who takes jobs from queues: by the names that workers give the connection they wait on, as CLIENT LIST tells them.

    census = Census(server)
    census.refresh()                       # returns at once; the list is read when the last one is old
    census.of(Keys("thumbnail-generation"))  # Consumers, or None while nobody knows

Bull's workers name one connection of each queue ``bull:<queue in base64>``; ours add ``:pod/<pod>``. CLIENT LIST costs Redis about a
microsecond for each client, so it is read rarely, and never by anybody who has to decide.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from kayan_workers.bull.keys import Keys
from kayan_workers.bull.server import Server
from redis.exceptions import RedisError, ResponseError

from kayan_operator.decision.facts import Consumers

EVERY_SECONDS = 30.0
_POD = ":pod/"


class Census:
    """Of one server. What is older than three readings is known no more."""

    def __init__(self, server: Server, *, refused: Callable[[Exception], None] = lambda error: None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """``refused`` hears, once, of an error that says this user may not list clients."""
        self._server = server
        self._tell_refused = refused
        self._clock = clock
        self._found: Mapping[str, Consumers] = {}
        self._read_at = float("-inf")
        self._asked_at = float("-inf")
        self._refusal = ""
        self._reading: asyncio.Task[None] | None = None

    def of(self, keys: Keys) -> Consumers | None:
        """Those of one queue, as last read; None when nobody knows."""
        if self._clock() - self._read_at > 3 * EVERY_SECONDS:
            return None
        return self._found.get(keys.client_name) or Consumers(read_at=self._read_at)

    def refresh(self) -> None:
        """Read the list in the background, when the last one is old."""
        is_reading = self._reading is not None and not self._reading.done()
        if not is_reading and self._clock() - self._asked_at >= EVERY_SECONDS:
            self._asked_at = self._clock()
            self._reading = asyncio.create_task(self._read())

    async def read(self) -> None:
        """Read the list now. Redis errors pass through."""
        began = self._clock()
        self._found = consumers_of(await self._listed(), began)
        self._read_at = began
        self._refusal = ""

    async def close(self) -> None:
        if self._reading:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self) -> None:
        try:
            await self.read()
        except (RedisError, OSError) as error:
            if isinstance(error, ResponseError) and str(error) != self._refusal:
                self._refusal = str(error)
                self._tell_refused(error)

    async def _listed(self) -> str:
        """What all nodes list. Subscribers take no jobs."""
        everywhere = {"target_nodes": "all"} if self._server.address.cluster else {}
        answer: Any = await self._server.commands.execute_command("CLIENT", "LIST", "TYPE", "normal", **everywhere)
        texts = answer.values() if isinstance(answer, dict) else [answer]
        return "\n".join(text.decode(errors="replace") if isinstance(text, bytes) else str(text) for text in texts)


def consumers_of(listed: str, read_at: float) -> dict[str, Consumers]:
    """By the name that the workers of a queue bear, who has it. ``listed`` is what CLIENT LIST says."""
    pods: dict[str, set[str]] = {}
    node: dict[str, int] = {}
    for line in listed.splitlines():
        name = line.partition(" name=")[2].partition(" ")[0]
        queue, is_ours, pod = name.partition(_POD)
        if is_ours:
            pods.setdefault(queue, set()).add(pod)
        elif name:
            # a Bull worker; whatever other connection bears a name is nobody's queue
            node[name] = node.get(name, 0) + 1
    return {queue: Consumers(frozenset(pods.get(queue, ())), node.get(queue, 0), read_at) for queue in (*pods, *node)}
