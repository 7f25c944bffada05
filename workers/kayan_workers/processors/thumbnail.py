"""``thumbnail-generation``: one small JPEG that stands for an asset in the app's grids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kayan_workers import assets
from kayan_workers.media.rendition import Rendition
from kayan_workers.objects import derived_key
from kayan_workers.processors.orphans import remove_outdated, taking_back
from kayan_workers.processors.source import MediaPayload, blaming, check, fetched, stop_if_cancelled

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle

BOX = (200, 200)
QUALITY = 80


__all__ = ["Payload", "check", "process"]


class Payload(MediaPayload):
    """The fields every media job carries."""


def process(payload: Payload, job: JobHandle, edges: Edges) -> dict[str, object]:
    """Store the thumbnail, then point the asset at it. Returns its key and size in pixels."""
    with blaming("thumbnail", payload), taking_back([key_for(payload, job)], edges):
        with edges.database.transaction() as connection:
            before = assets.find(connection, payload.asset_id)
        with fetched(payload, job, edges) as source:
            small = source.beside("thumbnail.jpg")
            wanted = Rendition(to=small, box=BOX, quality=QUALITY)
            [(width, height)] = edges.codecs.picture(source.path, payload.file_type, [wanted], job)
            stop_if_cancelled(job)
            stored = edges.storage.upload(small, key_for(payload, job), "image/jpeg")
        remove_outdated(before.thumbnail_key, stored.key, "thumb", payload, job, edges)
        with edges.database.transaction() as connection:
            assets.set_thumbnail(connection, payload.asset_id, stored)
        return {"key": stored.key, "width": width, "height": height}


def key_for(payload: MediaPayload, job: JobHandle) -> str:
    """Where an asset's thumbnail stands, whoever makes it."""
    return derived_key(
        "thumbnails", asset_id=payload.asset_id, purpose="thumb", source_key=payload.file_key, extension="jpg",
        timestamp_ms=job.timestamp_ms,
    )  # fmt: skip
