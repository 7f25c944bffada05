"""What the tests of the simulation share: jobs, and a rule of which they know everything beforehand."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kayan_operator.simulate.amounts import Spread
from kayan_operator.simulate.rule import Look, Rule, Victims
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traffic import Job
from kayan_operator.simulate.world import World

AT_ONCE = Setting(startup=Spread("constant", 0), actuation=0, slots=1)
"""A cluster whose pods are ready the moment they are asked for."""


class Timetable:
    """A rule that sets given numbers of replicas at given moments."""

    linger = 0.0

    def __init__(self, *plan: tuple[float, int], replicas: int = 0, victims: Victims = "idle") -> None:
        self.plan, self.replicas, self.victims = list(plan), replicas, victims
        self.first_look = plan[0][0] if plan else math.inf
        self.wanted = replicas
        self.started_after: list[float] = []

    def look(self, world: World) -> Look:
        while self.plan and self.plan[0][0] <= world.now:
            self.wanted = self.plan.pop(0)[1]
        again = self.plan[0][0] if self.plan else math.inf
        return Look(self.wanted, again, "Timetable", lambda: ("it is on the timetable",))

    def woken(self, now: float, again: float) -> float:
        return again

    def started(self, seconds: float) -> None:
        self.started_after.append(seconds)


def world(jobs: Sequence[Job], rule: Rule, setting: Setting = AT_ONCE, queues: Sequence[tuple[str, int]] = ()) -> World:
    """A world that has not begun. Its queue is ``a`` with the setting's slots unless ``queues`` says otherwise."""
    return World(jobs, queues or [("a", setting.slots)], rule, setting)


def steps(of: World) -> list[tuple[float, int]]:
    """When the replicas changed, and to what."""
    return [(round(change.at, 6), change.after) for change in of.changes]
