"""The statements the media processors send: on ``assets``, ``asset_metadata`` and ``asset_variants``.

Every one may run twice. JSON that others wrote is merged with, never replaced, and what an earlier run of ours made is
told from what the Node workers made by its key (``objects.is_ours``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from psycopg.types.json import Jsonb

from kayan_workers.database import Connection
from kayan_workers.errors import PermanentError
from kayan_workers.ids import derive_id
from kayan_workers.media.facts import Facts
from kayan_workers.objects import is_ours
from kayan_workers.storage import Stored

_INTEGER_LIMIT = 2**31 - 1
_ERROR_LENGTH = 2000


class AssetGoneError(PermanentError):
    """The row a job speaks of is not there, or no longer."""


class VariantType(StrEnum):
    """The web app's ``VariantType``."""

    THUMBNAIL = "THUMBNAIL"
    PREVIEW = "PREVIEW"
    WEB_OPTIMIZED = "WEB_OPTIMIZED"
    MOBILE = "MOBILE"


class Asset(NamedTuple):
    """The row a job speaks of, as far as a processor needs it. Keys are None where nothing was made yet."""

    id: str
    thumbnail_key: str | None
    preview_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row of ``asset_variants``: a finished copy of an asset. ``quality`` is JPEG's, None for a video."""

    type: VariantType
    stored: Stored
    width: int
    height: int
    format: str
    quality: int | None


def find(connection: Connection, asset_id: str) -> Asset:
    """Raises AssetGoneError when the asset does not exist: it was deleted while its job waited."""
    row = connection.execute('SELECT "id", "thumbnailKey", "previewKey" FROM assets WHERE "id" = %s', [asset_id]).fetchone()
    if row is None:
        raise _unknown(asset_id)
    return Asset(*row)


def hold(connection: Connection, asset_id: str) -> None:
    """Keep the asset from being deleted until this transaction ends. Raises AssetGoneError when it does not exist."""
    if connection.execute('SELECT FROM assets WHERE "id" = %s FOR KEY SHARE', [asset_id]).fetchone() is None:
        raise _unknown(asset_id)


def begin_processing(connection: Connection, asset_id: str) -> Asset:
    """Mark the asset as being processed. Raises AssetGoneError when it does not exist."""
    row = connection.execute(
        """UPDATE assets SET "processingStatus" = 'PROCESSING', "updatedAt" = now() WHERE "id" = %s
            RETURNING "id", "thumbnailKey", "previewKey" """,
        [asset_id],
    ).fetchone()
    if row is None:
        raise _unknown(asset_id)
    return Asset(*row)


def complete_processing(connection: Connection, asset_id: str, facts: Facts) -> None:
    """Record what was learned and mark the asset as processed, clearing an earlier run's error.

    A column whose value is unknown keeps what it had. Raises AssetGoneError when the asset was deleted meanwhile.
    """
    row = connection.execute(
        f"""UPDATE assets SET
              "width" = COALESCE(%(width)s, "width"), "height" = COALESCE(%(height)s, "height"),
              "duration" = COALESCE(%(duration)s, "duration"),
              "metadata" = {_merged('"metadata"')},
              "processingStatus" = 'COMPLETED', "processingError" = NULL, "updatedAt" = now()
            WHERE "id" = %(id)s RETURNING "id" """,  # noqa: S608  the only insertion is a column's name
        {
            "id": asset_id,
            "width": _fitting(facts.width, int),
            "height": _fitting(facts.height, int),
            "duration": _whole_seconds(facts.duration_seconds),
            "merge": _json(facts.metadata),
        },
    ).fetchone()
    if row is None:
        raise _unknown(asset_id)
    _save_details(connection, asset_id, facts)


def fail_processing(connection: Connection, asset_id: str, message: str) -> None:
    """Mark the asset as failed for good, with the words a person can act on. An asset that is gone needs no mark."""
    connection.execute(
        """UPDATE assets SET "processingStatus" = 'FAILED', "processingError" = %s, "updatedAt" = now() WHERE "id" = %s""",
        [_text(message)[:_ERROR_LENGTH], asset_id],
    )


