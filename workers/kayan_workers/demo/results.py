"""The folder that is left for people to look into: objects, mails, tables, the worker's own log."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kayan_workers.demo.summary import Places
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

    def places(self) -> Places:
        """What is where, for people."""
        return Places(f"Where to look, in {self.folder}:", {
            "objects/": "the object store: assets/ as uploaded, thumbnails/, variants/ and previews as made from them",
            "outbox/": "every mail as an .eml file, which any mail program opens",
            "tables/": "the rows of the app's tables, as CSV",
            "worker.log": "what the worker said meanwhile",
        })


@contextmanager
def prepare(folder: Path | None) -> Iterator[Results]:
    """An empty results folder: ``folder``, emptied if an earlier demo left it, or a new temporary one. Ours alone within the block.

    Raises SettingsError when ``folder`` holds something that no demo has put there, belongs to a demo that is running, or cannot be
    written.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="kayan-demo-results-")) if folder is None else folder.absolute()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / _MARK).exists():
            raise SettingsError([f"{folder} is not empty and not an earlier demo's results: name another folder for --keep"])
        mark = (folder / _MARK).open("a")
    except OSError as error:
        raise SettingsError([f"{folder} cannot take the demo's results ({error.strerror}): name another folder for --keep"]) from error
    with mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsError([f"a demo is writing to {folder} just now: wait for it, or name another folder for --keep"]) from error
        results = Results(folder)
        for old in folder.iterdir():
            if old.name != _MARK:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for path in (results.objects, results.outbox, results.tables):
            path.mkdir()
        yield results


def save_tables(connection: psycopg.Connection, results: Results) -> None:
    """Write the tables that the workers touch as CSV files, as PostgreSQL is gone when the demo ends."""
    from psycopg import sql

    for table in TABLES:
        copy = sql.SQL("COPY (SELECT * FROM {} ORDER BY 1) TO STDOUT WITH (FORMAT csv, HEADER)").format(sql.Identifier(table))
        with connection.cursor().copy(copy) as rows, (results.tables / f"{table}.csv").open("wb") as file:
            for part in rows:
                file.write(part)
