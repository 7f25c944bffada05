"""What has been done, for effects that leave no row of their own to tell: a counter that grew, a mail handed over.

One table in a PostgreSQL schema of the fleet's own, because ``public`` belongs to the app's ``prisma db push``. An entry is written in
the transaction of its effect, so both exist or neither does; an entry that is already there says that the effect has happened.
The table is made on first use by whichever worker comes first.

A job is named by queue, id and the time it was added: ids start again at 1 when Redis is emptied.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kayan_workers.database import Connection
    from kayan_workers.processors.handle import JobHandle


class JobName(NamedTuple):
    """What names a job for ever."""

    queue: str
    id: str
    added_ms: int


_IS_THERE = "SELECT to_regclass('kayan_workers.ledger') IS NOT NULL"

_CREATE = """
CREATE TABLE IF NOT EXISTS kayan_workers.ledger (
  queue       TEXT NOT NULL,
  job_id      TEXT NOT NULL,
  added_ms    BIGINT NOT NULL,
  effect      TEXT NOT NULL,
  recorded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (queue, job_id, added_ms, effect)
);
CREATE INDEX IF NOT EXISTS ledger_recorded_at_idx ON kayan_workers.ledger (recorded_at)
"""

_RECORD = """
INSERT INTO kayan_workers.ledger (queue, job_id, added_ms, effect)
SELECT queue, job_id, added_ms, %s FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS job (queue, job_id, added_ms)
ON CONFLICT DO NOTHING
RETURNING queue, job_id, added_ms
"""

_TRIM = """
DELETE FROM kayan_workers.ledger WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM kayan_workers.ledger WHERE recorded_at < %s ORDER BY recorded_at LIMIT %s FOR UPDATE SKIP LOCKED
))
"""


def name_of(job: JobHandle) -> JobName:
    return JobName(job.queue, job.id, job.timestamp_ms)


def record_once(connection: Connection, job: JobHandle, effect: str) -> bool:
    """True: ``effect`` of ``job`` is new and now recorded in this transaction. False: it has been applied before.

    When another worker is applying the same effect at this moment, this waits for it to commit or roll back.
    """
    return bool(record_many_once(connection, [job], effect))


def record_many_once(connection: Connection, jobs: Iterable[JobHandle], effect: str) -> set[JobName]:
    """Record ``effect`` for all of ``jobs`` with one statement; the names returned are those that had not been recorded before."""
    # Sorted, so that two batches with jobs in common lock them in the same order and never wait for each other in a ring.
    names = sorted({name_of(job) for job in jobs})
    if not names:
        return set()
    _make_sure_it_exists(connection)
    columns = [list(column) for column in zip(*names, strict=True)]
    return {JobName(*row) for row in connection.execute(_RECORD, (effect, *columns))}


def trim(connection: Connection, older_than: datetime, *, limit: int = 5000) -> int:
    """Forget up to ``limit`` entries recorded before ``older_than`` (with a time zone). Returns how many; 0 when none is left.

    Whatever is forgotten could happen again if its job came back, so keep entries longer than anybody retries a failed job.
    """
    if not _exists(connection):
        return 0
    return connection.execute(_TRIM, (older_than, limit)).rowcount


def _make_sure_it_exists(connection: Connection) -> None:
    from kayan_workers.database import make_own_schema  # here, not above: an idle worker has no use for psycopg's ten megabytes

    if not _exists(connection):
        make_own_schema(connection)
        connection.execute(_CREATE)


def _exists(connection: Connection) -> bool:
    row = connection.execute(_IS_THERE).fetchone()
    return bool(row and row[0])
