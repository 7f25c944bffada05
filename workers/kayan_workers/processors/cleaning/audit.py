"""The fleet's memory of its cleanups: a row for each run that was no dry run, in the fleet's own schema.

It answers who removed what, when, and by which rule. The figures and the first thousand ids are written in the transaction that removes,
so they are true even of a run that was killed halfway: its ``finished_at`` stays empty. Nothing personal is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from kayan_workers.own_table import OwnTable

if TYPE_CHECKING:
    from kayan_workers.database import Connection, Database
    from kayan_workers.processors.cleaning.report import Report
    from kayan_workers.processors.handle import JobHandle

TABLE = OwnTable(
    "cleanups",
    """
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type        TEXT NOT NULL,
    pod         TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    added_ms    BIGINT NOT NULL,
    attempt     INTEGER NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    finished_at TIMESTAMPTZ,
    error       TEXT,
    examined    BIGINT NOT NULL DEFAULT 0,
    removed     BIGINT NOT NULL DEFAULT 0,
    kept        BIGINT NOT NULL DEFAULT 0,
    bytes       BIGINT NOT NULL DEFAULT 0,
    cutoffs     JSONB NOT NULL DEFAULT '{}',
    listed      JSONB NOT NULL DEFAULT '[]'
    """,
    """
    COMMENT ON TABLE kayan_workers.cleanups IS 'What cleanups removed, a row a run, begun at recorded_at. No finished_at: killed';
    COMMENT ON COLUMN kayan_workers.cleanups.cutoffs IS 'by kind of thing: what is as old as this, or older, goes';
    COMMENT ON COLUMN kayan_workers.cleanups.listed IS 'the first thousand things removed'
    """,
)

_BEGIN = """
INSERT INTO kayan_workers.cleanups (type, pod, job_id, added_ms, attempt) VALUES (%s, %s, %s, %s, %s) RETURNING id
"""
_PROGRESS = """
UPDATE kayan_workers.cleanups SET
  examined = examined + %(examined)s, removed = removed + %(removed)s, kept = kept + %(kept)s, bytes = bytes + %(bytes)s,
  cutoffs = %(cutoffs)s, listed = listed || %(listed)s
WHERE id = %(id)s
"""
_FINISH = """
UPDATE kayan_workers.cleanups SET finished_at = clock_timestamp(), error = %s WHERE id = %s
"""


class Audit:
    """The record of one run."""

    def __init__(self, database: Database, kind: str, job: JobHandle, pod: str) -> None:
        """Begins it."""
        self._database = database
        with database.transaction() as connection:
            TABLE.make_sure_it_exists(connection)
            row = connection.execute(_BEGIN, (kind, pod, job.id, job.timestamp_ms, job.attempt)).fetchone()
        self._id = row[0] if row else None

    def add(self, connection: Connection, part: Report) -> None:
        """Add a part of the run, in the transaction that makes it true."""
        said = part.as_json()
        connection.execute(
            _PROGRESS, {**part.figures(), "id": self._id, "cutoffs": Jsonb(said["cutoffs"]), "listed": Jsonb(said["listed"])}
        )

    def finish(self, error: str | None) -> None:
        """``error`` is why it ended early."""
        with self._database.transaction() as connection:
            connection.execute(_FINISH, (error, self._id))
