"""How many pods the jobs deserve, before anybody's limits: a real number, so that its user can round up with or without a margin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kayan_operator.decision.facts import QueueFacts, Snapshot
from kayan_operator.decision.history import History
from kayan_operator.decision.policy import DrainBy, JobsPerReplica, MaxWait, Policy, Queue
from kayan_operator.decision.rates import Rates

_MARGIN = 1.2
"""Of what time targets compute from averages: work comes in lumps."""
_SHORTEST = 1.0
"""Seconds: no backlog is asked to be gone sooner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """``pods`` that the jobs deserve, why (the name of a rule in ``sentences.py``) and from which figures."""

    pods: float
    rule: str
    figures: Mapping[str, float | str | None] = field(default_factory=dict)
    load: float = 0
    """Jobs that wait, run or are due soon, each with its queue's weight."""


def demand(snapshot: Snapshot, policy: Policy, history: History) -> Demand:
    """What the queues that could be read deserve."""
    read = [
        (queue, facts, rates)
        for queue, facts, rates in zip(policy.queues, snapshot.queues, history.rates, strict=True)
        if isinstance(facts, QueueFacts)
    ]
    load = sum(queue.weight * (facts.waiting + facts.active + facts.due) for queue, facts, _ in read)
    target = policy.target
    if isinstance(target, JobsPerReplica):
        figures = {
            "waiting": sum(facts.waiting for _, facts, _ in read),
            "active": sum(facts.active for _, facts, _ in read),
            "due": sum(facts.due for _, facts, _ in read),
            "jobs_per_replica": target.jobs,
        }
        return Demand(pods=load / target.jobs, rule="Backlog", figures=figures, load=load)
    # each pod has slots for each of its queues, so the neediest queue says how many pods there must be
    demands = [_in_time(snapshot, target, queue, facts, rates, history.startup) for queue, facts, rates in read]
    worst = max(demands, key=lambda one: one.pods, default=Demand(pods=0, rule="Idle"))
    return Demand(pods=worst.pods, rule=worst.rule, figures=worst.figures, load=load)


def _in_time(snapshot: Snapshot, target: MaxWait | DrainBy, queue: Queue, facts: QueueFacts, rates: Rates, startup: float) -> Demand:
    """Pods enough for the arrivals, and for what waits to be begun (or done) in the time there is."""
    slots = queue.concurrency or max(1.0, rates.slots)
    waiting, age = facts.waiting + facts.due, facts.oldest_age or 0.0
    seconds = rates.job_seconds
    figures: dict[str, float | str | None] = {
        "queue": queue.name, "waiting": waiting, "active": facts.active, "age": age, "slots": slots, "job_seconds": seconds,
    }
    if isinstance(target, MaxWait):
        rule, allowed = "Wait", _time_to_begin(target.seconds, age)
        figures["max_wait"] = target.seconds
    else:
        deadline = target.deadline(snapshot.wall - age)
        rule, allowed = "Deadline", max(deadline - snapshot.wall, _SHORTEST)
        figures["deadline"] = deadline
    time = max(allowed - startup, allowed / 4, _SHORTEST) if waiting else allowed
    arrivals = rates.arrivals_per_second(max(time, 2 * (seconds or 0)))
    figures |= {"time": time, "arrivals": arrivals}
    if seconds is None:  # nothing is known of these jobs: a slot for each, as if they took for ever
        pods = (waiting + facts.active) / slots if isinstance(target, MaxWait) else float(bool(waiting or facts.active))
        return Demand(pods=pods, rule=rule + "Unmeasured", figures=figures)
    work = arrivals * seconds + waiting * seconds / time
    pods = max(_MARGIN * work, facts.active) / slots if waiting or facts.active else 0.0
    return Demand(pods=pods, rule=rule, figures=figures)


def _time_to_begin(max_wait: float, age: float) -> float:
    """In which what waits should be begun. A line whose head is late already is shortened up to four times as quickly."""
    late = max(0.0, age - max_wait) / max_wait
    return max(_SHORTEST, max_wait * max(1 - late, 0.25))
