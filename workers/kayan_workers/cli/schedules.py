"""``kayan schedules`` and ``kayan unschedule``: a queue's repeatable jobs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from kayan_workers.cli.durations import ago, roughly
from kayan_workers.cli.session import fail, print_json, print_table, queue_of

if TYPE_CHECKING:
    from kayan_workers.bull.schedules import Schedule
    from kayan_workers.bull.server import Server
    from kayan_workers.settings import Settings


async def show(server: Server, settings: Settings, *, name: str, as_json: bool) -> None:
    async with queue_of(server, settings, name) as queue:
        found = await queue.repeatables()
    if as_json:
        print_json([asdict(schedule) for schedule in found])
    elif found:
        print_table(("key", "runs", "zone", "next"), [(each.key, _when(each), each.tz or "", ago(each.next_ms)) for each in found])
    else:
        print(f"{name} has no schedules")


async def end(server: Server, settings: Settings, *, name: str, key: str) -> None:
    async with queue_of(server, settings, name) as queue:
        if not await queue.remove_repeatable_by_key(key):
            fail(f"queue {name} has no schedule {key!r}; `kayan schedules {name}` lists them")
    print(f"the schedule {key} of {name} has ended")


def _when(schedule: Schedule) -> str:
    return schedule.cron or (f"every {roughly(schedule.every_ms / 1000)}" if schedule.every_ms else "")
