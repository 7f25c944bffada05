"""Rows of the app's tables whose time has come by a moment that stands in the row itself: found, listed, changed in bounded batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, LiteralString

from psycopg import sql

from kayan_workers.processors.cleaning import run as pace
from kayan_workers.processors.cleaning.report import LISTED, Found, Report, moment
from kayan_workers.processors.cleaning.run import Run

ENOUGH = 1_000_000
"""So many are counted before they are changed, to say how far the run is. More would only keep it from beginning."""

_THERE = "SELECT to_regclass(quote_ident(%s)) IS NOT NULL"
_COUNT = sql.SQL("SELECT count(*) FROM (SELECT FROM {table} WHERE {since} <= %(before)s AND {due} LIMIT %(most)s) AS due")
_LIST = sql.SQL("SELECT id, {since} FROM {table} WHERE {since} <= %(before)s AND {due} ORDER BY {since} LIMIT %(limit)s")
# Materialized, so that it is run once: joined any other way, a limited selection may be made again for every row.
# It begins where the batch before it ended: what that one deleted still lies in the index and would be passed over again and again.
_CHANGE = sql.SQL("""
WITH batch AS MATERIALIZED (
  SELECT id, {since} AS since FROM {table} WHERE {since} BETWEEN %(after)s AND %(before)s AND {due}
  ORDER BY {since} LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
{change} WHERE due.id = batch.id RETURNING batch.id, batch.since
""")
_DELETE = sql.SQL("DELETE FROM {table} AS due USING batch")
_UPDATE = sql.SQL("UPDATE {table} AS due SET {set} FROM batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Which rows of a table, and what becomes of them. The SQL is ours."""

    what: str
    """One of them, in the singular."""
    reason: str
    table: LiteralString
    since: LiteralString
    """The column, indexed if the table is large, that says when a row's time began to run: it is due when that is at or before a cutoff."""
    due: LiteralString = "true"
    """What else makes it due."""
    set: LiteralString = ""
    """What is set; the row is deleted where this is empty."""
    may_be_missing: bool = False
    """Whether an app without this table is an app as it should be."""

    def clean(self, run: Run, before: date) -> None:
        """Change all rows that are due at ``before``; a dry run counts them and lists the first."""
        run.report.cutoffs[self.what] = moment(before)
        with run.edges.database.transaction() as connection:
            if self.may_be_missing and not _value(connection.execute(_THERE, (self.table,)).fetchone()):
                run.note(f"this app has no table {self.table}, so there is nothing to do in it")
                return
            most = None if run.dry_run else ENOUGH
            total = int(_value(connection.execute(self._sql(_COUNT), {"before": before, "most": most}).fetchone()))
            if run.dry_run:
                first = connection.execute(self._sql(_LIST), {"before": before, "limit": LISTED}).fetchall()
                self._add(run.report, first)
                run.report.add_unlisted(self.what, total - len(first))
                return
        after: date = date.min

        def some() -> int:
            nonlocal after
            with run.batch() as (connection, part):
                rows = connection.execute(self._change(), {"after": after, "before": before, "limit": pace.ROWS}).fetchall()
                self._add(part, rows)
            after = max((since for _, since in rows), default=after)
            return len(rows)

        run.repeat(some, of=total)

    def _add(self, report: Report, rows: list[Any]) -> None:
        for row_id, since in rows:
            report.add(Found(self.what, row_id, self.reason, moment(since)))

    def _change(self) -> sql.Composed:
        table = sql.Identifier(self.table)
        change = _UPDATE.format(table=table, set=sql.SQL(self.set)) if self.set else _DELETE.format(table=table)
        return self._sql(_CHANGE, change=change)

    def _sql(self, statement: sql.SQL, **parts: sql.Composed) -> sql.Composed:
        return statement.format(table=sql.Identifier(self.table), since=sql.Identifier(self.since), due=sql.SQL(self.due), **parts)


def _value(row: tuple[Any, ...] | None) -> Any:
    return row[0] if row else None
