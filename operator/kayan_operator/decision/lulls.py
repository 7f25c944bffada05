"""How long pods stay that nobody needs just now: ``scaleDown.stabilization: auto``. Pure.

What a pod saves that stays through a lull is one start-up. So all stay for about as long as a pod takes to start. The longer a lull has
lasted, the less likely it ends within the next start-up: half of those that are too many stay until it has lasted twice as long, a quarter
until four times as long, and so on to the end of a window. One pod too many stays that long; of a hundred most are gone soon.

Where a lull ended for which too many would have gone, the next ones are given its time before the first pod goes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST = 10.0
"""Seconds for which all stay at least: a load trembles, and an HPA that is to bring pods back looks every 15."""
SHORTEST_WINDOW, LONGEST_WINDOW = 60.0, 300.0
"""The upper bound is what an HPA itself stabilizes for."""
_STARTUPS = 6
"""The window, in start-ups, between these bounds."""
_REMEMBERED = 1800.0
"""Seconds for which a lull that has ended counts."""
_LONGER = 1.25
"""The next lull may be a little longer."""
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Wish:
    """A number that was wanted, until ``end`` at least."""

    end: float
    replicas: int


@dataclass(frozen=True, slots=True)
class Lull:
    """What had been wanted was wanted again ``seconds`` later, at ``at``."""

    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Taper:
    """All that are too many stay for ``patience`` seconds, and then ever fewer until ``window`` seconds are over."""

    patience: float
    window: float

    @classmethod
    def of(cls, startup: float, lull: Lull | None = None, at: float = 0) -> Taper:
        """Where a pod takes ``startup`` seconds to start, and ``lull`` is remembered."""
        window = min(max(SHORTEST_WINDOW, _STARTUPS * startup), LONGEST_WINDOW)
        known = lull.seconds * _LONGER if lull and at - lull.at < _REMEMBERED else 0.0
        return cls(min(max(SHORTEST, startup, known), window), window)

    def share(self, age: float) -> float:
        """Which part of those that are too many stays in a lull that has lasted ``age`` seconds."""
        if age > self.window:
            return 0.0
        return 1.0 if age < self.patience else 0.5 ** (1 + self._halvings(age))

    def next_step(self, age: float) -> float:
        """In how many seconds the share is another than at ``age``. Negative once the window is over."""
        step = self.patience if age < self.patience else self.patience * 2.0 ** (1 + self._halvings(age))
        return min(step, self.window) - age

    def kept(self, wishes: Sequence[Wish], now: int, at: float) -> tuple[int, Wish | None]:
        """How many pods stay where ``now`` are wanted, and the earlier wish for whose sake they do."""
        most, why = now, None
        for wish in wishes:
            if wish.replicas > now:
                stay = now + math.ceil((wish.replicas - now) * self.share(at - wish.end) - _EPSILON)
                if stay > most:
                    most, why = stay, wish
        return most, why

    def _halvings(self, age: float) -> int:
        return math.floor(math.log2(age / self.patience) + _EPSILON)


def ended(wishes: Sequence[Wish], wanted: int, at: float, startup: float, known: Lull | None) -> Lull | None:
    """The lull to remember now that ``wanted`` pods are. ``wishes`` are those before, as ``History.peaks`` has them."""
    taper = Taper.of(startup)
    before = next((wish for wish in reversed(wishes) if wish.replicas >= wanted), None)
    if before is None or before is wishes[-1] or taper.kept(wishes, wishes[-1].replicas, at)[0] >= wanted:
        return known  # that many were never wanted, or are already, or would have been there
    seconds = at - before.end
    if seconds > taper.window or (known and seconds < known.seconds and at - known.at < _REMEMBERED):
        return known
    return Lull(seconds, at)
