"""OLD_VARIANTS: the variants of archived assets, objects first, then their rows.

While a batch is deleted its assets are locked, so none can be un-archived halfway and end up with rows that point at nothing.
A failing delete leaves the rows where they are, for the next try. An object that an asset itself names, as its original, thumbnail or
preview, is not the variant's to take away: the row goes, the object stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kayan_workers.errors import PermanentError
from kayan_workers.processors.cleaning.run import Run
from kayan_workers.storage import checked_key

if TYPE_CHECKING:
    from kayan_workers.database import Connection

VARIANTS = 100
"""A batch: the assets it belongs to are locked for one round trip to the object store."""

_COUNT = """
SELECT count(*) FROM asset_variants AS variant JOIN assets AS asset ON asset.id = variant."assetId" WHERE asset."isArchived"
"""

_BATCH = """
SELECT variant.id, variant."fileKey",
  variant."fileKey" = ''
  OR coalesce(variant."fileKey" IN (asset."thumbnailKey", asset."previewKey"), false)
  OR EXISTS (SELECT FROM assets AS original WHERE original."fileKey" = variant."fileKey") AS kept
FROM asset_variants AS variant JOIN assets AS asset ON asset.id = variant."assetId"
WHERE asset."isArchived" AND variant.id > %s
ORDER BY variant.id LIMIT %s
FOR UPDATE OF variant SKIP LOCKED
FOR SHARE OF asset SKIP LOCKED
"""

_DELETE = """
DELETE FROM asset_variants WHERE id = ANY (%s)
"""


def clean(run: Run) -> dict[str, object]:
    with run.edges.database.transaction() as connection:
        row = connection.execute(_COUNT).fetchone()
    total = int(row[0]) if row else 0
    if run.dry_run:
        return {"deleted": total}
    deleted, after = 0, ""
    while batch := _delete_some(run, after):
        deleted, after = deleted + batch.deleted, batch.last_id
        run.step(deleted, max(total, deleted))
    return {"deleted": deleted}


class _Batch(NamedTuple):
    last_id: str
    deleted: int


def _delete_some(run: Run, after: str) -> _Batch | None:
    """Delete the next variants by id; None when there are no more. A row whose key no store takes is kept and passed by."""
    with run.edges.database.transaction() as connection:
        variants = connection.execute(_BATCH, (after, VARIANTS)).fetchall()
        if not variants:
            return None
        refused = {variant_id for variant_id, key, kept in variants if not kept and _is_refused(run, variant_id, key)}
        keys = [key for variant_id, key, kept in variants if not kept and variant_id not in refused]
        if keys:
            run.edges.storage.delete(keys)
        gone = [variant_id for variant_id, _, _ in variants if variant_id not in refused]
        return _Batch(variants[-1][0], _delete_rows(connection, gone))


def _is_refused(run: Run, variant_id: str, key: str) -> bool:
    try:
        checked_key(key)
    except PermanentError as error:
        run.job.log(f"variant {variant_id} is kept: {error}")
        return True
    return False


def _delete_rows(connection: Connection, ids: list[str]) -> int:
    return connection.execute(_DELETE, (ids,)).rowcount if ids else 0