def give_up_processing(connection: Connection, asset_id: str, message: str) -> None:
    """Mark an asset that somebody left on PROCESSING as failed. One that has got further by now, or is gone, stays as it is."""
    connection.execute(
        """UPDATE assets SET "processingStatus" = 'FAILED', "processingError" = %s, "updatedAt" = now()
            WHERE "id" = %s AND "processingStatus" = 'PROCESSING'""",
        [_text(message)[:_ERROR_LENGTH], asset_id],
    )


def set_thumbnail(connection: Connection, asset_id: str, stored: Stored) -> None:
    _set(connection, asset_id, {"thumbnailKey": stored.key, "thumbnailPath": stored.url})


def set_preview(connection: Connection, asset_id: str, key: str) -> None:
    _set(connection, asset_id, {"previewKey": key})


def save_variant(connection: Connection, asset_id: str, variant: Variant) -> None:
    """Insert or replace the row of a finished copy; its key is its identity, so a second run changes nothing.

    It ends a failure that a Node worker recorded: those rows have no key, and one of them blocks every other asset's.
    """
    connection.execute(
        """INSERT INTO asset_variants ("id", "assetId", "variantType", "fileKey", "url", "width", "height", "fileSize", "format",
                                        "quality", "status", "error", "createdAt", "updatedAt")
            VALUES (%s, %s, %s::"VariantType", %s, %s, %s, %s, %s, %s, %s, 'COMPLETED', NULL, now(), now())
            ON CONFLICT ("fileKey") DO UPDATE SET
              "url" = EXCLUDED."url", "width" = EXCLUDED."width", "height" = EXCLUDED."height", "fileSize" = EXCLUDED."fileSize",
              "format" = EXCLUDED."format", "quality" = EXCLUDED."quality", "status" = 'COMPLETED', "error" = NULL,
              "updatedAt" = EXCLUDED."updatedAt" """,
        [
            derive_id("variant", variant.stored.key), asset_id, str(variant.type), variant.stored.key, variant.stored.url,
            variant.width, variant.height, variant.stored.size, variant.format, variant.quality,
        ],
    )  # fmt: skip
    connection.execute(
        """DELETE FROM asset_variants
            WHERE "assetId" = %s AND "variantType" = %s::"VariantType" AND "fileKey" = '' AND "status" = 'FAILED'""",
        [asset_id, str(variant.type)],
    )


def fail_variant(connection: Connection, asset_id: str, variant_type: VariantType, key: str, file_format: str, message: str) -> None:
    """Record that a copy could not be made, under the key it would have had, so that a later success takes the row over.

    A copy that an earlier job finished is still there and keeps its row.
    """
    connection.execute(
        """INSERT INTO asset_variants ("id", "assetId", "variantType", "fileKey", "fileSize", "format", "status", "error", "createdAt",
                                        "updatedAt")
            SELECT %(row)s, "id", %(type)s::"VariantType", %(key)s, 0, %(format)s, 'FAILED', %(error)s, now(), now()
            FROM assets WHERE "id" = %(asset)s
            ON CONFLICT ("fileKey") DO UPDATE SET "error" = EXCLUDED."error", "updatedAt" = EXCLUDED."updatedAt"
            WHERE asset_variants."status" <> 'COMPLETED' """,
        {
            "row": derive_id("variant", key), "asset": asset_id, "type": str(variant_type), "key": key, "format": file_format,
            "error": _text(message)[:_ERROR_LENGTH],
        },
    )  # fmt: skip


def superseded_variants(connection: Connection, asset_id: str, keys: Mapping[VariantType, str]) -> list[str]:
    """Keys of copies that earlier runs of ours made and that ``keys`` (variant type to its key now) replace."""
    rows = connection.execute(
        'SELECT "variantType"::text, "fileKey" FROM asset_variants WHERE "assetId" = %s AND "variantType"::text = ANY(%s)',
        [asset_id, [str(kind) for kind in keys]],
    ).fetchall()
    return [key for kind, key in rows if key != keys[VariantType(kind)] and is_ours(key, asset_id=asset_id, purpose=kind.lower())]


def remove_variants(connection: Connection, keys: Sequence[str]) -> None:
    connection.execute('DELETE FROM asset_variants WHERE "fileKey" = ANY(%s)', [list(keys)])


