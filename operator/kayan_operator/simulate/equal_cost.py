"""Ours beside the HPA's own rule when both may cost the same: what is left is how well the pods are used."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from kayan_operator.simulate.contest import world_of_ours, world_of_rival
from kayan_operator.simulate.figures import Figures, figures
from kayan_operator.simulate.hpa import HpaTerms
from kayan_operator.simulate.policies import NamedPolicy
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traffic import Trace

_LIKE = 1.02
"""Costs that differ by less are alike: pods are whole, and an HPA moves in steps."""
_HALVINGS = 16


@dataclass(frozen=True, slots=True)
class EqualCost:
    """``hpa`` are the figures of the HPA that waits least among those that cost what ours does, and at least that, with its ``terms``."""

    ours: Figures
    hpa: Figures
    terms: HpaTerms

    @property
    def p95_ratio(self) -> float:
        """Our p95 of waiting as a share of the HPA's; below 1 ours is better. 1 when nobody waits, infinite when only ours do."""
        if not self.hpa.p95_wait:
            return math.inf if self.ours.p95_wait else 1.0
        return self.ours.p95_wait / self.hpa.p95_wait


def at_equal_cost(trace: Trace, named: NamedPolicy, setting: Setting) -> EqualCost:
    """Find the target and the minReplicas with which an HPA spends the pod-hours that ours does on this traffic.

    It is never given less than ours spends; where even one pod all the time costs more than ours, it has that pod. Raises SimulationError.
    """
    world = world_of_ours(trace, named, setting)
    world.run()
    end = max(world.now, trace.length) + world.rule.linger
    world.run(end)
    ours = figures(world, trace.start, named.policy)
    found = list(_hpas(trace, named, setting, end, ours))
    alike = [one for one in found if one[0].pod_hours <= ours.pod_hours * _LIKE]
    best, terms = min(alike, key=lambda one: one[0].p95_wait) if alike else min(found, key=lambda one: one[0].pod_hours)
    return EqualCost(ours, best, terms)


def _hpas(trace: Trace, named: NamedPolicy, setting: Setting, end: float, ours: Figures) -> Iterator[tuple[Figures, HpaTerms]]:
    """For each minReplicas that ours could pay, the cheapest HPA that costs no less than ours. The higher its target, the less it costs."""
    most = max(1, min(named.policy.max_replicas, math.floor(ours.pod_hours * 3600 / end)))
    for fewest in range(1, most + 1):
        cheap, dear = math.log(10.0 * max(1, ours.jobs)), math.log(0.01)
        found = _hpa(trace, named, setting, end, fewest, cheap)
        if found[0].pod_hours >= ours.pod_hours:  # it stays at its minimum, and that is enough
            yield found
            continue
        found = _hpa(trace, named, setting, end, fewest, dear)
        if found[0].pod_hours < ours.pod_hours:  # it cannot spend as much
            yield found
            continue
        for _ in range(_HALVINGS):
            middle = (cheap + dear) / 2
            tried = _hpa(trace, named, setting, end, fewest, middle)
            if tried[0].pod_hours >= ours.pod_hours:
                dear, found = middle, tried
            else:
                cheap = middle
        yield found


def _hpa(trace: Trace, named: NamedPolicy, setting: Setting, end: float, fewest: int, target: float) -> tuple[Figures, HpaTerms]:
    terms = HpaTerms(target=math.exp(target), min_replicas=fewest, max_replicas=named.policy.max_replicas)
    world = world_of_rival(trace, named, terms, setting)
    world.run(end)
    return figures(world, trace.start, named.policy), terms
