"""KEDA's rule with its redis scaler on the list of waiting jobs: zero to one and back by polling, everything above by the HPA it makes."""

from __future__ import annotations

from dataclasses import dataclass

from kayan_operator.simulate.clock import Clock
from kayan_operator.simulate.hpa import SYNC, HpaTerms, Recommender
from kayan_operator.simulate.rule import Look, Verdict, Victims
from kayan_operator.simulate.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class KedaTerms:
    """``target`` is its listLength. Defaults are KEDA's."""

    target: float = 5
    activation: int = 0
    """It wakes for a list that is longer than that."""
    min_replicas: int = 0
    max_replicas: int = 100
    polling: float = 30.0
    cooldown: float = 300.0
    sync: float = SYNC


class KedaRule:
    """Two clocks: KEDA's own polls, and the syncs of its HPA, which does nothing at zero replicas."""

    victims: Victims = "newest"

    def __init__(self, terms: KedaTerms, polls: float = 0, syncs: float = 0) -> None:
        """``polls`` and ``syncs`` are when it does either first, in seconds."""
        self.terms = terms
        self.replicas = terms.min_replicas
        self.linger = terms.cooldown + terms.polling + terms.sync
        self._recommender = Recommender(HpaTerms(target=terms.target, min_replicas=max(1, terms.min_replicas),
                                                 max_replicas=terms.max_replicas, sync=terms.sync))
        self._polling, self._syncing = Clock(terms.polling, polls), Clock(terms.sync, syncs)
        self._next_poll, self._next_sync = polls, syncs
        self._active_at: float | None = None
        self.first_look = min(polls, syncs)

    def look(self, world: World) -> Look:
        verdict: Verdict = world.replicas, "NoChange", ("nothing changes",)
        if world.now >= self._next_poll:
            self._next_poll = self._polling.after(world.now)
            verdict = self._poll(world.now, world.replicas, world.waiting) or verdict
        if world.now >= self._next_sync:
            self._next_sync = self._syncing.after(world.now)
            if verdict[0] and verdict[0] == world.replicas:
                verdict = self._recommender.sync(world.now, world.replicas, world.waiting)
        desired, reason, sentences = verdict
        again = min(self._next_poll, self._next_sync)
        return Look(desired, again, reason, lambda: sentences)

    def _poll(self, now: float, replicas: int, waiting: list[int]) -> Verdict | None:
        terms = self.terms
        if max(waiting) > terms.activation:
            self._active_at = now
            if replicas:
                return None
            woken = max(1, terms.min_replicas)
            return woken, "Activated", (f"the list is {max(waiting)} long, more than {terms.activation}: from zero to {woken}",)
        if replicas < terms.min_replicas:
            return terms.min_replicas, "MinReplicas", (f"never fewer than {terms.min_replicas} (minReplicaCount)",)
        if replicas and not terms.min_replicas and (self._active_at is None or now - self._active_at > terms.cooldown):
            return 0, "Deactivated", (f"the list has been empty for more than {terms.cooldown:g} s (cooldownPeriod): zero",)
        return None

    def woken(self, now: float, again: float) -> float:
        return again

    def started(self, seconds: float) -> None:
        return None