def unnamed(connection: Connection, keys: Collection[str]) -> list[str]:
    """Those of ``keys`` that no row names: objects under them belong to nobody."""
    # One join for each column, so that a column without an index costs one pass over the table however many keys there are.
    named = connection.execute(
        """WITH wanted AS (SELECT key FROM unnest(%s::text[]) AS key)
           SELECT key FROM wanted JOIN assets ON "fileKey" = key
           UNION ALL SELECT key FROM wanted JOIN assets ON "thumbnailKey" = key
           UNION ALL SELECT key FROM wanted JOIN assets ON "previewKey" = key
           UNION ALL SELECT key FROM wanted JOIN asset_variants ON "fileKey" = key""",
        [list(keys)],
    )
    found = {key for (key,) in named}
    return [key for key in keys if key not in found]


def _save_details(connection: Connection, asset_id: str, facts: Facts) -> None:
    """One row of ``asset_metadata`` an asset; a finding replaces an older one, an unknown value does not."""
    columns = list(_DETAILS)
    names = ", ".join(f'"{name}"' for name in columns)
    values = ", ".join(f"%({name})s" for name in columns)
    updates = ", ".join(f'"{name}" = COALESCE(EXCLUDED."{name}", asset_metadata."{name}")' for name in columns)
    connection.execute(
        f"""INSERT INTO asset_metadata ("id", "assetId", {names}, "customFields", "createdAt", "updatedAt")
            VALUES (%(id)s, %(asset)s, {values}, %(merge)s, now(), now())
            ON CONFLICT ("assetId") DO UPDATE SET {updates},
              "customFields" = {_merged('asset_metadata."customFields"')}, "updatedAt" = EXCLUDED."updatedAt" """,  # noqa: S608  names are ours
        {
            "id": derive_id("metadata", asset_id), "asset": asset_id, "merge": _json(facts.custom),
            **{name: _fitting(facts.details.get(name), kind) for name, kind in _DETAILS.items()},
        },
    )  # fmt: skip


_DETAILS: dict[str, type] = {
    "colorSpace": str, "dpi": int, "bitDepth": int, "frameRate": float, "bitRate": int, "codec": str, "camera": str, "lens": str,
    "iso": int, "aperture": float, "shutterSpeed": str, "gpsLat": float, "gpsLng": float,
}  # fmt: skip


def _fitting(value: str | float | None, kind: type) -> str | float | None:
    """A value its column can hold; a number beyond it, out of a broken file, is no finding."""
    if value is None:
        return None
    if kind is str:
        return _text(str(value))[:500]
    return value if not isinstance(value, int) or abs(value) <= _INTEGER_LIMIT else None


def _whole_seconds(seconds: float | None) -> int | None:
    return None if seconds is None else min(round(seconds), _INTEGER_LIMIT)


def _merged(column: str) -> str:
    """SQL that lays the new fields over what stands in a JSON column; anything there but an object is kept out of the way."""
    return f"CASE WHEN jsonb_typeof({column}) = 'object' THEN {column} ELSE '{{}}'::jsonb END || %(merge)s"


def _json(fields: Mapping[str, object]) -> Jsonb:
    return Jsonb(_storable(fields))


def _storable(value: object) -> object:
    """The same value with nothing PostgreSQL's JSON refuses: no NUL, no lone surrogate, no number that is none."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return {_text(str(name)): _storable(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(entry) for entry in value]
    if isinstance(value, float) and not -1e308 < value < 1e308:
        return None
    return value


def _text(value: str) -> str:
    return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _set(connection: Connection, asset_id: str, columns: Mapping[str, str]) -> None:
    assignments = ", ".join(f'"{name}" = %s' for name in columns)
    row = connection.execute(
        f'UPDATE assets SET {assignments}, "updatedAt" = now() WHERE "id" = %s RETURNING "id"',  # noqa: S608  names are ours
        [*columns.values(), asset_id],
    ).fetchone()
    if row is None:
        raise _unknown(asset_id)


def _unknown(asset_id: str) -> AssetGoneError:
    return AssetGoneError(f"there is no asset {asset_id[:100]!r}: it was deleted, or the job names the wrong one")
