"""What jobs of a queue take, from nothing but its counts.

Bull's counter of added jobs gives the arrivals between two looks, and the arrivals less the growth of what is unfinished give the
completions. By Little's law the jobs that ran on average, divided by the completions per second, are the seconds one job takes. All are
averages that forget: of the last half minute for arrivals, of the last few for what a job takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kayan_operator.facts import QueueFacts

_ARRIVALS_SECONDS = 30.0
_WORK_SECONDS = 180.0
_ENOUGH_COMPLETIONS = 3.0
"""Fewer say nothing of what a job takes."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Averages of one queue, of constant size. ``after`` gives the next one."""

    at: float | None = None
    added: int = 0
    outstanding: int = 0
    active: int = 0
    # sums that decay, each with the decayed seconds it was gathered in
    arrivals: float = 0
    arrival_seconds: float = 0
    completions: float = 0
    busy: float = 0
    """Job-seconds of running jobs."""
    seconds: float = 0
    slots: float = 1
    """The most jobs that one pod was seen to run at a time, forgotten slowly."""

    def after(self, at: float, facts: QueueFacts, pods: int) -> Rates:
        """With one more look at the queue, ``at`` seconds of the same clock; ``pods`` are those that could have run its jobs."""
        passed = at - self.at if self.at is not None else 0.0
        slots = max(self.slots, facts.active / pods) if pods > 0 else self.slots
        latest = replace(self, at=at, added=facts.added, outstanding=facts.outstanding, active=facts.active, slots=slots)
        arrived = facts.added - self.added
        if self.at is None or passed <= 0 or arrived < 0:  # the first look, or the queue was emptied and counts anew
            return latest
        completed = max(0, arrived - (facts.outstanding - self.outstanding))
        fresh, kept = math.exp(-passed / _ARRIVALS_SECONDS), math.exp(-passed / _WORK_SECONDS)
        return replace(
            latest,
            arrivals=self.arrivals * fresh + arrived,
            arrival_seconds=self.arrival_seconds * fresh + passed,
            completions=self.completions * kept + completed,
            busy=self.busy * kept + passed * (self.active + facts.active) / 2,
            seconds=self.seconds * kept + passed,
        )

    @property
    def arrivals_per_second(self) -> float:
        return self.arrivals / self.arrival_seconds if self.arrival_seconds else 0.0

    @property
    def completions_per_second(self) -> float:
        return self.completions / self.seconds if self.seconds else 0.0

    @property
    def job_seconds(self) -> float | None:
        """How long one job runs; None before enough of them were seen to end."""
        if self.completions < _ENOUGH_COMPLETIONS or not self.busy:
            return None
        return self.busy / self.completions
