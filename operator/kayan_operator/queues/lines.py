"""The connections that queues are read over: one to a plain server, one to each node of a cluster that has some of them.

    lines = Lines(server, patience=3, changed=look_at_all)
    line = await lines.of("{bull}", "{bull}:mail:wait")  # an error, at once, while its node is known to be lost
    await lines.run()                                    # learns which nodes of a cluster are

Whether a plain server is there the doorbell knows (``Doorbell.lost``); of a cluster it would know one node.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from kayan_workers.bull.ending import end
from kayan_workers.bull.line import Line
from kayan_workers.bull.server import Server
from redis.exceptions import RedisError

from kayan_operator.queues.patience import HANGS_SECONDS, within

CLIENT_NAME = "kayan-operator"
"""Of all our connections."""

_BEAT_SECONDS = 1.0


@dataclass(eq=False)
class _Node:
    """Of a cluster, or the one server there is."""

    key: str
    """One that it holds."""
    line: Line | None = None
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Those who want it at the same time share one."""
    trouble: Exception | None = None
    """Why it is lost; None while it may be asked."""
    regaining: asyncio.Task[None] | None = None


class Lines:
    """Opened when first asked for, and again when lost. Opening one may take ``patience`` seconds."""

    def __init__(self, server: Server, *, patience: float, changed: Callable[[], None] = lambda: None) -> None:
        """``changed`` is called when a node of a cluster is lost, and when it is there again."""
        self._server = server
        self._patience = patience
        self._changed = changed
        self._by_name: dict[str, _Node] = {}
        self._by_tag: dict[str, _Node] = {}
        """By hash tag; empty on a plain server. A cluster of which a node hangs is slow to tell who holds a slot."""

    async def of(self, tag: str, key: str) -> Line:
        """The line to whoever holds ``key``, and all other keys with this tag. Raises RedisError, OSError or TimeoutError."""
        node = self._by_tag.get(tag)
        if node is None:
            name = await within(self._patience, self._name_of(key))
            node = self._by_tag[tag] = self._by_name.setdefault(name, _Node(key))
        return await self._open(node)

    def lose(self, line: Line, key: str, error: Exception) -> None:
        """Whoever is at the other end did not answer to a question about ``key``, or sent us elsewhere. A node of a cluster is not asked
        again before somebody takes connections for this key."""
        for node in list(self._by_name.values()):
            if node.line is line:
                self._lose(node, key, error)

    async def run(self) -> None:
        """Ask each node of a cluster that is not lost whether it is there, again and again, until cancelled."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            await asyncio.gather(*(self._beat(node) for node in self._by_name.values()))

    async def close(self) -> None:
        nodes = list(self._by_name.values())
        await end(node.regaining for node in nodes if node.regaining)
        for node in nodes:
            if node.line:
                node.line.close()

    async def _open(self, node: _Node) -> Line:
        async with node.opening:
            if node.trouble is not None:
                raise node.trouble
            if node.line is None or not node.line.is_open:
                is_cluster = self._server.address.cluster
                # of a lost node we learn at the first try; of a plain server the doorbell does, and we wait out a failover
                connect = self._server.open_line if is_cluster else self._server.line
                try:
                    node.line = await within(self._patience, connect(node.key, name=CLIENT_NAME, timeout=math.inf))
                except (RedisError, OSError, TimeoutError) as error:
                    self._lose(node, node.key, error)
                    raise
            return node.line

    async def _name_of(self, key: str) -> str:
        if not self._server.address.cluster:
            return ""
        await self._server.commands.initialize()
        return str(getattr(self._server.commands.get_node_from_key(key), "name", ""))

    async def _beat(self, node: _Node) -> None:
        try:
            line = await self._open(node)
        except (RedisError, OSError, TimeoutError):
            return  # it is lost
        try:
            await within(HANGS_SECONDS, line.send("PING"))
        except TimeoutError as error:
            self.lose(line, node.key, error)
        except (RedisError, OSError):
            pass  # a refusal is an answer too, and one lost connection is no lost node: the next beat opens another

    def _lose(self, node: _Node, key: str, error: Exception) -> None:
        if node.trouble is not None:
            return
        error = error if str(error) else TimeoutError(f"no answer within {self._patience:g} s")
        if node.line:
            node.line.close(error)
        self._server.note_down(error)
        if self._server.address.cluster:
            node.trouble, node.regaining = error, asyncio.create_task(self._regain(node, key))
            self._changed()

    async def _regain(self, lost: _Node, key: str) -> None:
        """However long it takes. By then the cluster has been asked who holds what was this node's, and each line is chosen anew."""
        line = await self._server.line(key, name=CLIENT_NAME, timeout=math.inf)
        line.close()
        for book in (self._by_tag, self._by_name):
            for name in [name for name, node in book.items() if node is lost]:
                del book[name]
        self._changed()
