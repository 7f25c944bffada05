"""The schedules of repeatable jobs: list them, end them. Source: wire document, section 3.19."""

from __future__ import annotations

from dataclasses import dataclass

from kayan_workers.bull import repeat
from kayan_workers.bull.core import QueueCore
from kayan_workers.bull.iteration import id_prefix, readings, repeat_key
from kayan_workers.bull.job import DEFAULT_NAME
from kayan_workers.bull.options import Repeat


@dataclass(frozen=True, slots=True)
class Schedule:
    """One repeatable job. ``next_ms`` is its next run, or the last one when its limit or end date is reached."""

    key: str
    name: str
    job_id: str | None
    end_date_ms: int | None
    tz: str | None
    cron: str | None
    every_ms: int | None
    next_ms: int


class Schedules(QueueCore):
    """Lists and ends schedules."""

    async def repeatables(self, start: int = 0, end: int = -1, *, ascending: bool = True) -> list[Schedule]:
        """The schedules from position ``start`` to ``end``, both inclusive, the next to run first."""
        members = await repeat.members(self, start, end, ascending=ascending)
        return [_schedule(member) for member in members]

    async def remove_repeatable(self, options: Repeat, *, name: str = DEFAULT_NAME) -> bool:
        """End the schedule that was added under these options and name; False when there is none.

        A run that has begun goes on; the pending one is deleted.
        """
        wire = options.to_wire()
        key = repeat_key(name, wire)
        return await self._end(key, [id_prefix(name, options.job_id, key)])

    async def remove_repeatable_by_key(self, key: str) -> bool:
        """End the schedule of this repeat key, as ``repeatables`` lists them; False when there is none.

        A key does not say where the name ends and the id begins when they have colons; every reading is tried.
        """
        prefixes = [id_prefix(reading.name, reading.job_id, key) for reading in readings(key)]
        return await self._end(key, prefixes)

    async def _end(self, key: str, prefixes: list[str]) -> bool:
        return bool(await self.run("repeat_remove", key, *prefixes, keys=(self.keys.wait, self.keys.schedules)))


def _schedule(member: repeat.Member) -> Schedule:
    """What a key says, with the help of the copy of its latest iteration where there is one."""
    reading = member.readings[0]
    return Schedule(member.key, reading.name, reading.job_id, reading.end_ms, reading.tz, reading.cron, reading.every_ms, member.next_ms)
