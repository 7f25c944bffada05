"""What a scaler remembers from one decision to the next: bounded, immutable, and enough to go on after a restart.

``decide`` reads it; ``History.after`` is the only way to a later one. Times are seconds of the snapshot's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kayan_operator.decision import lulls
from kayan_operator.decision.facts import QueueFacts, Snapshot
from kayan_operator.decision.lulls import Lull, Taper, Wish
from kayan_operator.decision.policy import Policy
from kayan_operator.decision.rates import Rates

FIRST_STARTUP = 10.0
"""Seconds, before any was measured."""
_STARTUP_WEIGHT = 0.3
_LONGEST_STARTUP = 300.0


@dataclass(frozen=True, slots=True)
class Change:
    """The target's number was seen to change."""

    at: float
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything before this moment that matters to the next decision."""

    since: float
    """When this operator began to look. Nothing is known of the time before."""
    last_work: float
    """When a job was last seen waiting, running or due."""
    peaks: tuple[Wish, ...] = ()
    """The highest numbers wanted lately: falling numbers with rising ends, so that the first that is not too old is their maximum."""
    valleys: tuple[Wish, ...] = ()
    """The lowest, likewise."""
    changes: tuple[Change, ...] = ()
    replicas: int | None = None
    rates: tuple[Rates, ...] = ()
    startup: float = FIRST_STARTUP
    """How long a pod takes from being asked for to being ready, in seconds, as measured lately."""
    lull: Lull | None = None
    """The longest that has ended lately, of those that matter."""

    @classmethod
    def begin(cls, snapshot: Snapshot) -> History:
        """Of an operator that sees the target for the first time. It may have been scaled just now: the present number counts as wanted."""
        at, replicas = snapshot.at, snapshot.replicas
        return cls(since=at, last_work=at, peaks=(Wish(at, replicas),), valleys=(Wish(at, replicas),), replicas=replicas,
                   rates=tuple(Rates() for _ in snapshot.queues))

    def look_ahead(self, policy: Policy) -> float:
        """How many seconds before it is due a delayed job counts as if it waited."""
        return policy.look_ahead if policy.look_ahead is not None else self.startup

    def taper(self, at: float) -> Taper:
        """How pods go that a lull leaves without work."""
        return Taper.of(self.startup, self.lull, at)

    def highest(self, since: float) -> int:
        """The highest number wanted at ``since`` or later; 0 when nothing was."""
        return next((wish.replicas for wish in self.peaks if wish.end >= since), 0)

    def lowest(self, since: float) -> int | None:
        """The lowest number wanted at ``since`` or later."""
        return next((wish.replicas for wish in self.valleys if wish.end >= since), None)

    def replicas_at(self, moment: float, now: int) -> int:
        """How many replicas there were at that moment; ``now`` are those of the present."""
        return next((change.before for change in self.changes if change.at > moment), now)

    def seen(self, snapshot: Snapshot) -> History:
        """With what ``snapshot`` says, before the decision about it."""
        at = snapshot.at
        changes = self.changes
        if self.replicas is not None and snapshot.replicas != self.replicas:
            changes = (*changes[-31:], Change(at, self.replicas))
        works = any(facts.waiting or facts.active or facts.due for facts in snapshot.queues if isinstance(facts, QueueFacts))
        rates = self.rates
        if len(rates) != len(snapshot.queues):
            rates = tuple(Rates() for _ in snapshot.queues)
        rates = tuple(
            rate.after(at, facts, snapshot.ready) if isinstance(facts, QueueFacts) else rate
            for rate, facts in zip(rates, snapshot.queues, strict=True)
        )
        return replace(self, changes=changes, replicas=snapshot.replicas, rates=rates, last_work=at if works else self.last_work)

    def wished(self, at: float, grow_to: int, shrink_to: int, *, most: int, window: float) -> History:
        """With the two numbers wanted at ``at``, which hold until the next; those that ended before ``window`` seconds are forgotten.
        No more than ``most`` could have been had, so no more can be missed."""
        return replace(
            self,
            lull=lulls.ended(self.peaks, min(grow_to, most), at, self.startup, self.lull),
            peaks=_with(self.peaks, at, min(shrink_to, most), window, lambda older, newer: older <= newer),
            valleys=_with(self.valleys, at, grow_to, window, lambda older, newer: older >= newer),
        )

    def started(self, seconds: float) -> History:
        """With one more pod that took so long to become ready."""
        seconds = min(seconds, _LONGEST_STARTUP)
        return replace(self, startup=self.startup + _STARTUP_WEIGHT * (seconds - self.startup))


def _with(wishes: tuple[Wish, ...], at: float, replicas: int, window: float, beaten: Callable[[int, int], bool]) -> tuple[Wish, ...]:
    """The latest wish held until now. Those that the new one beats can never be the extreme again."""
    kept = [wish for wish in wishes[:-1] if wish.end >= at - window]
    if wishes:
        kept.append(Wish(at, wishes[-1].replicas))
    while kept and beaten(kept[-1].replicas, replicas):
        kept.pop()
    return (*kept, Wish(at, replicas))
