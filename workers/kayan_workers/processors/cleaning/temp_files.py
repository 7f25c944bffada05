"""TEMP_FILES: uploads that never arrived, and what broken work leaves behind.

**Rows.** An asset still PENDING a day after it was made goes only if it owns nothing: no ``filePath`` (the admin dialog's finished uploads
stay PENDING for ever and have one), no thumbnail, preview or variant, and a ``fileKey`` only if the store has no such object. That
the store lacks an object counts only if it has others under ``assets/``: a wrong bucket or an empty folder proves nothing.

**Files.** What lies in this process's temporary folder for a day (folders of dead processes go when it is opened), and uploads to the
store that were begun a day ago and never completed.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from psycopg import sql

from kayan_workers.errors import KayanError, PermanentError
from kayan_workers.processors.cleaning.run import Run

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
SELECT asset.id, asset."fileKey" FROM assets AS asset
WHERE {owns_nothing} AND asset.id > %(after)s ORDER BY asset.id LIMIT %(limit)s
""").format(owns_nothing=_OWNS_NOTHING)

_DELETE = sql.SQL("""
DELETE FROM assets AS asset USING unnest(%(ids)s::text[], %(keys)s::text[]) AS seen (id, key)
WHERE asset.id = seen.id AND asset."fileKey" IS NOT DISTINCT FROM seen.key AND {owns_nothing}
""").format(owns_nothing=_OWNS_NOTHING)

Candidate = tuple[str, str | None]
"""An asset's id and its fileKey."""


class _Store:
    """What the object store says about a candidate."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def may_hold(self, candidate: Candidate) -> bool:
        """Whether something of this row may be there. In doubt it is."""
        asset_id, key = candidate
        if not key:
            return False
        try:
            return self._run.edges.storage.exists(key) or not self._in_use
        except PermanentError as error:
            self._run.job.log(f"asset {asset_id} is kept: {error}")
            return True

    @cached_property
    def _in_use(self) -> bool:
        return next(iter(self._run.edges.storage.list("assets/")), None) is not None


def clean(run: Run) -> dict[str, object]:
    deleted, spared = _rows(run)
    summary: dict[str, object] = {"deleted": deleted, "spared": spared}
    if run.dry_run:
        return summary
    return summary | {"temporaryFiles": _temporary_files(run), "unfinishedUploads": _unfinished_uploads(run)}


def _rows(run: Run) -> tuple[int, int]:
    """Delete the rows of uploads that never arrived; returns how many went and how many own an object after all."""
    deleted = spared = 0
    store = _Store(run)
    for batch in _batches(run):
        gone = [candidate for candidate in batch if not store.may_hold(candidate)]
        spared += len(batch) - len(gone)
        deleted += len(gone) if run.dry_run else _delete(run, gone)
        run.step(deleted + spared, deleted + spared + ASSETS)
    return deleted, spared


def _batches(run: Run) -> Iterator[list[Candidate]]:
    """All candidates in the order of their ids, so that the spared ones are passed once and not met again."""
    after = ""
    while True:
        with run.edges.database.transaction() as connection:
            values = {"before": run.utc - PENDING_FOR, "after": after, "limit": ASSETS}
            batch: list[Candidate] = connection.execute(_BATCH, values).fetchall()
        if not batch:
            return
        yield batch
        after = batch[-1][0]


def _delete(run: Run, gone: list[Candidate]) -> int:
    if not gone:
        return 0
    values = {"before": run.utc - PENDING_FOR, "ids": [asset_id for asset_id, _ in gone], "keys": [key for _, key in gone]}
    with run.edges.database.transaction() as connection:
        return connection.execute(_DELETE, values).rowcount


def _temporary_files(run: Run) -> int:
    before = run.now - PENDING_FOR
    stale = [entry for entry in run.edges.temp_dir.iterdir() if _last_touched(entry) <= before.timestamp()]
    for entry in stale:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    return len(stale)


def _last_touched(entry: Path) -> float:
    """When anything in it changed last, in seconds since the epoch. Something that vanishes while we look counts as just touched."""
    try:
        inside: Iterable[Path] = entry.rglob("*") if entry.is_dir() and not entry.is_symlink() else ()
        return max(path.lstat().st_mtime for path in [entry, *inside])
    except FileNotFoundError:
        return math.inf


def _unfinished_uploads(run: Run) -> int:
    """Uploads thrown away. A store that does not let us list them is no reason to fail: the rest of the run is done."""
    try:
        return run.edges.storage.discard_unfinished(run.now - PENDING_FOR)
    except KayanError as error:
        run.job.log(f"unfinished uploads are left alone: {error}")
        return 0
