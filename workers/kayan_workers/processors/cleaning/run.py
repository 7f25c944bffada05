"""One run of a cleanup: its moment, its job, the bounded steps it takes, and what it has done so far."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from kayan_workers.errors import TemporaryError
from kayan_workers.processors.cleaning.report import LISTED, NOTES, Report

if TYPE_CHECKING:
    from kayan_workers.database import Connection
    from kayan_workers.edges import Edges
    from kayan_workers.processors.cleaning.audit import Audit

ROWS = 1000
"""Rows changed by one statement: its locks and its write-ahead log stay small, and a stop is heard soon."""


class Listener(Protocol):
    """Who hears of a run while it works: its job, or somebody at a terminal."""

    @property
    def cancelled(self) -> threading.Event: ...

    def progress(self, value: float | dict[str, object]) -> None: ...

    def log(self, row: str) -> None: ...


@dataclass
class Run:
    """``now`` is read once, so that all batches of a run mean the same moment."""

    job: Listener
    edges: Edges
    now: datetime
    """With a zone."""
    dry_run: bool = False
    audit: Audit | None = None
    """Where it is recorded; None for a dry run."""
    report: Report = field(default_factory=Report)

    @property
    def utc(self) -> datetime:
        """``now`` as the app's TIMESTAMP(3) columns hold it: UTC wall time without a zone."""
        return self.now.astimezone(UTC).replace(tzinfo=None)

    def step(self, done: int, of: int) -> None:
        """Say how far the run is, and give up if nobody wants it any more: whatever is done stays done, the next run goes on."""
        self.job.progress(min(99, round(100 * done / max(1, of))))
        if self.job.cancelled.is_set():
            raise TemporaryError(f"cleanup stopped after {done} of {of}; what is done stays done, the next attempt goes on")

    def note(self, remark: str) -> None:
        """Remark on something that stays, in the report and in the job's own log. Beyond a hundred there is only a count of them."""
        if len(self.report.notes) < NOTES:
            self.report.notes.append(remark)
            self.job.log(remark)
        elif len(self.report.notes) == NOTES:
            self.report.notes.append("and more of the kind")

    @contextmanager
    def batch(self) -> Iterator[tuple[Connection, Report]]:
        """A transaction, and the report of what is removed in it: both become true together, in the audit too."""
        with self.edges.database.transaction() as connection:
            part = Report(cutoffs=self.report.cutoffs)
            yield connection, part
            del part.listed[LISTED - len(self.report.listed) :]
            if self.audit is not None and part.examined:
                self.audit.add(connection, part)
        self.report.merge(part)

    def repeat(self, batch: Callable[[], int], *, of: int) -> int:
        """Call ``batch`` until it has done nothing; returns the sum."""
        done = 0
        while changed := batch():
            done += changed
            self.step(done, max(of, done))
        return done
