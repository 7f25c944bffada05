"""Which roles of a worker claim nothing for now, because an edge that they need is known to be unusable.

A job that is claimed all the same waits, fails and has lost an attempt: without this, an outage or a wrong password that outlasts its
attempts would fail it for good. What runs goes on, and so do the queue's chores. A worker that starts knows nothing of its edges yet, and
waits for the first look at them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from kayan_workers import logs

if TYPE_CHECKING:
    from kayan_workers.processors.table import Role

_FIRST_SECONDS = 0.5
"""Between two looks at the least."""
_AGAIN_SECONDS = 3.0
"""Between two looks at an edge that cannot be used, after the first few."""
_CALM_SECONDS = 10.0
"""Between two looks at an edge that can be used, while no job has trouble."""
_FIRST_LOOK_SECONDS = 8.0
"""How long a role waits for the first look at an edge before it takes jobs without: longer than a server that hangs is waited for."""
_REASONS = 5
"""How many reasons are remembered, to be said once: some have a number in them that is another each time."""


class EdgeCheck(Protocol):
    """What can be asked of an edge."""

    def begin(self) -> None:
        """Begin what the first call waits for, if that takes long."""

    async def __call__(self) -> None:
        """Return when it can be used, raise why it cannot."""

    def doubt(self) -> None:
        """Somebody has had trouble with it: what was known does not count for the next call."""

    def close(self) -> None:
        """Leave nothing behind."""


class Holding:
    """Watches the edges of a worker. ``hold`` is told of a role when it is to claim nothing (True) and when it may again."""

    def __init__(self, roles: Sequence[Role], checks: Mapping[str, EdgeCheck], hold: Callable[[Role, bool], None]) -> None:
        self._roles = roles
        self._checks = checks
        self._hold = hold
        self._doubts = {edge: asyncio.Event() for edge in checks}
        self._unusable: dict[str, deque[str]] = {}
        """Edge -> what has last been said of it since it became unusable."""
        self._unknown: set[str] = set()
        """Edges that have not been looked at yet."""
        self._told: set[str] = set()
        """The roles that ``hold`` was told to hold, by name."""
        self._log = logs.get()

    def begin(self) -> None:
        """Hold every role until its edges have been looked at: without a word, as that takes a second."""
        self._unknown = set(self._checks)
        self._tell()

    def doubt(self, role: Role) -> None:
        """A job of the role has had trouble of the kind that an edge makes: look at once."""
        for edge in self._checks.keys() & set(role.needs):
            self._checks[edge].doubt()
            self._doubts[edge].set()

    def can_use(self, edge: str) -> bool:
        """False while it is known that the edge cannot be used."""
        return edge not in self._unusable

    async def watch(self, edge: str) -> None:
        """Look at one edge until cancelled: soon again while it cannot be used, rarely while it can and nobody has trouble with it."""
        patience = asyncio.get_running_loop().call_later(_FIRST_LOOK_SECONDS, self._was_looked_at, edge)
        try:
            await self._watch(edge)
        finally:
            patience.cancel()

    async def _watch(self, edge: str) -> None:
        pause = _FIRST_SECONDS
        while True:
            self._doubts[edge].clear()
            try:
                await self._checks[edge]()
            except Exception as error:
                self._cannot_be_used(edge, str(error) or type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _AGAIN_SECONDS)
            else:
                self._can_be_used(edge)
                pause = _FIRST_SECONDS
                await asyncio.sleep(pause)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CALM_SECONDS):
                        await self._doubts[edge].wait()

    def _cannot_be_used(self, edge: str, why: str) -> None:
        before = self._held
        said = self._unusable.setdefault(edge, deque(maxlen=_REASONS))
        if why not in said:
            said.append(why)
            self._log.error(f"{edge}.unusable", error=why)
        if held := [role for role in self._held if role not in before]:
            self._log.warning("worker.holding", roles=[role.name for role in held], edge=edge, error=why)
        self._was_looked_at(edge)

    def _can_be_used(self, edge: str) -> None:
        if edge in self._unusable:
            before = self._held
            del self._unusable[edge]
            self._log.info(f"{edge}.usable")
            if released := [role for role in before if role not in self._held]:
                self._log.info("worker.released", roles=[role.name for role in released], edge=edge)
        self._was_looked_at(edge)

    def _was_looked_at(self, edge: str) -> None:
        self._unknown.discard(edge)
        self._tell()

    def _tell(self) -> None:
        """Pass on for which roles something has changed."""
        for role in self._roles:
            is_held = bool((self._unusable.keys() | self._unknown) & set(role.needs))
            if is_held is not (role.name in self._told):
                (self._told.add if is_held else self._told.remove)(role.name)
                self._hold(role, is_held)

    @property
    def _held(self) -> list[Role]:
        """Those that wait for an edge that is known to be unusable."""
        return [role for role in self._roles if self._unusable.keys() & set(role.needs)]
