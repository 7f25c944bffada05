"""How many replicas there should be: a pure, total function of what is the case, what is wanted and what was.

    decide(snapshot, policy, history) -> Decision

The number starts as what the jobs deserve and passes a chain of rules, each of which may change it and says so in a step. In a fuller
queue the outcome is never smaller, other things being equal. What could not be read is unknown, which is not zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kayan_operator.decision.demand import Demand, demand
from kayan_operator.decision.facts import QueueFacts, Snapshot, Unread
from kayan_operator.decision.history import History
from kayan_operator.decision.lulls import Taper, Wish
from kayan_operator.decision.policy import Pace, Policy

SHRINK_MARGIN = 1.1
"""The number falls only when so many times the jobs would still find room: a load that trembles does not move it."""

_EPSILON = 1e-9
Figures = Mapping[str, Any]
"""What a sentence is made of: numbers and names, fit for JSON."""


@dataclass(frozen=True, slots=True)
class Step:
    """One rule of the chain: the number before and after it, and the figures its sentence is made of (``sentences.py``)."""

    rule: str
    before: int
    after: int
    figures: Figures = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """``desired`` replicas, and the chain of reasoning that led there."""

    at: float
    replicas: int
    """Those there were."""
    desired: int
    steps: tuple[Step, ...]
    load: float = 0
    history: History
    """To be handed to the next decision."""
    look_again: float | None = None
    """In how many seconds the answer may be another one though nothing has happened. None: never."""

    @property
    def reason(self) -> str:
        """The rule that had the last word: CamelCase, as conditions and Events want it."""
        return next((step.rule for step in reversed(self.steps) if step.before != step.after), self.steps[0].rule)

    @property
    def limits(self) -> tuple[Step, ...]:
        """The steps that kept the number from what the jobs deserve."""
        return tuple(step for step in self.steps[1:] if step.rule in LIMITS and step.before != step.after)


LIMITS = frozenset(["MaxReplicas", "Budget", "FailedJobs", "BrokenPods", "ScaleUpPace", "ScaleUpStabilization"])
"""Rules that give a scaler less than it wants."""


class _Chain:
    """The number on its way through the rules."""

    def __init__(self, replicas: int, first: Step) -> None:
        self.replicas = replicas
        self.value = first.after
        self.steps = [first]

    def raise_to(self, floor: int, rule: str, **figures: float | str | None) -> None:
        self._set(max(self.value, floor), rule, figures)

    def lower_to(self, cap: int, rule: str, **figures: float | str | None) -> None:
        self._set(min(self.value, cap), rule, figures)

    def _set(self, value: int, rule: str, figures: Figures) -> None:
        if value != self.value:
            self.steps.append(Step(rule, self.value, value, figures))
            self.value = value


def decide(snapshot: Snapshot, policy: Policy, history: History) -> Decision:
    """Any snapshot gives a decision between the smaller and the larger of ``spec.replicas`` and the policy's bounds."""
    history = history.seen(snapshot)
    wanted = demand(snapshot, policy, history)
    unread = [(queue, facts) for queue, facts in zip(policy.queues, snapshot.queues, strict=True) if isinstance(facts, Unread)]
    grow_to, shrink_to = math.ceil(wanted.pods - _EPSILON), math.ceil(wanted.pods * SHRINK_MARGIN - _EPSILON)
    if wanted.load > 0:
        grow_to, shrink_to = max(grow_to, 1), max(shrink_to, 1)
    if not unread:
        window = max(policy.scale_up.stabilization or 0, _window(policy, history, snapshot.at))
        history = history.wished(snapshot.at, grow_to, shrink_to, most=_most(snapshot, policy), window=window)
    chain = _Chain(snapshot.replicas, _first_step(snapshot, wanted, grow_to))
    if policy.paused:
        chain.raise_to(snapshot.replicas, "Paused")
        chain.lower_to(snapshot.replicas, "Paused")
        return _decision(snapshot, wanted, chain, history, None)
    _steady(chain, snapshot, policy, history, grow_to, shrink_to)
    longest = max(unread, key=lambda one: one[1].seconds, default=None)
    if longest and policy.fallback and longest[1].seconds >= policy.fallback.after:
        chain.raise_to(policy.fallback.replicas, "Fallback", queue=str(longest[0]), seconds=longest[1].seconds)
    floor = _floors(chain, snapshot, policy)
    _failing(chain, snapshot, policy, history, floor)
    _paced(chain, snapshot, policy, history)
    if snapshot.share is not None:
        chain.lower_to(max(snapshot.share, 0), "Budget", budget=snapshot.budget, share=snapshot.share,
                       trouble=snapshot.budget_trouble or None)
    chain.lower_to(policy.max_replicas, "MaxReplicas", max_replicas=policy.max_replicas)
    if longest:  # last, for nobody can tell now which pods are idle
        chain.raise_to(snapshot.replicas, "Unknown", queue=str(longest[0]), why=longest[1].why, seconds=longest[1].seconds)
    return _decision(snapshot, wanted, chain, history, _look_again(snapshot, policy, history, chain))


