"""The HorizontalPodAutoscaler's own rule on the length of the list of waiting jobs, which is all that it would be given.

As its controller computes it for an external metric with an average value and no ``behavior``: at each sync the length of the list, divided
by the target; nothing within a tolerance of 10 %; the highest of what the last five minutes recommended; and at most twice as many pods, or
four.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from kayan_operator.simulate.clock import Clock
from kayan_operator.simulate.rule import Look, Verdict, Victims
from kayan_operator.simulate.world import World

SYNC = 15.0
TOLERANCE = 0.1
STABILIZATION = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HpaTerms:
    """``target`` waiting jobs for each pod."""

    target: float
    min_replicas: int = 1
    max_replicas: int = 10
    sync: float = SYNC
    tolerance: float = TOLERANCE
    stabilization: float = STABILIZATION


class Recommender:
    """What the controller remembers, and computes at a sync."""

    def __init__(self, terms: HpaTerms) -> None:
        self.terms = terms
        self._recommended: deque[tuple[float, int]] = deque()
        """Falling numbers with rising times: the first that is not too old is the highest."""

    def sync(self, now: float, replicas: int, waiting: Sequence[int]) -> Verdict:
        """How many replicas there should be, the reason and its sentences."""
        terms = self.terms
        if replicas > terms.max_replicas:
            return terms.max_replicas, "TooManyReplicas", (f"never more than {terms.max_replicas} (maxReplicas)",)
        if replicas < terms.min_replicas:
            return terms.min_replicas, "TooFewReplicas", (f"never fewer than {terms.min_replicas} (minReplicas)",)
        if not self._recommended:
            self._remember(now, replicas)
        computed = max(self._computed(length, replicas) for length in waiting)
        self._remember(now, computed)
        stable = self._highest(now)
        limit = min(terms.max_replicas, max(2 * replicas, 4))
        desired = min(max(stable, terms.min_replicas), limit)
        return desired, self._reason(computed, stable, limit), (
            f"the list is {max(waiting)} long, at {terms.target:g} for each pod: {computed}",
            f"the highest recommendation of the last {terms.stabilization:g} s is {stable}",
            f"at least {terms.min_replicas}, at most {limit}: {desired}",
        )

    def _reason(self, computed: int, stable: int, limit: int) -> str:
        """In the words of an HPA's condition."""
        if stable > limit:
            return "ScaleUpLimit" if limit < self.terms.max_replicas else "TooManyReplicas"
        return "ScaleDownStabilized" if stable > computed else "DesiredWithinRange"

    def _computed(self, length: int, replicas: int) -> int:
        ratio = length / (self.terms.target * replicas) if replicas else math.inf
        if 1 - self.terms.tolerance <= ratio <= 1 + self.terms.tolerance:
            return replicas
        return math.ceil(length / self.terms.target - 1e-9)

    def _remember(self, now: float, number: int) -> None:
        while self._recommended and self._recommended[-1][1] <= number:
            self._recommended.pop()
        self._recommended.append((now, number))

    def _highest(self, now: float) -> int:
        while self._recommended[0][0] < now - self.terms.stabilization:
            self._recommended.popleft()
        return self._recommended[0][1]


class HpaRule:
    """An HPA alone: it never goes to zero, and the pods that it ends are whichever are newest."""

    victims: Victims = "newest"

    def __init__(self, terms: HpaTerms, phase: float = 0) -> None:
        """``phase`` is when it looks first, in seconds."""
        self.terms = terms
        self.replicas = terms.min_replicas
        self.first_look = phase
        self.linger = terms.stabilization + terms.sync
        self._recommender = Recommender(terms)
        self._clock = Clock(terms.sync, phase)

    def look(self, world: World) -> Look:
        desired, reason, sentences = self._recommender.sync(world.now, world.replicas, world.waiting)
        return Look(desired, self._clock.after(world.now), reason, lambda: sentences)

    def woken(self, now: float, again: float) -> float:
        return again

    def started(self, seconds: float) -> None:
        return None
