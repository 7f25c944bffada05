"""What came of a simulation, in figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kayan_operator.decision.policy import DrainBy, MaxWait, Policy
from kayan_operator.simulate.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Waits are seconds from when a job may be taken until it first begins; of one that never began, until the end."""

    jobs: int
    p50_wait: float
    p95_wait: float
    max_wait: float
    max_backlog: int
    """The most jobs that waited or ran at a time."""
    pod_hours: float
    idle_pod_hours: float
    """Those in which a pod ran nothing: it started, or there was no job for it."""
    scale_changes: int
    peak_replicas: int
    late: int | None
    """Jobs that began later than maxWait or were done later than drainBy says; None where the policy says neither."""
    interrupted: int
    """Runs that were cut short because their pod was ended, and had to begin anew."""
    unfinished: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def figures(world: World, start: float, policy: Policy) -> Figures:
    """Of a world that has come to its end; ``start`` is the Unix time of its second zero."""
    waits = sorted(waits_of(world))
    return Figures(
        jobs=len(world.jobs),
        p50_wait=percentile(waits, 50),
        p95_wait=percentile(waits, 95),
        max_wait=waits[-1] if waits else 0.0,
        max_backlog=max((level for _, level in backlog(world)), default=0),
        pod_hours=world.pod_seconds / 3600,
        idle_pod_hours=world.idle_seconds / 3600,
        scale_changes=len(world.changes),
        peak_replicas=max((change.after for change in world.changes), default=world.start_replicas),
        late=_late(world, start, policy),
        interrupted=world.interrupted,
        unfinished=world.unfinished,
    )


def waits_of(world: World) -> list[float]:
    """Each job's wait, in the order of the trace."""
    return [(world.now if began is None else began) - job.due for job, began in zip(world.jobs, world.began, strict=True)]


def percentile(ascending: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of them do not exceed; 0 of none."""
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)] if ascending else 0.0


def backlog(world: World) -> list[tuple[float, int]]:
    """From when on how many jobs waited or ran, in order of time."""
    steps = [(job.due, 1) for job in world.jobs]
    steps += [(ended, -1) for ended in world.ended if ended is not None]
    steps.sort()  # who leaves at a moment goes before who comes
    levels, level = [], 0
    for at, step in steps:
        level += step
        levels.append((at, level))
    return levels


def _late(world: World, start: float, policy: Policy) -> int | None:
    target, late = policy.target, _lateness(policy, start)
    if late is None:
        return None
    when = world.began if isinstance(target, MaxWait) else world.ended
    return sum((world.now if moment is None else moment) > late(job.due) + 1e-6 for job, moment in zip(world.jobs, when, strict=True))


def _lateness(policy: Policy, start: float) -> Callable[[float], float] | None:
    """By when a job that is due at a moment has to begin or to be done."""
    target = policy.target
    if isinstance(target, MaxWait):
        allowed = target.seconds
        return lambda due: due + allowed
    if isinstance(target, DrainBy):
        deadline = target.deadline
        return lambda due: deadline(start + due) - start
    return None
