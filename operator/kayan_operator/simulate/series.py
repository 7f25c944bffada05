"""What came of a simulation over time: for each of so many equal stretches the highest backlog, replicas and wait."""

from __future__ import annotations

from dataclasses import dataclass

from kayan_operator.simulate.figures import backlog
from kayan_operator.simulate.world import World


@dataclass(frozen=True, slots=True)
class Series:
    """One value a stretch."""

    backlog: list[float]
    replicas: list[float]
    wait: list[float]
    """The longest that a job had been waiting, in seconds."""


def series(world: World, stretches: int) -> Series:
    """From second zero until the world's present."""
    replicas = [(change.at, float(change.after)) for change in world.changes]
    return Series(
        backlog=_highest([(at, float(level)) for at, level in backlog(world)], 0.0, world.now, stretches),
        replicas=_highest(replicas, float(world.start_replicas), world.now, stretches),
        wait=_waits(world, stretches),
    )


def _highest(levels: list[tuple[float, float]], first: float, end: float, stretches: int) -> list[float]:
    """Of a level that changes at moments, the highest in each stretch."""
    width = end / stretches
    found, level, place = [], first, 0
    for stretch in range(stretches):
        highest = level
        last = (stretch + 1) * width if stretch < stretches - 1 else end
        while place < len(levels) and (levels[place][0] < last or last == end):
            level = levels[place][1]
            highest = max(highest, level)
            place += 1
        found.append(highest)
    return found


def _waits(world: World, stretches: int) -> list[float]:
    """The waits of those that began in a stretch, and of the one that had waited longest when it ended."""
    width = world.now / stretches
    found = [0.0] * stretches
    for job, began in zip(world.jobs, world.began, strict=True):
        until = world.now if began is None else began
        place = min(int(until / width), stretches - 1) if width else 0
        found[place] = max(found[place], until - job.due)
        if began is None or until - job.due > width:
            for earlier in range(min(max(0, int(job.due / width)), place), place):
                found[earlier] = max(found[earlier], (earlier + 1) * width - job.due)
    return found
