"""``kayan add`` and ``kayan cleanup``: jobs as the web app would add them."""

from __future__ import annotations

import importlib
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from kayan_workers.bull.errors import BulkError
from kayan_workers.bull.options import Backoff, JobOptions, KeepJobs
from kayan_workers.bull.queue import BulkJob
from kayan_workers.cli.session import USAGE, fail, queue_of
from kayan_workers.errors import PermanentError
from kayan_workers.processors.table import ROLES

if TYPE_CHECKING:
    from kayan_workers.bull.server import Server
    from kayan_workers.settings import Settings

APP_OPTIONS = JobOptions(attempts=3, backoff=Backoff(type="exponential", delay_ms=2000), remove_on_complete=100, remove_on_fail=500)
"""What the web app gives every job."""

_SLOTS = {"EXPIRED_LINKS": "%Y-%m-%d", "OLD_VARIANTS": "%Y-%m-%d", "TEMP_FILES": "%Y-%m-%dT%H", "OLD_ANALYTICS": "%Y-%m"}
"""How often each cleanup is due, as the part of the time (UTC) that stays the same until the next one."""

_NODE_SCHEDULES = {
    "EXPIRED_LINKS": "__default__::::0 2 * * *", "OLD_ANALYTICS": "__default__::::0 3 1 * *", "TEMP_FILES": "__default__::::0 * * * *",
}  # fmt: skip
"""The repeat keys under which Node workers register cleanups when they start."""

_KEPT_SLOTS = 750
"""A finished slot must stay known until it is over, whatever else the queue does: a month of hourly ones."""


def payloads(text: str) -> list[Any]:
    """The JSON given on the command line, or of standard input for ``-``: one document, or one a line."""
    source = sys.stdin.read() if text == "-" else text
    try:
        return [msgspec.json.decode(source)]
    except msgspec.DecodeError as error:
        lines = [line for line in source.splitlines() if line.strip()]
        if len(lines) < 2:
            fail(f"the payload is not JSON: {error}. Quote it for the shell: kayan add cleanup '{{\"type\":\"TEMP_FILES\"}}'", USAGE)
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(msgspec.json.decode(line))
        except msgspec.DecodeError as error:
            fail(f"line {number} is not JSON: {error}; nothing was added", USAGE)
    return found


def check_payloads(queue: str, found: list[Any]) -> None:
    """Refuse what the queue's own processor would refuse. A processor that is not installed here checks nothing."""
    from kayan_workers.binding import complaint

    role = next(role for role in ROLES if role.queue == queue)
    try:
        processor = importlib.import_module(role.module)
    except ImportError:
        return
    for number, value in enumerate(found, 1):
        which = f"payload {number} of {len(found)}" if len(found) > 1 else "the payload"
        try:
            payload = msgspec.convert(value, processor.Payload)
            if hasattr(processor, "check"):
                processor.check(payload)
        except msgspec.ValidationError as error:
            fail(f"{which} is malformed: {complaint(error, processor.Payload)}; nothing was added. --unchecked adds it all the same", USAGE)
        except PermanentError as error:
            fail(f"{which} would be refused: {error}; nothing was added. --unchecked adds it all the same", USAGE)


async def add(server: Server, settings: Settings, *, name: str, found: list[Any], options: JobOptions) -> None:
    """Add the jobs and print their ids, one a line."""
    async with queue_of(server, settings, name) as queue:
        state = None if options.job_id is None else await queue.state_of(options.job_id)
        if state is not None:
            print(f"{options.job_id}: exists already, it is {state}; nothing was added")
            return
        try:
            jobs = await queue.add_bulk([BulkJob(value, options=options.over(APP_OPTIONS)) for value in found])
        except BulkError as error:
            _raise_alone(error)
    for job in jobs:
        print(job.id)


def _raise_alone(error: BulkError) -> NoReturn:
    """One cause that kept out every job needs no count of them."""
    first = error.outcomes[0]
    if isinstance(first, Exception) and all(outcome is first for outcome in error.outcomes):
        raise first from error
    raise error


async def add_cleanup(server: Server, settings: Settings, *, kind: str, again: bool, retire: bool) -> None:
    """Queue one cleanup, unless this slot's has been queued before: whoever calls, however often, it runs once.

    With ``retire`` the schedule that Node workers registered for the same cleanup ends, so that nothing runs twice.
    """
    now = datetime.now(UTC)
    slot = now.strftime(_SLOTS[kind])
    job_id = f"cleanup-{kind}-{slot}" + (f"-again-{now:%H%M%S%f}" if again else "")
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
