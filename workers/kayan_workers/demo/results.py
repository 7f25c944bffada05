"""The folder that is left for people to look into: objects, mails, tables, the worker's own log."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kayan_workers.errors import SettingsError

if TYPE_CHECKING:
    import psycopg

_MARK = ".kayan-demo"
"""Stands in every results folder: a folder without it is not ours to empty."""

TABLES = (
    "assets", "asset_metadata", "asset_variants", "asset_analytics", "asset_activities", "asset_share_links", "search_history",
    "notifications",
)


@dataclass(frozen=True, slots=True)
class Results:
    """Where everything goes."""

    folder: Path

    @property
    def objects(self) -> Path:
        """The object store."""
        return self.folder / "objects"

    @property
    def outbox(self) -> Path:
        return self.folder / "outbox"

    @property
    def tables(self) -> Path:
        return self.folder / "tables"

    @property
    def worker_log(self) -> Path:
        return self.folder / "worker.log"


def prepare(folder: Path | None) -> Results:
    """An empty results folder: ``folder``, emptied if an earlier demo left it, or a new temporary one.

    Raises SettingsError when ``folder`` holds something that no demo has put there.
    """
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="kayan-demo-results-"))
    elif folder.exists() and any(folder.iterdir()):
        if not (folder / _MARK).exists():
            raise SettingsError([f"{folder} is not empty and not an earlier demo's results: name another folder for --keep"])
        shutil.rmtree(folder)
    results = Results(folder.absolute())
    for path in (results.objects, results.outbox, results.tables):
        path.mkdir(parents=True)
    (results.folder / _MARK).touch()
    return results


def save_tables(connection: psycopg.Connection, results: Results) -> None:
    """Write the tables that the workers touch as CSV files, as PostgreSQL is gone when the demo ends."""
    from psycopg import sql

    for table in TABLES:
        copy = sql.SQL("COPY (SELECT * FROM {} ORDER BY 1) TO STDOUT WITH (FORMAT csv, HEADER)").format(sql.Identifier(table))
        with connection.cursor().copy(copy) as rows, (results.tables / f"{table}.csv").open("wb") as file:
            for part in rows:
                file.write(part)
