"""One picture that stands for a file of any type: the image itself, a video's early frame, a document's first page, a cover."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kayan_workers.errors import PermanentError
from kayan_workers.media import audio, documents, video
from kayan_workers.media.probe import probe
from kayan_workers.processors.source import FileType, Source

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.media.geometry import Size
    from kayan_workers.processors.handle import JobHandle

_NOT_PICTURED = {
    FileType.MODEL_3D: "no picture can be made of a 3D model yet",
    FileType.OTHER: "no picture can be made of a file of this type",
}


def picture_of(source: Source, file_type: FileType, job: JobHandle, edges: Edges, box: Size) -> Path:
    """A file that ``media.images`` can render, at least ``box`` large where the source allows.

    Raises PermanentError, in words for a person, when nothing in the file can be shown.
    """
    if file_type is FileType.VIDEO:
        return _frame(source, job, edges)
    if file_type is FileType.AUDIO:
        return _cover(source, job, edges)
    if file_type is FileType.IMAGE or source.kind.family == "image" or source.kind.name == "PSD":
        return source.path
    picture = first_page(source, box)
    if picture is None:
        raise PermanentError(_NOT_PICTURED.get(file_type, f"the file has no page to show: its content is {source.kind}"))
    return picture


def first_page(source: Source, box: Size) -> Path | None:
    """A picture of a document's first page, or None for a kind that has none (plain text, most office files)."""
    page = source.beside("page")
    return page if documents.preview(source.path, page, box) else None


def _frame(source: Source, job: JobHandle, edges: Edges) -> Path:
    found = probe(edges.ffmpeg, source.path, job.cancelled)
    video.moving(found)
    frame = source.beside("frame.png")
    video.poster(edges.ffmpeg, source.path, frame, found.duration, job.cancelled)
    return frame


def _cover(source: Source, job: JobHandle, edges: Edges) -> Path:
    cover = source.beside("cover")
    audio.cover(edges.ffmpeg, source.path, cover, job.cancelled)
    return cover
