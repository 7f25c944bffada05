"""OLD_ANALYTICS: daily counters a year old or more, by UTC day, and what the fleet's own tables need not remember any longer."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

from kayan_workers import deliveries, ledger
from kayan_workers.processors.cleaning.run import ROWS, Run

if TYPE_CHECKING:
    from kayan_workers.own_table import OwnTable

MEMORY = timedelta(days=30)
"""Longer than anybody lets a failed job lie before retrying it by hand: a job retried after that would count, or mail, again."""


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
        forgotten = sum(_forget(run, table) for table in (ledger.TABLE, deliveries.TABLE))
    return {"deleted": deleted, "forgotten": forgotten}


def _forget(run: Run, table: OwnTable) -> int:
    def some() -> int:
        with run.edges.database.transaction() as connection:
            return table.trim(connection, run.now - MEMORY, limit=ROWS)

    return run.repeat(some, of=0)


def a_year_before(day: date) -> date:
    """The same date a year earlier; 28 February for 29 February."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)
