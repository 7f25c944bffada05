"""What scales in a simulation: ours, or a rival's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from kayan_operator.simulate.world import World

Victims = Literal["idle", "drain", "newest"]
"""Who ends at a scale-in: idle pods only; busy ones too where there are not enough; or the newest, whatever they do."""

Verdict = tuple[int, str, tuple[str, ...]]
"""Desired replicas, the reason and its sentences."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a rule found: ``desired`` replicas, when it looks ``again``, and its ``reason``, with the sentences for who asks."""

    desired: int
    again: float
    reason: str
    sentences: Callable[[], tuple[str, ...]]


class Rule(Protocol):
    """Looks at the world when its time has come, and says how many replicas there should be."""

    @property
    def replicas(self) -> int:
        """Those there are when the simulation begins."""

    @property
    def victims(self) -> Victims: ...

    @property
    def first_look(self) -> float: ...

    @property
    def linger(self) -> float:
        """How many seconds after the last job it may need to come to rest."""

    def look(self, world: World) -> Look: ...

    def woken(self, now: float, again: float) -> float:
        """A job was added: when to look, at ``again`` as planned or sooner."""

    def started(self, seconds: float) -> None:
        """A pod became ready so long after it was asked for."""