def _first_step(snapshot: Snapshot, wanted: Demand, grow_to: int) -> Step:
    if wanted.load or any(isinstance(facts, Unread) for facts in snapshot.queues):
        return Step(wanted.rule, snapshot.replicas, grow_to, wanted.figures)
    held = sum(facts.held for facts in snapshot.queues if isinstance(facts, QueueFacts))
    later = [facts.next_due for facts in snapshot.queues if isinstance(facts, QueueFacts) and facts.next_due is not None]
    return Step("Idle", snapshot.replicas, 0, {"held": held, "next_due": min(later, default=None)})


def _steady(chain: _Chain, snapshot: Snapshot, policy: Policy, history: History, grow_to: int, shrink_to: int) -> None:
    """Neither follow each tremor of the load, nor a lull that may be over in a moment."""
    current = snapshot.replicas
    if grow_to > current:
        window = policy.scale_up.stabilization or 0
        lowest = history.lowest(snapshot.at - window) if window else grow_to
        chain.lower_to(max(current, grow_to if lowest is None else lowest), "ScaleUpStabilization", window=window)
        return
    chain.raise_to(min(current, shrink_to), "Margin", margin=(SHRINK_MARGIN - 1) * 100)
    window = _window(policy, history, snapshot.at)
    if _tapers(policy, history, snapshot.at):
        _taper(chain, snapshot, history.taper(snapshot.at), history)
    else:
        chain.raise_to(min(current, history.highest(snapshot.at - window)), "ScaleDownStabilization", window=window)
    if chain.value == 0 and current > 0:
        idle = snapshot.at - history.last_work
        if idle < policy.cooldown:
            chain.raise_to(1, "Cooldown", cooldown=policy.cooldown, left=policy.cooldown - idle)


def _most(snapshot: Snapshot, policy: Policy) -> int:
    """How many pods there can be."""
    limits = [policy.max_replicas] if snapshot.share is None else [policy.max_replicas, snapshot.share]
    return max(snapshot.replicas, min(limits))


def _window(policy: Policy, history: History, at: float) -> float:
    """For how many seconds a number that was wanted may keep pods from going."""
    window = policy.scale_down.stabilization
    return history.taper(at).window if window is None else window


def _tapers(policy: Policy, history: History, at: float) -> bool:
    """Whether pods go a few at a time. What was wanted before it began to look, an operator cannot know: until then all stay."""
    return policy.scale_down.stabilization is None and at - history.since > history.taper(at).window


def _taper(chain: _Chain, snapshot: Snapshot, taper: Taper, history: History) -> None:
    stay, wish = taper.kept(history.peaks, chain.value, snapshot.at)
    if wish:
        chain.raise_to(min(snapshot.replicas, stay), "Lull", wanted=wish.replicas, lasted=snapshot.at - wish.end, patience=taper.patience)


