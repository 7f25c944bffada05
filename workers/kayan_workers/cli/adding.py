"""``kayan add``: jobs as the web app would add them."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from kayan_workers.bull.errors import BulkError
from kayan_workers.bull.options import Backoff, JobOptions
from kayan_workers.bull.queue import BulkJob
from kayan_workers.cli.session import USAGE, fail, queue_of
from kayan_workers.errors import PermanentError
from kayan_workers.processors.table import ROLES

if TYPE_CHECKING:
    from kayan_workers.bull.server import Server
    from kayan_workers.settings import Settings

APP_OPTIONS = JobOptions(attempts=3, backoff=Backoff(type="exponential", delay_ms=2000), remove_on_complete=100, remove_on_fail=500)
"""What the web app gives every job."""


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
