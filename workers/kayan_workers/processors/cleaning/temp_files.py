"""TEMP_FILES: uploads that never arrived, and what broken work leaves behind.

**Rows.** An asset still PENDING a day after it was made goes only if it owns nothing: no ``filePath`` (the admin dialog's finished uploads
stay PENDING for ever and have one), no thumbnail, preview or variant, and a ``fileKey`` only if the store has no such object. That
the store lacks an object counts only if it has others under ``assets/``: a wrong bucket or an empty folder proves nothing.

**Files.** What lies in this process's temporary folder for a day (folders of dead processes go when it is opened), and uploads to the
store that were begun a day ago and never completed (UNFINISHED_UPLOADS), as far as their keys are such as the app and its workers make.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from psycopg import sql

from kayan_workers.errors import KayanError, PermanentError
from kayan_workers.processors.cleaning.report import Found, moment
from kayan_workers.processors.cleaning.run import Run

if TYPE_CHECKING:
    from kayan_workers.database import Connection

PENDING_FOR = timedelta(hours=24)
ASSETS = 200
"""Rows looked at by one statement. Each may cost a question to the store."""

# What makes a PENDING row an upload that never arrived, but for the object under its fileKey. Asked again in the DELETE.
_OWNS_NOTHING = sql.SQL("""
  asset."uploadStatus" = 'PENDING' AND asset."createdAt" <= %(before)s
  AND coalesce(asset."filePath", '') = '' AND coalesce(asset."thumbnailKey", '') = '' AND coalesce(asset."previewKey", '') = ''
  AND NOT EXISTS (SELECT FROM asset_variants AS variant WHERE variant."assetId" = asset.id AND variant."fileKey" <> '')
""")

_BATCH = sql.SQL("""
SELECT asset.id, asset."fileKey", asset."createdAt" FROM assets AS asset
WHERE {owns_nothing} AND asset.id > %(after)s ORDER BY asset.id LIMIT %(limit)s
""").format(owns_nothing=_OWNS_NOTHING)

_DELETE = sql.SQL("""
DELETE FROM assets AS asset USING unnest(%(ids)s::text[], %(keys)s::text[]) AS seen (id, key)
WHERE asset.id = seen.id AND asset."fileKey" IS NOT DISTINCT FROM seen.key AND {owns_nothing} RETURNING asset.id
""").format(owns_nothing=_OWNS_NOTHING)


class Candidate(NamedTuple):
    """A row that looks like an upload that never arrived."""

    id: str
    key: str | None
    created_at: datetime

    @property
    def found(self) -> Found:
        return Found("asset", self.id, "its upload never arrived", moment(self.created_at))


class _Store:
    """What the object store says about a candidate."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def may_hold(self, candidate: Candidate) -> bool:
        """Whether something of this row may be there. In doubt it is."""
        if not candidate.key:
            return False
        try:
            return self._run.edges.storage.exists(candidate.key) or not self._in_use
        except PermanentError as error:
            self._run.note(f"asset {candidate.id} is kept: {error}")
            return True

    @cached_property
    def _in_use(self) -> bool:
        return next(iter(self._run.edges.storage.list("assets/")), None) is not None


def clean(run: Run) -> None:
    run.report.cutoffs["asset"] = run.now - PENDING_FOR
    _rows(run)
    _temporary_files(run)
    if "UNFINISHED_UPLOADS" in run.edges.cleanup.on:
        _unfinished_uploads(run)


def _rows(run: Run) -> None:
    """Delete the rows of uploads that never arrived."""
    seen = 0
    store = _Store(run)
    for batch in _batches(run):
        gone = {candidate.id: candidate for candidate in batch if not store.may_hold(candidate)}
        with run.batch() as (connection, part):
            deleted = gone.keys() if run.dry_run else _delete(connection, run, list(gone.values()))
            for asset_id in deleted:
                part.add(gone[asset_id].found)
            part.keep("asset", len(batch) - len(deleted))
        seen += len(batch)
        run.step(seen, seen + ASSETS)


def _batches(run: Run) -> Iterator[list[Candidate]]:
    """All candidates in the order of their ids, so that the spared ones are passed once and not met again."""
    after = ""
    while True:
        with run.edges.database.transaction() as connection:
            values = {"before": run.utc - PENDING_FOR, "after": after, "limit": ASSETS}
            batch = [Candidate(*row) for row in connection.execute(_BATCH, values)]
        if not batch:
            return
        yield batch
        after = batch[-1].id


def _delete(connection: Connection, run: Run, gone: list[Candidate]) -> Collection[str]:
    """Delete those that still own nothing; returns their ids."""
    values = {"before": run.utc - PENDING_FOR, "ids": [asset.id for asset in gone], "keys": [asset.key for asset in gone]}
    return [asset_id for (asset_id,) in connection.execute(_DELETE, values)]


def _temporary_files(run: Run) -> None:
    before = run.now - PENDING_FOR
    run.report.cutoffs["temporary file"] = before
    if run.dry_run:
        _list_temporary_files(run, before)
        return
    stale = list(_stale(run.edges.temp_dir, before))
    for entry, _ in stale:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    with run.batch() as (_, part):
        for _, found in stale:
            part.add(found)


def _list_temporary_files(run: Run, before: datetime) -> None:
    run.note("temporary files are looked for on this machine alone: every worker removes its own")
    in_use, left = run.edges.temp_folders()
    for folder in left:
        if found := _found(folder, folder.name, "its process is gone, and the next one here removes it"):
            run.report.add(found)
    for folder in in_use:
        try:
            for _, found in _stale(folder, before):
                run.report.add(found)
        except OSError as error:  # another user's, or gone with its process meanwhile
            run.note(f"temporary files in {folder.name} are not looked at: {error.strerror}")


def _stale(folder: Path, before: datetime) -> Iterator[tuple[Path, Found]]:
    """What lies in the folder of a process and has not been touched since ``before``."""
    for entry in folder.iterdir():
        found = _found(entry, f"{folder.name}/{entry.name}", "nobody has touched it for a day")
        if found and found.since <= before:
            yield entry, found


def _found(entry: Path, name: str, reason: str) -> Found | None:
    """A file or folder, when anything in it changed last, and what it weighs. None when it vanishes while we look: it is in use."""
    try:
        inside: Iterable[Path] = entry.rglob("*") if entry.is_dir() and not entry.is_symlink() else ()
        states = [path.lstat() for path in [entry, *inside]]
    except FileNotFoundError:
        return None
    touched = datetime.fromtimestamp(max(state.st_mtime for state in states), UTC)
    size = sum(state.st_size for state in states if stat.S_ISREG(state.st_mode))
    return Found("temporary file", name, reason, touched, size)


def _unfinished_uploads(run: Run) -> None:
    """A store that does not let us list them is no reason to fail: the rest of the run is done."""
    before = run.now - PENDING_FOR
    run.report.cutoffs["unfinished upload"] = before
    storage = run.edges.storage
    try:
        if run.dry_run:
            for key, size, begun in storage.unfinished(before):
                run.report.add(Found("unfinished upload", key, "begun by the app or its workers, and never completed", begun, size))
        else:
            discarded = storage.discard_unfinished(before)
            with run.batch() as (_, part):
                part.add_unlisted("unfinished upload", discarded)
    except KayanError as error:
        run.note(f"unfinished uploads are left alone: {error}")
