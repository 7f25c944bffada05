"""Durations, rates and spreads as people write them in traces and options."""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass
from typing import Any, Literal

from kayan_operator.decision import spec
from kayan_operator.simulate.trouble import SimulationError

_PER_SECOND = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def duration(value: Any, field: str) -> float:
    """In seconds: a number of them, or 250ms, 1h30m. Raises SimulationError, which names ``field``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if 0 <= value < math.inf:
            return float(value)
    elif isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    elif isinstance(value, str) and re.match(spec.DURATION, value):
        try:
            return spec.seconds(value, field)
        except spec.SpecError as error:
            raise SimulationError(str(error)) from error
    raise SimulationError(f"{field} is {value!r}, which is no duration: write 250ms, 30s or 1h30m")


def rate(value: Any, field: str) -> float:
    """Per second: a number, or 5/s, 120/min, 3000/h, 50000/d. Raises SimulationError, which names ``field``."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*/\s*(s|min|h|d)", value) if isinstance(value, str) else None
    if not match:
        raise SimulationError(f"{field} is {value!r}, which is no rate: write 5/s, 120/min or 3000/h")
    return float(match[1]) / _PER_SECOND[match[2]]


Shape = Literal["constant", "exponential", "uniform", "lognormal"]
_WORDS = {"constant": 1, "exponential": 1, "uniform": 2, "lognormal": 2}
_EXAMPLES = "write 2s, exponential 2s (its mean), uniform 1s 3s or lognormal 2s 0.8 (its median and sigma)"


@dataclass(frozen=True, slots=True)
class Spread:
    """How long things take: all the same, or drawn from a distribution."""

    shape: Shape = "constant"
    first: float = 0
    """Seconds: the constant, the mean, the lower end or the median."""
    second: float = 0
    """Seconds of the upper end, or sigma."""

    @classmethod
    def parse(cls, value: Any, field: str) -> Spread:
        """``2s``, ``exponential 2s``, ``uniform 1s 3s``, ``lognormal 2s 0.8``. Raises SimulationError, which names ``field``."""
        words = value.split() if isinstance(value, str) else [value]
        shape: Any = "constant"
        if len(words) > 1 or (words and words[0] in _WORDS):
            shape, *words = words
        if shape not in _WORDS or len(words) != _WORDS[shape]:
            raise SimulationError(f"{field} is {value!r}: {_EXAMPLES}")
        first = duration(words[0], field)
        if shape == "lognormal":
            if not re.fullmatch(r"\d+(\.\d+)?", words[1]):
                raise SimulationError(f"{field} is {value!r}, and sigma is a number such as 0.8: {_EXAMPLES}")
            return cls(shape, first, float(words[1]))
        second = duration(words[1], field) if len(words) > 1 else 0.0
        if shape == "uniform" and second < first:
            raise SimulationError(f"{field} is {value!r}, whose ends are the wrong way round: {_EXAMPLES}")
        return cls(shape, first, second)

    def draw(self, chance: random.Random) -> float:
        """Seconds of one thing."""
        if self.shape == "constant":
            return self.first
        if self.shape == "exponential":
            return chance.expovariate(1 / self.first) if self.first else 0.0
        if self.shape == "uniform":
            return chance.uniform(self.first, self.second)
        return self.first * math.exp(self.second * chance.gauss(0, 1))
