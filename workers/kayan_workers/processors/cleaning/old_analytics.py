"""OLD_ANALYTICS: daily counters a year old or more, by UTC day, and what the fleet's own ledger need not remember any longer."""

from __future__ import annotations

from datetime import date, timedelta

from kayan_workers import ledger
from kayan_workers.processors.cleaning.run import ROWS, Run

LEDGER_KEPT = timedelta(days=30)
"""Longer than anybody lets a failed job lie before retrying it by hand: a job retried after that would count again."""

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
    return {"deleted": deleted, "forgotten": 0 if run.dry_run else run.repeat(lambda: _forget(run), of=0)}


def _forget(run: Run) -> int:
    with run.edges.database.transaction() as connection:
        return ledger.trim(connection, run.now - LEDGER_KEPT, limit=ROWS)


def a_year_before(day: date) -> date:
    """The same date a year earlier; 28 February for 29 February."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)