def _floors(chain: _Chain, snapshot: Snapshot, policy: Policy) -> int:
    """Apply the lowest numbers allowed; returns the one that holds now."""
    floor = policy.min_replicas
    chain.raise_to(policy.min_replicas, "MinReplicas", min_replicas=policy.min_replicas)
    for window in sorted(policy.schedule, key=lambda window: window.replicas):
        if window.is_open(snapshot.wall):
            floor = max(floor, window.replicas)
            chain.raise_to(window.replicas, "Schedule", window=window.name, replicas=window.replicas)
    return floor


def _failing(chain: _Chain, snapshot: Snapshot, policy: Policy, history: History, floor: int) -> None:
    """More pods would fail as well, or not come up either. What there is goes on, so that the recovery is seen."""
    failure, hold = policy.failure, max(snapshot.replicas, floor, 1)
    failed, finished = 0, 0.0
    for facts, rates in zip(snapshot.queues, history.rates, strict=True):
        if isinstance(facts, QueueFacts):
            failed += facts.failed
            finished += max(facts.finished, rates.finished_within(failure.window))
    # who has not looked for as long cannot tell how many of them did well
    is_known = snapshot.at - history.since >= failure.window
    if is_known and failure.error_percent is not None and finished >= failure.min_jobs and failed * 100 >= failure.error_percent * finished:
        chain.lower_to(hold, "FailedJobs", failed=failed, finished=finished, window=failure.window)
    if failure.broken_pods and snapshot.broken:
        chain.lower_to(hold, "BrokenPods", broken=snapshot.broken)


def _paced(chain: _Chain, snapshot: Snapshot, policy: Policy, history: History) -> None:
    up, down, at, now = policy.scale_up, policy.scale_down, snapshot.at, snapshot.replicas
    if chain.value > now and (step := _step_of(up, base := history.replicas_at(at - up.period, now))) is not None:
        chain.lower_to(max(now, base + step), "ScaleUpPace", step=step, period=up.period)
    elif chain.value < now and (step := _step_of(down, base := history.replicas_at(at - down.period, now))) is not None:
        chain.raise_to(min(now, base - step), "ScaleDownPace", step=step, period=down.period)


def _step_of(pace: Pace, base: int) -> int | None:
    """By how many replicas the number may differ from ``base``; None for any."""
    steps = [pace.pods] if pace.pods is not None else []
    if pace.percent is not None:
        steps.append(max(1, math.ceil(base * pace.percent / 100 - _EPSILON)))
    return max(steps) if steps else None


def _look_again(snapshot: Snapshot, policy: Policy, history: History, chain: _Chain) -> float | None:
    """When time alone may change the answer: a job comes near, a cooldown or a window of wishes ends, an hour of the schedule begins."""
    at, ahead = snapshot.at, history.look_ahead(policy)
    read = [facts for facts in snapshot.queues if isinstance(facts, QueueFacts) and not facts.paused]
    moments = [facts.next_due - ahead for facts in read if facts.next_due is not None]
    if any(step.rule in ("ScaleUpPace", "ScaleDownPace") for step in chain.steps):
        moments.append(min(policy.scale_up.period, policy.scale_down.period))
    if chain.value > policy.min_replicas:
        moments.append(history.last_work + policy.cooldown - at)
        moments.extend(_until_fewer_stay(wish, policy, history, at) for wish in history.peaks[:-1])
    if policy.scale_up.stabilization:
        moments.extend(wish.end + policy.scale_up.stabilization - at for wish in history.valleys[:-1])
    if policy.schedule:
        moments.append(60 - snapshot.wall % 60)
    return min((max(moment, 0.0) for moment in moments if moment > -1), default=None)


def _until_fewer_stay(wish: Wish, policy: Policy, history: History, at: float) -> float:
    """In how many seconds an earlier wish keeps fewer pods from going than now."""
    age = at - wish.end
    return history.taper(at).next_step(age) if _tapers(policy, history, at) else _window(policy, history, at) - age


def _decision(snapshot: Snapshot, wanted: Demand, chain: _Chain, history: History, look_again: float | None) -> Decision:
    return Decision(at=snapshot.at, replicas=snapshot.replicas, desired=chain.value, steps=tuple(chain.steps), load=wanted.load,
                    history=history, look_again=look_again)
