"""Which roles of a worker claim nothing for now, because an edge that they need is known to be unusable.

A job that is claimed all the same waits, fails and has lost an attempt: without this, an outage or a wrong password that outlasts its
attempts would fail it for good. What runs goes on, and so do the queue's chores.
"""

from __future__ import annotations

import asyncio
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


class EdgeCheck(Protocol):
    """What can be asked of an edge."""

    async def __call__(self) -> None:
        """Return when it can be used, raise why it cannot."""

    def doubt(self) -> None:
        """Somebody has had trouble with it: what was known does not count for the next call."""


class Holding:
    """Watches the edges of a worker. ``hold`` is told of a role when it is to claim nothing (True) and when it may again."""

    def __init__(self, roles: Sequence[Role], checks: Mapping[str, EdgeCheck], hold: Callable[[Role, bool], None]) -> None:
        self._roles = roles
        self._checks = checks
        self._hold = hold
        self._doubts = {edge: asyncio.Event() for edge in checks}
        self._unusable: dict[str, set[str]] = {}
        """Edge -> what has been said of it since it became unusable."""
        self._log = logs.get()

    def doubt(self, role: Role) -> None:
        """A job of the role has had trouble of the kind that an edge makes: look at once."""
        for edge in self._checks.keys() & set(role.needs):
            self._checks[edge].doubt()
            self._doubts[edge].set()

    async def watch(self, edge: str) -> None:
        """Look at one edge until cancelled: soon again while it cannot be used, rarely while it can and nobody has trouble with it."""
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
        said = self._unusable.setdefault(edge, set())
        if why not in said:
            said.add(why)
            self._log.error(f"{edge}.unusable", error=why)
        if held := [role for role in self._held if role not in before]:
            self._log.warning("worker.holding", roles=[role.name for role in held], edge=edge, error=why)
            for role in held:
                self._hold(role, True)

    def _can_be_used(self, edge: str) -> None:
        if edge not in self._unusable:
            return
        before = self._held
        del self._unusable[edge]
        self._log.info(f"{edge}.usable")
        if released := [role for role in before if role not in self._held]:
            self._log.info("worker.released", roles=[role.name for role in released], edge=edge)
            for role in released:
                self._hold(role, False)

    @property
    def _held(self) -> list[Role]:
        return [role for role in self._roles if self._unusable.keys() & set(role.needs)]
