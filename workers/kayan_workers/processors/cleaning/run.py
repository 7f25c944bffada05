"""One run of a cleanup: its moment, its job, and the bounded steps it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString

from kayan_workers.errors import TemporaryError

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle

ROWS = 1000
"""Rows changed by one statement: its locks and its write-ahead log stay small, and a stop is heard soon."""


@dataclass(frozen=True)
class Run:
    """``now`` is read once, so that all batches of a run mean the same moment."""

    job: JobHandle
    edges: Edges
    now: datetime
    """With a zone."""
    dry_run: bool = False

    @property
    def utc(self) -> datetime:
        """``now`` as the app's TIMESTAMP(3) columns hold it: UTC wall time without a zone."""
        return self.now.astimezone(UTC).replace(tzinfo=None)

    def step(self, done: int, of: int) -> None:
        """Say how far the run is, and give up if nobody wants it any more: whatever is done stays done, the next run goes on."""
        self.job.progress(min(99, round(100 * done / max(1, of))))
        if self.job.cancelled.is_set():
            raise TemporaryError(f"cleanup stopped after {done} of {of}; what is done stays done, the next attempt goes on")

    def sweep(self, count: LiteralString, change: LiteralString, values: Mapping[str, Any]) -> int:
        """Run ``change``, whose ``%(limit)s`` bounds it, until it finds nothing; returns how many rows it changed.

        ``count`` says how many there are: the whole answer of a dry run.
        """
        with self.edges.database.transaction() as connection:
            row = connection.execute(count, values).fetchone()
        total = int(row[0]) if row else 0
        return total if self.dry_run else self.repeat(lambda: self._change(change, values), of=total)

    def repeat(self, batch: Callable[[], int], *, of: int) -> int:
        """Call ``batch`` until it has done nothing; returns the sum."""
        done = 0
        while changed := batch():
            done += changed
            self.step(done, max(of, done))
        return done

    def _change(self, statement: LiteralString, values: Mapping[str, Any]) -> int:
        with self.edges.database.transaction() as connection:
            return connection.execute(statement, {**values, "limit": ROWS}).rowcount
