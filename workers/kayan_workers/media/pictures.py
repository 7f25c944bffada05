"""Pictures of a file of any type: of an image itself, a video's early frame, a document's first page, a sound file's cover.

Most files are pictures and films, and what the other rooms need weighs as much as all of theirs: it comes with the first file for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.file_type import FileType
from kayan_workers.media.films import audio
from kayan_workers.media.films.poster import poster
from kayan_workers.media.films.probe import OnlySoundError
from kayan_workers.media.geometry import Size
from kayan_workers.media.images import images
from kayan_workers.media.kinds import Kind
from kayan_workers.media.rendition import Rendition
from kayan_workers.media.sniff import sniff
from kayan_workers.media.steps import step


def picture(source: Path, file_type: FileType, renditions: Sequence[Rendition], ffmpeg: Ffmpeg) -> list[Size]:
    """Write each rendition of what stands for the file; returns their sizes (width, height), in the order asked for.

    The file is decoded once. Files in between stand beside ``source``. Raises PermanentError, in words for a person, when nothing in
    the file can be shown.
    """
    largest = max(rendition.box for rendition in renditions)
    return images.render(_image_of(source, file_type, largest, ffmpeg), renditions)


def _image_of(source: Path, file_type: FileType, box: Size, ffmpeg: Ffmpeg) -> Path:
    """A file that ``media.images`` can render, at least ``box`` large where the source allows."""
    kind = sniff(source)
    if file_type is FileType.VIDEO or (file_type is FileType.OTHER and kind.family == "video"):
        return _frame(source, ffmpeg)
    if file_type is FileType.AUDIO or (file_type is FileType.OTHER and kind.family == "audio"):
        return _cover(source, ffmpeg)
    if kind.name != "PSD" and (kind.family == "image" or (file_type is FileType.IMAGE and kind.family not in ("design", "model"))):
        return source
    return _page(source, kind, box)


def _page(source: Path, kind: Kind, box: Size) -> Path:
    from kayan_workers.media.designs import designs
    from kayan_workers.media.documents import documents
    from kayan_workers.media.models import models

    page = source.with_name("page")
    if kind.name == "PSD":
        if designs.merged(source, page):
            return page
        raise PermanentError("the design carries no merged picture", 'save it with "Maximize Compatibility"')
    if models.can_read(source, kind):
        models.preview(source, page, box)
        return page
    if documents.preview(source, page, box):
        return page
    raise PermanentError(f"the file has no page to show: its content is {kind}")


def _frame(source: Path, ffmpeg: Ffmpeg) -> Path:
    step("taking a picture out of the film")
    frame = source.with_name("frame.png")
    try:
        poster(ffmpeg, source, frame)
    except OnlySoundError:  # a recording that a browser calls a video
        return _cover(source, ffmpeg)
    return frame


def _cover(source: Path, ffmpeg: Ffmpeg) -> Path:
    step("taking the cover picture out of the sound file")
    cover = source.with_name("cover")
    audio.cover(ffmpeg, source, cover)
    return cover
