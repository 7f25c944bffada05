"""``kayan cleanup``: queues a cleanup once per slot, or shows what it would do."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

from kayan_workers.bull.options import JobOptions, KeepJobs
from kayan_workers.cli.adding import APP_OPTIONS
from kayan_workers.cli.durations import roughly
from kayan_workers.cli.session import INTERRUPTED, fail, print_json, print_table, queue_of
from kayan_workers.errors import KayanError
from kayan_workers.processors.cleaning.policy import KINDS, SWITCHES, switch_variable

if TYPE_CHECKING:
    from kayan_workers.bull.server import Server
    from kayan_workers.processors.cleaning.report import Report
    from kayan_workers.settings import Settings

_SLOTS = {"hourly": "%Y-%m-%dT%H", "daily": "%Y-%m-%d", "weekly": "%G-W%V", "monthly": "%Y-%m"}
"""The part of the local time that stays the same until a cleanup is due again."""

_NODE_SCHEDULES = {
    "EXPIRED_LINKS": "__default__::::0 2 * * *", "OLD_ANALYTICS": "__default__::::0 3 1 * *", "TEMP_FILES": "__default__::::0 * * * *",
}  # fmt: skip
"""The repeat keys under which Node workers register cleanups when they start."""

_KEPT_SLOTS = 750
"""A finished slot must stay known until it is over, whatever else the queue does: a month of hourly ones."""


def slot_of(kind: str, now: datetime) -> str:
    """The hour, day, week or month of a cleanup in the zone of ``now``. An hour that comes twice when clocks go back is two."""
    often = KINDS[kind]
    return now.strftime(_SLOTS[often]) + ("-second" if often == "hourly" and now.fold else "")


async def add(server: Server, settings: Settings, *, kind: str, zone: tzinfo, again: bool, retire: bool) -> None:
    """Queue one cleanup, unless that of the slot in this ``zone`` has been queued before: whoever calls, however often, it runs once.

    With ``retire`` the schedule that Node workers registered for the same cleanup ends, so that nothing runs twice.
    """
    now = datetime.now(zone)
    job_id = f"cleanup-{kind}-{slot_of(kind, now)}" + (f"-again-{now.astimezone(UTC):%H%M%S%f}" if again else "")
    kept = KeepJobs(count=_KEPT_SLOTS)
    options = JobOptions(job_id=job_id, priority=10, remove_on_complete=kept, remove_on_fail=kept)
    async with queue_of(server, settings, "cleanup") as queue:
        if retire and kind in _NODE_SCHEDULES and await queue.remove_repeatable_by_key(_NODE_SCHEDULES[kind]):
            print(f"{kind}: the Node workers' own schedule has ended")
        state = await queue.state_of(job_id)
        if state is not None:
            print(f"{job_id}: queued before, it is {state}. --again runs it once more")
            return
        await queue.add({"type": kind}, options=options.over(APP_OPTIONS))
    print(f"{job_id}: queued")


class _Nobody:
    """Listens to a dry run that is no job's: its remarks are in the report."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def progress(self, value: float | dict[str, object]) -> None: ...

    def log(self, row: str) -> None: ...


def rehearse(settings: Settings, *, kind: str, limit: int, as_json: bool) -> None:
    """Search database and store here and now, and show what a run would remove; the first ``limit`` one by one. Touches nothing."""
    from kayan_workers.edges import Edges

    edges = Edges(settings)
    try:
        from kayan_workers.processors.cleanup import survey

        report = survey(kind, _Nobody(), edges)
    except KeyboardInterrupt:
        fail("stopped", INTERRUPTED)
    except KayanError as error:
        fail(str(error))
    except ImportError as error:
        fail(f"{error}; install what it needs: pip install 'kayan-workers[maintenance]'")
    finally:
        edges.close()
    if kind in SWITCHES and kind not in settings.cleanup.on:
        report.notes.append(f"{kind} is switched off: a job of it fails until {switch_variable(kind)}=on where the cleanup worker runs")
    if as_json:
        print_json({"type": kind, "dryRun": True, **report.as_json(finds=limit)})
    else:
        _print(kind, report, limit)


def _print(kind: str, report: Report, limit: int) -> None:
    listed, now = report.listed[:limit], datetime.now(UTC)
    if listed:
        rows = [(found.what, found.id, found.reason, roughly((now - found.since).total_seconds()), found.size) for found in listed]
        print_table(("what", "id", "reason", "age", "bytes"), rows)
        print()
    if (left_out := report.removed.total() - len(listed)) > 0:
        print(f"{left_out} more are not listed")
    for remark in report.notes:
        print(f"note: {remark}")
    print(f"{kind}: {report.in_words(dry_run=True)}. Nothing was touched")
