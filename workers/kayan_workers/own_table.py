"""A table of the fleet's own, in a PostgreSQL schema of its own, because ``public`` belongs to the app's ``prisma db push``.

Whichever worker needs it first makes it, and OLD_ANALYTICS trims it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, LiteralString

from kayan_workers.errors import TemporaryError

if TYPE_CHECKING:
    from kayan_workers.database import Connection

# CREATE … IF NOT EXISTS is not safe against another session doing the same, so one at a time; the lock ends with the transaction.
# The schema is asked for first, because CREATE SCHEMA needs its privilege even where there is nothing to create.
_CREATE_OWN_SCHEMA = """
SELECT pg_advisory_xact_lock(hashtext('kayan_workers'));
DO $$ BEGIN
  IF to_regnamespace('kayan_workers') IS NULL THEN
    CREATE SCHEMA kayan_workers;
    COMMENT ON SCHEMA kayan_workers IS 'Owned by the Kayan Live workers, which create and trim it.';
  END IF;
END $$
"""


@dataclass(frozen=True, slots=True)
class OwnTable:
    """``kayan_workers.<name>``, whose ``columns`` (SQL) include ``recorded_at``, by which it forgets. ``more`` is run once it is made."""

    name: LiteralString
    columns: LiteralString
    more: LiteralString = ""

    def make_sure_it_exists(self, connection: Connection) -> None:
        """Make it if need be, in this transaction. The schema's lock lets one worker do so at a time."""
        if not self._exists(connection):
            _make_schema(connection)
            connection.execute(
                f"""CREATE TABLE IF NOT EXISTS kayan_workers.{self.name} ({self.columns});
                    CREATE INDEX IF NOT EXISTS {self.name}_recorded_at_idx ON kayan_workers.{self.name} (recorded_at);
                    {self.more}"""
            )

    def count(self, connection: Connection, older_than: datetime) -> int:
        """How many rows ``trim`` would forget."""
        if not self._exists(connection):
            return 0
        statement: LiteralString = f"SELECT count(*) FROM kayan_workers.{self.name} WHERE recorded_at < %s"  # noqa: S608  the name is a constant of ours
        row = connection.execute(statement, (older_than,)).fetchone()
        return int(row[0]) if row else 0

    def trim(self, connection: Connection, older_than: datetime, *, limit: int = 5000) -> int:
        """Forget up to ``limit`` rows recorded before ``older_than`` (with a time zone). Returns how many; 0 when none is left.

        Whatever is forgotten could happen again if its job came back, so keep it longer than anybody retries a failed job.
        """
        if not self._exists(connection):
            return 0
        statement: LiteralString = f"""
            DELETE FROM kayan_workers.{self.name} WHERE ctid = ANY (ARRAY(
              SELECT ctid FROM kayan_workers.{self.name} WHERE recorded_at < %s ORDER BY recorded_at LIMIT %s FOR UPDATE SKIP LOCKED
            ))"""  # noqa: S608  the name is a constant of ours
        return connection.execute(statement, (older_than, limit)).rowcount

    def _exists(self, connection: Connection) -> bool:
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (f"kayan_workers.{self.name}",)).fetchone()
        return bool(row and row[0])


def _make_schema(connection: Connection) -> None:
    """Until the transaction ends, no other worker makes anything in it."""
    from psycopg.errors import InsufficientPrivilege  # here, not above: an idle worker has no use for psycopg's ten megabytes

    try:
        connection.execute(_CREATE_OWN_SCHEMA)
    except InsufficientPrivilege as error:
        raise TemporaryError(
            "the workers' schema cannot be created: the database role may not create schemas",
            "let an administrator run: CREATE SCHEMA kayan_workers AUTHORIZATION <that role>"
        ) from error
