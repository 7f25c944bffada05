"""What jobs of a queue take, from nothing but its counts.

Bull's counter of added jobs gives the arrivals between two looks, and the arrivals less the growth of what is unfinished give the
completions. By Little's law the jobs that ran on average, divided by the completions per second, are the seconds one job takes. All are
averages that forget, some sooner and some later: whoever plans for two hours must not take a burst for a lasting rate, and of jobs that
take minutes the last half minute says little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kayan_operator.decision.facts import QueueFacts

MEMORIES = (30.0, 180.0, 3600.0)
"""After how many seconds each average has forgotten all but a third."""
_ENOUGH_COMPLETIONS = 3.0
"""Fewer say nothing of what a job takes."""
_MANY_COMPLETIONS = 30.0
"""So many say it well."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Sums that decay, all at one pace."""

    arrivals: float = 0
    completions: float = 0
    busy: float = 0
    """Job-seconds of running jobs."""
    seconds: float = 0

    def after(self, passed: float, memory: float, arrived: int, completed: int, busy: float) -> Memory:
        kept = math.exp(-passed / memory)
        return Memory(
            self.arrivals * kept + arrived, self.completions * kept + completed, self.busy * kept + busy, self.seconds * kept + passed
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """Averages of one queue, of constant size. ``after`` gives the next ones."""

    at: float | None = None
    added: int = 0
    outstanding: int = 0
    active: int = 0
    memories: tuple[Memory, ...] = tuple(Memory() for _ in MEMORIES)
    slots: float = 1
    """The most jobs that one pod was seen to run at a time."""

    def after(self, at: float, facts: QueueFacts, pods: int) -> Rates:
        """With one more look at the queue, ``at`` seconds of the same clock; ``pods`` are those that could have run its jobs."""
        passed = at - self.at if self.at is not None else 0.0
        slots = max(self.slots, facts.active / pods) if pods > 0 else self.slots
        latest = replace(self, at=at, added=facts.added, outstanding=facts.outstanding, active=facts.active, slots=slots)
        arrived = facts.added - self.added
        if self.at is None or passed <= 0 or arrived < 0:  # the first look, or the queue was emptied and counts anew
            return latest
        completed, busy = max(0, arrived - (facts.outstanding - self.outstanding)), passed * (self.active + facts.active) / 2
        memories = (
            one.after(passed, memory, arrived, completed, busy) for one, memory in zip(self.memories, MEMORIES, strict=True)
        )
        return replace(latest, memories=tuple(memories))

    def arrivals_per_second(self, horizon: float) -> float:
        """As far as they matter to whoever plans for ``horizon`` seconds: a burst within it is spread over it."""
        for one, memory in zip(self.memories, MEMORIES, strict=True):
            if horizon <= memory or memory == MEMORIES[-1]:
                return one.arrivals / max(one.seconds, min(horizon, memory)) if one.seconds else 0.0
        return 0.0

    def finished_within(self, window: float) -> float:
        """About how many jobs finished within the last ``window`` seconds. Of what Redis keeps that cannot be told: an app that keeps its
        last hundred completed jobs and its last five hundred failed ones seems to fail all the time."""
        one = next((one for one, memory in zip(self.memories, MEMORIES, strict=True) if memory >= window / 2), self.memories[-1])
        return one.completions / one.seconds * window if one.seconds else 0.0

    @property
    def job_seconds(self) -> float | None:
        """How long one job runs, by the shortest memory that has seen many end; None before enough were seen at all."""
        found = None
        for one in self.memories[1:]:
            if one.completions >= _ENOUGH_COMPLETIONS and one.busy:
                found = one.busy / one.completions
                if one.completions >= _MANY_COMPLETIONS:
                    return found
        return found
