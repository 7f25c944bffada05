"""The same traffic under several rules, looked at for the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kayan_operator.decision.policy import Policy
from kayan_operator.simulate.chance import chance
from kayan_operator.simulate.figures import Figures, figures
from kayan_operator.simulate.hpa import HpaRule, HpaTerms
from kayan_operator.simulate.keda import KedaRule, KedaTerms
from kayan_operator.simulate.ours import Ours
from kayan_operator.simulate.policies import NamedPolicy
from kayan_operator.simulate.rivals import Rival, terms_of
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traffic import Trace
from kayan_operator.simulate.trouble import SimulationError
from kayan_operator.simulate.world import World

_REST = 60.0
"""Seconds that are looked at after everybody should have come to rest."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule made of the traffic; ``start`` is the Unix time of its second zero."""

    name: str
    world: World
    figures: Figures


def contest(trace: Trace, policies: Sequence[NamedPolicy], rivals: Sequence[Rival], setting: Setting) -> list[Outcome]:
    """Each policy, with the rivals beside it. Two policies that give a rival the same terms share it. Raises SimulationError."""
    runs = [(one.name, one.policy, world_of_ours(trace, one, setting)) for one in policies]
    seen: set[object] = set()
    for one in policies:
        for rival in rivals:
            terms = terms_of(rival, one.policy)
            queues = _queues(one.policy, setting)
            if (key := (rival.rule, terms, tuple(queues))) in seen:
                continue
            seen.add(key)
            name = rival.rule if len(policies) == 1 else f"{rival.rule} for {one.name}"
            runs.append((name, one.policy, world_of_rival(trace, one, terms, setting)))
    for _, _, world in runs:
        world.run()
    end = max(max(world.now, trace.length) for *_, world in runs) + max(world.rule.linger for *_, world in runs) + _REST
    for _, _, world in runs:
        world.run(end)
    return [Outcome(name, world, figures(world, trace.start, policy)) for name, policy, world in runs]


def world_of_ours(trace: Trace, named: NamedPolicy, setting: Setting) -> World:
    """The traffic of the policy's queues under our rule. Raises SimulationError when there is none."""
    return _world(trace, named, setting, Ours(named.policy, setting, trace.start))


def world_of_rival(trace: Trace, named: NamedPolicy, terms: HpaTerms | KedaTerms, setting: Setting) -> World:
    """The same under a rival's. Where in its periods its clocks stand is drawn, by the setting's seed."""
    drawn = chance(setting.seed, "rival")
    if isinstance(terms, KedaTerms):
        return _world(trace, named, setting, KedaRule(terms, drawn.uniform(0, terms.polling), drawn.uniform(0, terms.sync)))
    return _world(trace, named, setting, HpaRule(terms, drawn.uniform(0, terms.sync)))


def _queues(policy: Policy, setting: Setting) -> list[tuple[str, int]]:
    return [(queue.name, queue.concurrency or setting.slots) for queue in policy.queues]


def _world(trace: Trace, named: NamedPolicy, setting: Setting, rule: Any) -> World:
    queues = _queues(named.policy, setting)
    jobs = trace.of(tuple(name for name, _ in queues))
    if not jobs:
        there = ", ".join(sorted({job.queue for job in trace.jobs}))
        raise SimulationError(f"{trace.name} has no job for {named.name}, whose queues are {', '.join(name for name, _ in queues)}: "
                              f"its jobs are of {there}")
    return World(jobs, queues, rule, setting)
