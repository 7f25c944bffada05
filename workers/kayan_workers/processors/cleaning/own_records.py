"""OWN_RECORDS: what the fleet's own tables need not remember any longer. Also a part of OLD_ANALYTICS, which needs no schedule of ours."""

from __future__ import annotations

from datetime import datetime, timedelta

from kayan_workers import deliveries, ledger
from kayan_workers.own_table import OwnTable
from kayan_workers.processors.cleaning import audit
from kayan_workers.processors.cleaning.run import ROWS, Run

MEMORY = timedelta(days=30)
"""Longer than anybody lets a failed job lie before retrying it by hand: a job retried after that would count, or mail, again."""
AUDIT_MEMORY = timedelta(days=366)
"""Whoever misses something asks within a year."""

_TABLES: tuple[tuple[str, OwnTable, timedelta], ...] = (
    ("ledger entry", ledger.TABLE, MEMORY),
    ("record of a mail", deliveries.TABLE, MEMORY),
    ("record of a cleanup", audit.TABLE, AUDIT_MEMORY),
)


def clean(run: Run) -> None:
    for what, table, memory in _TABLES:
        cutoff = run.now - memory
        run.report.cutoffs[what] = cutoff
        if run.dry_run:
            with run.edges.database.transaction() as connection:
                run.report.add_unlisted(what, table.count(connection, cutoff))
            continue

        def some(what: str = what, table: OwnTable = table, cutoff: datetime = cutoff) -> int:
            with run.batch() as (connection, part):
                forgotten = table.trim(connection, cutoff, limit=ROWS)
                part.add_unlisted(what, forgotten)
            return forgotten

        run.repeat(some, of=0)
