"""OLD_ANALYTICS: daily counters a year old or more, by UTC day, and what the fleet's own tables need not remember any longer."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from kayan_workers import deliveries, ledger
from kayan_workers.processors.cleaning.run import ROWS, Run

if TYPE_CHECKING:
    from kayan_workers.database import Connection

MEMORY = timedelta(days=30)
"""Longer than anybody lets a failed job lie before retrying it by hand: a job retried after that would count, or mail, again."""


class Trim(Protocol):
    """How one of the fleet's own tables forgets: up to ``limit`` rows, and it says how many."""

    def __call__(self, connection: Connection, older_than: datetime, *, limit: int) -> int: ...


_COUNT = """
SELECT count(*) FROM asset_analytics WHERE date <= %(last_day)s
"""

_DELETE = """
DELETE FROM asset_analytics WHERE id IN (
  SELECT id FROM asset_analytics WHERE date <= %(last_day)s LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
"""


def clean(run: Run) -> dict[str, object]:
    deleted = run.sweep(_COUNT, _DELETE, {"last_day": a_year_before(run.utc.date())})
    forgotten = 0
    if not run.dry_run:
        forgotten = run.repeat(lambda: _forget(run, ledger.trim), of=0) + run.repeat(lambda: _forget(run, deliveries.trim), of=0)
    return {"deleted": deleted, "forgotten": forgotten}


def _forget(run: Run, trim: Trim) -> int:
    with run.edges.database.transaction() as connection:
        return trim(connection, run.now - MEMORY, limit=ROWS)


def a_year_before(day: date) -> date:
    """The same date a year earlier; 28 February for 29 February."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)
