"""Pictures: what they are, and smaller copies of them."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyvips

from kayan_workers.errors import KayanError, TemporaryError
from kayan_workers.media.complaints import damaged, plain
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.geometry import Size, fit
from kayan_workers.media.images.colour import profile_name, shown
from kayan_workers.media.images.openers import Picture, field_of, open_picture
from kayan_workers.media.kinds import Kind
from kayan_workers.media.rendition import Rendition
from kayan_workers.media.sniff import sniff
from kayan_workers.media.steps import step

_GLANCE = (64, 64)
"""The size at which a picture is decoded only to learn whether it can be."""
_LOOK = (256, 256)
"""The size at which a picture is looked at for what it shows."""
_DEPTHS = {"uchar": 8, "ushort": 16, "float": 32}
_NO_MEMORY = ("Cannot allocate memory", "out of memory", "Memory allocation")
_OUR_TROUBLE = ("No space left on device", "Too many open files", "unable to open for write")
_OUR_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS}


def describe(source: Path) -> Facts:
    """Size, colours, camera and place of a picture. Decodes it once, small, so that a damaged file is found out here.

    Raises PermanentError when the file is no picture, is too large, or breaks off.
    """
    kind = sniff(source)
    with _blamed(kind):
        picture = open_picture(source, kind)
        picture.at(fit(picture.size, _GLANCE)).avg()
        return _facts(source, picture)


def is_blank(source: Path) -> bool:
    """Whether a picture shows one colour and nothing else. Raises PermanentError when it is no picture."""
    kind = sniff(source)
    with _blamed(kind):
        picture = open_picture(source, kind)
        return bool(picture.at(fit(picture.size, _LOOK)).deviate() < 1)


def render(source: Path, renditions: Sequence[Rendition]) -> list[Size]:
    """Write each rendition and return their sizes (width, height), in the order asked for.

    Upright by EXIF, in sRGB whatever the source's profile, on white where it is transparent, never enlarged. The source
    is decoded once: the largest copy is made from it and every smaller one from that. An animation gives its first frame that
    shows something.
    """
    kind = sniff(source)
    with _blamed(kind):
        picture = open_picture(source, kind)
        sizes = [fit(picture.size, rendition.box) for rendition in renditions]
        largest = max(sizes)
        copy = shown(picture.at(largest, picture.telling_frame), picture.coding)
        if len(sizes) > 1:
            copy = copy.copy_memory()  # each of them would work it out anew
        for rendition, size in zip(renditions, sizes, strict=True):
            # cubic: Lanczos, applied a second time, sharpens what it has sharpened already
            small = copy if size == largest else copy.resize(size[0] / copy.width, vscale=size[1] / copy.height, kernel="cubic")
            small.jpegsave(str(rendition.to), Q=rendition.quality, optimize_coding=True, keep="none")
        return sizes


def _facts(source: Path, picture: Picture) -> Facts:
    from kayan_workers.media.images.exif import read_exif, read_tiff_tags

    header = picture.header
    width, height = picture.size
    colour = str(header.interpretation)
    depth = field_of(header, "bits-per-sample") or _DEPTHS.get(header.format)
    columns, custom = read_tiff_tags(source) if picture.kind.name == "TIFF" else read_exif(bytes(field_of(header, "exif-data") or b""))
    metadata = present({
        "format": picture.kind.name, "colorSpace": colour, "hasAlpha": bool(header.hasalpha()), "bitDepth": depth, "frames": picture.frames,
        "durationMs": picture.duration_ms or None, "hdr": picture.coding.hdr if picture.coding else None,
        "iccProfile": profile_name(bytes(field_of(header, "icc-profile-data") or b"")),
    })  # fmt: skip
    return Facts(
        width=width,
        height=height,
        metadata=metadata,
        details={"colorSpace": colour, "dpi": _dpi(header), "bitDepth": depth, **columns},
        custom={**metadata, **custom},
    )


def _dpi(header: Any) -> int | None:
    """Pixels an inch. 25 and 72 are what libvips says of a file that says nothing."""
    dpi = header.xres * 25.4
    if not 1 <= dpi <= 100_000:
        return None
    return round(dpi) if field_of(header, "resolution-unit") or round(dpi) not in (25, 72) else None


@contextmanager
def _blamed(kind: Kind) -> Iterator[None]:
    """Translate whatever a decoder raises on a bad file: the file is at fault, and it will be at the next attempt too.

    Unless this machine is: a full disk may be better next time. What needs more memory than it may have raises MemoryError.
    """
    step(f"decoding the {kind.name} picture")
    try:
        yield
    except KayanError:
        raise
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError(str(error)) from error
        if error.errno in _OUR_ERRNO:
            raise _trouble(error.strerror or str(error)) from error
        raise _translated(kind, error) from error
    except (pyvips.Error, SyntaxError, ValueError, TypeError, OverflowError, EOFError, LookupError, RuntimeError, struct.error) as error:
        raise _translated(kind, error) from error


def _translated(kind: Kind, error: Exception) -> Exception:
    said = str(error.detail or "") if isinstance(error, pyvips.Error) else str(error)
    if any(trouble in said for trouble in _NO_MEMORY):
        return MemoryError(plain(said))
    for trouble in _OUR_TROUBLE:
        if trouble in said:
            return _trouble(trouble)
    return damaged(f"the {kind.name} picture", said if isinstance(error, pyvips.Error) else error)


def _trouble(said: str) -> TemporaryError:
    return TemporaryError(f"this machine cannot work on the picture: {said}", "check its disk and memory")
