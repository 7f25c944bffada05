"""OLD_VARIANTS: the variants of archived assets, objects first, then their rows.

While a batch is deleted its assets are locked, so none can be un-archived halfway and end up with rows that point at nothing.
A store that cannot be asked leaves the rows where they are, for the next try; an object that it refuses to delete, or whose key it would
never take, keeps its row and holds up nobody. An object that an asset itself names, as its original, thumbnail or preview, is not the
variant's to take away: the row goes, the object stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg import sql

from kayan_workers.errors import PermanentError
from kayan_workers.processors.cleaning.report import Found, Report, moment
from kayan_workers.processors.cleaning.run import ROWS, Run
from kayan_workers.storage import checked_key

if TYPE_CHECKING:
    from kayan_workers.database import Connection

VARIANTS = 100
"""A batch: the assets it belongs to are locked for one round trip to the object store."""

_WHAT = "variant"

_COUNT = """
SELECT count(*) FROM asset_variants AS variant JOIN assets AS asset ON asset.id = variant."assetId" WHERE asset."isArchived"
"""

_BATCH = sql.SQL("""
SELECT variant.id, variant."fileKey", variant."createdAt", variant."fileSize",
  variant."fileKey" = ''
  OR coalesce(variant."fileKey" IN (asset."thumbnailKey", asset."previewKey"), false)
  OR EXISTS (SELECT FROM assets AS original WHERE original."fileKey" = variant."fileKey") AS stays
FROM asset_variants AS variant JOIN assets AS asset ON asset.id = variant."assetId"
WHERE asset."isArchived" AND variant.id > %s
ORDER BY variant.id LIMIT %s
{lock}
""")
_NO_LOCK = sql.SQL("")
_LOCK = sql.SQL("FOR UPDATE OF variant SKIP LOCKED FOR SHARE OF asset SKIP LOCKED")

_DELETE = """
DELETE FROM asset_variants WHERE id = ANY (%s)
"""


class _Variant(NamedTuple):
    id: str
    key: str
    found: Found
    object_stays: bool
    """Its row has no object of its own."""


def clean(run: Run) -> None:
    with run.edges.database.transaction() as connection:
        row = connection.execute(_COUNT).fetchone()
    total = int(row[0]) if row else 0
    seen, after = 0, ""
    while batch := _look(run, after) if run.dry_run else _delete_some(run, after):
        seen, after = seen + len(batch), batch[-1].id
        run.step(seen, max(total, seen))


def _look(run: Run, after: str) -> list[_Variant]:
    """Report what the next variants by id are, and return them."""
    with run.edges.database.transaction() as connection:
        variants = _next(connection, after, ROWS, _NO_LOCK)
    _report(run.report, variants, _unusable(run, variants))
    return variants


def _delete_some(run: Run, after: str) -> list[_Variant]:
    """Delete the next variants by id; returns them, with those that stay."""
    with run.batch() as (connection, part):
        variants = _next(connection, after, VARIANTS, _LOCK)
        refused = _unusable(run, variants)
        keys = {variant.key: variant.id for variant in variants if not variant.object_stays and variant.id not in refused}
        if keys:
            for key, reason in run.edges.storage.delete_what_goes(list(keys)).items():
                refused.add(keys[key])
                run.note(f"variant {keys[key]} is kept: the store refuses to delete {key!r}: {reason}")
        if gone := [variant.id for variant in variants if variant.id not in refused]:
            connection.execute(_DELETE, (gone,))
        _report(part, variants, refused)
    return variants


def _next(connection: Connection, after: str, limit: int, lock: sql.SQL) -> list[_Variant]:
    rows: list[Any] = connection.execute(_BATCH.format(lock=lock), (after, limit)).fetchall()
    return [_variant(*row) for row in rows]


def _variant(variant_id: str, key: str, created_at: Any, size: int, object_stays: bool) -> _Variant:
    reason = "its asset is archived" + ("; only the row goes" if object_stays else "")
    found = Found(_WHAT, variant_id, reason, moment(created_at), 0 if object_stays else size)
    return _Variant(variant_id, key, found, object_stays)


def _unusable(run: Run, variants: list[_Variant]) -> set[str]:
    """The ids of those whose key no store takes."""
    refused = set()
    for variant in variants:
        try:
            if not variant.object_stays:
                checked_key(variant.key)
        except PermanentError as error:
            run.note(f"variant {variant.id} is kept: {error}")
            refused.add(variant.id)
    return refused


def _report(report: Report, variants: list[_Variant], refused: set[str]) -> None:
    for variant in variants:
        if variant.id in refused:
            report.keep(_WHAT)
        else:
            report.add(variant.found)
