"""Traffic that is described instead of recorded: steady, ramping, daily and in bursts. The same description gives the same jobs.

    seed: 7                       # of everything that is drawn
    start: 2026-01-05T00:00:00Z   # for times of day
    length: 24h                   # looked at in any case
    takes: lognormal 2s 0.8       # how long a job runs
    traffic:                      # all of these together
      - {rate: 2/s, at: 5m, for: 10m}
      - {ramp: [0/s, 5/s], at: 1h, for: 30m, takes: 4s}
      - {day: [0.2/s, 6/s], peak: 14h}          # lowest and highest rate, and when the highest is; `period` is 24h
      - {burst: 1000, at: 10m, every: 20m, times: 3, over: 2s, queue: email, delay: 30s}

Arrivals are those of a Poisson process; ``arrivals: even`` spaces them evenly.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from kayan_operator.simulate.amounts import Spread, duration, rate
from kayan_operator.simulate.chance import chance
from kayan_operator.simulate.traffic import START, Job, Trace
from kayan_operator.simulate.trouble import SimulationError

MOST_JOBS = 2_000_000
_STEPS = 2_000
"""Into which a stretch of changing rate is cut; within one the rate counts as steady."""
_SHAPES = ("rate", "ramp", "day", "burst")

Amount = str | int | float


class _Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Stretch(_Part, frozen=True, rename={"lasts": "for"}):
    """One entry of ``traffic``, as it is written."""

    rate: Amount | UnsetType = UNSET
    ramp: Annotated[list[Amount], Meta(min_length=2, max_length=2)] | UnsetType = UNSET
    day: Annotated[list[Amount], Meta(min_length=2, max_length=2)] | UnsetType = UNSET
    burst: Annotated[int, Meta(ge=1, le=MOST_JOBS)] | UnsetType = UNSET
    at: Amount = 0
    lasts: Amount | UnsetType = UNSET
    over: Amount = 0
    peak: Amount = "14h"
    period: Amount = "24h"
    every: Amount | UnsetType = UNSET
    times: Annotated[int, Meta(ge=1, le=10_000)] = 1
    takes: Amount | UnsetType = UNSET
    delay: Amount = 0
    queue: str = ""
    arrivals: Literal["poisson", "even"] | UnsetType = UNSET


class Description(_Part, frozen=True):
    """The file, as it is written."""

    traffic: Annotated[list[Stretch], Meta(min_length=1)]
    start: str | UnsetType = UNSET
    length: Amount | UnsetType = UNSET
    seed: int = 0
    takes: Amount = "1s"
    arrivals: Literal["poisson", "even"] = "poisson"


def described(path: Path, document: Any) -> Trace:
    """The jobs of a description. Raises SimulationError, which names the file and the field."""
    try:
        written = msgspec.convert(document, Description)
        return _Maker(written).trace(path.stem)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$.")
        field = where.rstrip("`")
        raise SimulationError(f"{path}: {field + ': ' if field else ''}{what[:1].lower()}{what[1:]}") from error
    except SimulationError as error:
        raise SimulationError(f"{path}: {error}") from error


class _Maker:
    def __init__(self, written: Description) -> None:
        self.written = written
        self.length = None if written.length is UNSET else duration(written.length, "length")
        self.expected = 0.0
        """Jobs of all stretches so far."""

    def trace(self, name: str) -> Trace:
        jobs: list[Job] = []
        for place, stretch in enumerate(self.written.traffic):
            jobs.extend(self._jobs(stretch, f"traffic[{place}]", chance(self.written.seed, place)))
        if not jobs:
            raise SimulationError("traffic describes no job at all: raise a rate or lengthen it")
        jobs.sort(key=lambda job: job.at)
        length = self.length if self.length is not None else jobs[-1].at
        return Trace(name=name, jobs=tuple(jobs), start=_start(self.written.start), length=length)

    def _jobs(self, stretch: Stretch, field: str, drawn: random.Random) -> Iterator[Job]:
        shapes = [shape for shape in _SHAPES if getattr(stretch, shape) is not UNSET]
        if len(shapes) != 1:
            raise SimulationError(f"{field} has {' and '.join(shapes) or 'no shape'}: give one of {', '.join(_SHAPES)}")
        takes = (Spread.parse(self.written.takes, "takes") if stretch.takes is UNSET else Spread.parse(stretch.takes, f"{field}.takes"))
        delay, first = duration(stretch.delay, f"{field}.delay"), duration(stretch.at, f"{field}.at")
        for repeat in range(stretch.times):
            begins = first + repeat * self._every(stretch, field)
            for moment in self._moments(stretch, shapes[0], field, begins, drawn):
                yield Job(begins + moment, takes.draw(drawn), stretch.queue, delay)

    def _every(self, stretch: Stretch, field: str) -> float:
        if stretch.every is not UNSET:
            return duration(stretch.every, f"{field}.every")
        if stretch.times > 1:
            raise SimulationError(f"{field}.times needs to know how far they are apart: add every, such as 20m")
        return 0.0

    def _moments(self, stretch: Stretch, shape: str, field: str, begins: float, drawn: random.Random) -> Iterator[float]:
        """Seconds after the stretch begins."""
        if shape == "burst":
            assert stretch.burst is not UNSET
            over = duration(stretch.over, f"{field}.over")
            self._expect(stretch.burst, field)
            return iter([over * place / stretch.burst for place in range(stretch.burst)])
        lasts = self._lasts(stretch, field, begins)
        even = (self.written.arrivals if stretch.arrivals is UNSET else stretch.arrivals) == "even"
        curve, steps = _curve(stretch, shape, field, begins, lasts), 1 if shape == "rate" else _STEPS
        self._expect(sum(curve((step + 0.5) * lasts / steps) for step in range(steps)) * lasts / steps, field)
        return _arrivals(curve, lasts, steps, None if even else drawn)

    def _expect(self, jobs: float, field: str) -> None:
        self.expected += jobs
        if self.expected > MOST_JOBS:
            raise SimulationError(f"{field} brings it to {self.expected:,.0f} jobs, more than {MOST_JOBS:,}: lower a rate or shorten it")

    def _lasts(self, stretch: Stretch, field: str, begins: float) -> float:
        if stretch.lasts is not UNSET:
            return duration(stretch.lasts, f"{field}.for")
        if self.length is None:
            raise SimulationError(f"{field} does not say how long it lasts: add for, such as 10m, or a length for all")
        return max(0.0, self.length - begins)


def _curve(stretch: Stretch, shape: str, field: str, begins: float, lasts: float) -> Callable[[float], float]:
    """The rate at so many seconds after the stretch begins."""
    if shape == "rate":
        steady = rate(stretch.rate, f"{field}.rate")
        return lambda at: steady
    low, high = (rate(value, f"{field}.{shape}[{place}]") for place, value in enumerate(getattr(stretch, shape)))
    if shape == "ramp":
        return lambda at: low + (high - low) * at / lasts
    if not (period := duration(stretch.period, f"{field}.period")):
        raise SimulationError(f"{field}.period is {stretch.period!r}: write a time above zero")
    peak = duration(stretch.peak, f"{field}.peak")
    return lambda at: low + (high - low) * (1 + math.cos(2 * math.pi * (begins + at - peak) / period)) / 2


def _arrivals(curve: Callable[[float], float], lasts: float, steps: int, drawn: random.Random | None) -> Iterator[float]:
    """When jobs come at that rate: each once the curve has gathered one more job (or, by chance, an exponential share of one)."""
    width, gathered = lasts / steps, 0.0
    wanted = drawn.expovariate(1) if drawn else 0.5
    for step in range(steps):
        amount = curve((step + 0.5) * width) * width
        while gathered + amount > wanted:
            yield (step + (wanted - gathered) / amount) * width
            wanted += drawn.expovariate(1) if drawn else 1.0
        gathered += amount


def _start(written: str | UnsetType) -> float:
    if written is UNSET:
        return START
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise SimulationError(f"start is {written!r}, which is no moment: write 2026-01-05T00:00:00Z") from error
    if moment.tzinfo is None:
        raise SimulationError(f"start is {written!r}, which has no time zone: write 2026-01-05T00:00:00Z")
    return moment.timestamp()


def is_description(document: Any) -> bool:
    return isinstance(document, Mapping) and "traffic" in document
