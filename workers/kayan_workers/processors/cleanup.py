"""The ``cleanup`` queue: kinds of tidying, each in bounded batches that a stop or a crash leaves half done but whole.

Every kind looks for what is there now and removes it, so running twice does no more than running once. ``{"dryRun": true}`` in ``data``
touches nothing and says what would go. What a run removed is remembered in ``kayan_workers.cleanups`` and told by a line of the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from kayan_workers.errors import KayanError, PermanentError, TemporaryError
from kayan_workers.processors.cleaning import (
    expired_links,
    old_analytics,
    old_variants,
    orphaned_objects,
    own_records,
    retention,
    stuck_assets,
    temp_files,
)
from kayan_workers.processors.cleaning.audit import Audit
from kayan_workers.processors.cleaning.policy import KINDS
from kayan_workers.processors.cleaning.run import Listener, Run

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.cleaning.report import Report
    from kayan_workers.processors.handle import JobHandle

SAMPLE = 50
"""How many finds and notes a job's return value names, and finds a dry run's job log: Redis keeps them for hundreds of jobs."""


class Options(msgspec.Struct, rename="camel"):
    """``data`` of a cleanup."""

    dry_run: bool = False


class Payload(msgspec.Struct, rename="camel"):
    """A job of this queue."""

    type: str
    data: Options | None = None


CLEAN: dict[str, Callable[[Run], None]] = {
    "EXPIRED_LINKS": expired_links.clean,
    "OLD_VARIANTS": old_variants.clean,
    "TEMP_FILES": temp_files.clean,
    "OLD_ANALYTICS": old_analytics.clean,
    "EXPIRED_EXTERNAL_LINKS": expired_links.clean_external,
    "EXPIRED_INVITATIONS": expired_links.clean_invitations,
    "ORPHANED_OBJECTS": orphaned_objects.clean,
    "STUCK_ASSETS": stuck_assets.clean,
    "OWN_RECORDS": own_records.clean,
    "RETENTION": retention.clean,
}
"""What each of ``KINDS`` does."""


def check(payload: Payload) -> None:
    """Raises PermanentError for a kind that is none."""
    if payload.type not in KINDS:
        raise PermanentError(f"type: not a cleanup; known are {', '.join(KINDS)}")


def process(payload: Payload, job: JobHandle, edges: Edges) -> dict[str, object]:
    """Tidy up once; returns what went, in figures and by name.

    Raises PermanentError for a kind that is none or switched off.
    """
    check(payload)
    kind, dry_run = payload.type, payload.data is not None and payload.data.dry_run
    edges.cleanup.allow(kind, dry_run=dry_run)
    run = Run(job, edges, now=datetime.now(UTC), dry_run=dry_run)
    if not dry_run:
        run.audit = Audit(edges.database, kind, job, edges.pod)
    with _told(kind, run, job):
        CLEAN[kind](run)
    job.progress(100)
    if dry_run:
        for found in run.report.listed[:SAMPLE]:
            job.log(f"{found.what} {found.id} would go: {found.reason}, since {found.since:%Y-%m-%d %H:%M} UTC")
    return {"dryRun": dry_run, **run.report.as_json(finds=SAMPLE, notes=SAMPLE)}


def survey(kind: str, listener: Listener, edges: Edges) -> Report:
    """What a run of ``kind`` would do now. Touches nothing, so a kind that is switched off can be looked at too."""
    edges.cleanup.allow(kind, dry_run=True)
    run = Run(listener, edges, now=datetime.now(UTC), dry_run=True)
    CLEAN[kind](run)
    return run.report


@contextmanager
def _told(kind: str, run: Run, job: JobHandle) -> Iterator[None]:
    """Tell how the run went, however it ends: its audit, the job's own log and the worker's."""
    began = time.monotonic()
    try:
        yield
    except BaseException as raised:
        error = raised.says if isinstance(raised, KayanError) else type(raised).__name__
        with suppress(TemporaryError):  # what ended the run may be what keeps us from writing so
            _tell(kind, run, job, time.monotonic() - began, error)
        raise
    _tell(kind, run, job, time.monotonic() - began)


def _tell(kind: str, run: Run, job: JobHandle, seconds: float, error: str | None = None) -> None:
    report, why = run.report, {"error": error} if error else {}
    run.edges.note(
        job, "cleanup.ended", type=kind, dry_run=run.dry_run, **report.figures(), cutoffs=report.cutoffs_as_json(),
        duration_ms=round(1000 * seconds), **why,
    )  # fmt: skip
    job.log(f"{kind}: {report.in_words(dry_run=run.dry_run)}, in {seconds:.1f} s" + (f"; {error}" if error else ""))
    if run.audit is not None:
        run.audit.finish(error)
