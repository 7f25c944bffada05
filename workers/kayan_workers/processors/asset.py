"""``asset-processing``: find out what an uploaded file is, and write it down where the app and its users look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from kayan_workers import assets
from kayan_workers.errors import PermanentError
from kayan_workers.media.file_type import FileType
from kayan_workers.media.mime_types import contradicts
from kayan_workers.media.rendition import Rendition
from kayan_workers.objects import derived_key
from kayan_workers.processors import thumbnail
from kayan_workers.processors.orphans import remove_outdated, taking_back
from kayan_workers.processors.source import MediaPayload, Source, blaming, check, fetched, in_words, is_final, stop_if_cancelled
from kayan_workers.storage import Stored

if TYPE_CHECKING:
    from kayan_workers.assets import Asset
    from kayan_workers.edges import Edges
    from kayan_workers.media.kinds import Kind
    from kayan_workers.processors.handle import JobHandle

PREVIEW_BOX = (800, 600)
PREVIEW_QUALITY = 85
GIVEN_UP = (
    "given up: every worker that took it died or hung (the job stalled more than allowable limit); "
    "the file may need more memory than a worker has"
)


__all__ = ["Payload", "check", "given_up", "process"]


class Payload(MediaPayload):
    """The fields every media job carries."""


def process(payload: Payload, job: JobHandle, edges: Edges) -> dict[str, object]:
    """PROCESSING, then COMPLETED with everything learned; FAILED with the reason only when no attempt is left."""
    with blaming("processing", payload), taking_back([_preview_key(payload, job), thumbnail.key_for(payload, job)], edges):
        with edges.database.transaction() as connection:
            before = assets.begin_processing(connection, payload.asset_id)
        try:
            return _work(payload, before, job, edges)
        except BaseException as error:  # whatever ends a thread whose time is up, too
            if is_final(error, job):
                _note_failure(payload, error, job, edges)
            raise


def given_up(payload: Payload, edges: Edges) -> None:
    """Every worker that took the job died with it, so none is left to say so: the asset must not be processed for ever."""
    with edges.database.transaction() as connection:
        assets.give_up_processing(connection, payload.asset_id, GIVEN_UP)


def _work(payload: Payload, before: Asset, job: JobHandle, edges: Edges) -> dict[str, object]:
    with fetched(payload, job, edges) as source:
        examined = edges.codecs.examine(source.path, payload.file_type, job)
        pictures = _pictures(payload, source, job, edges)
    stop_if_cancelled(job)
    facts = replace(examined.facts, metadata={**examined.facts.metadata, **_claims(payload, examined.kind)})
    if pictures:
        remove_outdated(before.preview_key, pictures.preview.key, "preview", payload, job, edges)
        remove_outdated(before.thumbnail_key, pictures.thumbnail.key, "thumb", payload, job, edges)
    with edges.database.transaction() as connection:
        assets.complete_processing(connection, payload.asset_id, facts)
        if pictures:
            assets.set_preview(connection, payload.asset_id, pictures.preview.key)
            assets.set_thumbnail(connection, payload.asset_id, pictures.thumbnail)
    return {"format": examined.kind.name, "width": facts.width, "height": facts.height}


def _claims(payload: Payload, kind: Kind) -> dict[str, object]:
    """What the app has always recorded of documents, and a contradiction between the declared and the real type."""
    claims: dict[str, object] = {}
    if payload.file_type in (FileType.DOCUMENT, FileType.OTHER):
        processed_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        claims |= {"mimeType": payload.mime_type or "", "processedAt": processed_at}
    if contradicts(payload.mime_type or "", kind):
        claims["detectedMimeType"] = kind.mime
    return claims


class _Pictures(NamedTuple):
    preview: Stored
    thumbnail: Stored


def _pictures(payload: Payload, source: Source, job: JobHandle, edges: Edges) -> _Pictures | None:
    """Preview and thumbnail of what nobody else is asked to picture: the app queues those jobs for images and videos only.

    A document whose text was read, or a model whose faces were counted, is processed even if it cannot be drawn.
    """
    if payload.file_type in (FileType.IMAGE, FileType.VIDEO):
        return None
    try:
        return _draw(payload, source, job, edges)
    except PermanentError as error:
        job.log(f"it gets no preview: {error}")
        return None


def _draw(payload: Payload, source: Source, job: JobHandle, edges: Edges) -> _Pictures:
    preview, small = source.beside("preview.jpg"), source.beside("thumbnail.jpg")
    edges.codecs.picture(source.path, payload.file_type, [
        Rendition(to=preview, box=PREVIEW_BOX, quality=PREVIEW_QUALITY),
        Rendition(to=small, box=thumbnail.BOX, quality=thumbnail.QUALITY),
    ], job)  # fmt: skip
    stop_if_cancelled(job)
    return _Pictures(
        preview=edges.storage.upload(preview, _preview_key(payload, job), "image/jpeg"),
        thumbnail=edges.storage.upload(small, thumbnail.key_for(payload, job), "image/jpeg"),
    )


def _preview_key(payload: Payload, job: JobHandle) -> str:
    return derived_key(
        "previews", asset_id=payload.asset_id, purpose="preview", source_key=payload.file_key, extension="jpg",
        timestamp_ms=job.timestamp_ms,
    )  # fmt: skip


def _note_failure(payload: Payload, error: BaseException, job: JobHandle, edges: Edges) -> None:
    """Mark the asset FAILED with the reason. Trouble in doing so never hides the reason itself."""
    try:
        with edges.database.transaction() as connection:
            assets.fail_processing(connection, payload.asset_id, in_words(error, job))
    except Exception as trouble:
        error.add_note(f"and the asset could not be marked as failed: {trouble}")
