"""Something that happens every so many seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Strikes at ``phase``, and every ``period`` seconds from then on."""

    period: float
    phase: float = 0

    def after(self, moment: float) -> float:
        """When it strikes next, later than that."""
        if moment < self.phase:
            return self.phase
        strikes = math.floor((moment - self.phase) / self.period)
        while (strike := self.phase + strikes * self.period) <= moment:  # always by that sum, or a strike would be rounded in two ways
            strikes += 1
        return strike
