"""How a picture of each format is opened, and how much memory that may take.

libvips does the work, because it streams: a large picture never stands in memory whole. JPEG, WebP and SVG shrink while they load.
What its wheel cannot read is decoded in ``whole`` and handed over, so that there is one way from pixels to JPEG; Pillow comes with the
first file for it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyvips

from kayan_workers.errors import PermanentError
from kayan_workers.media.geometry import Size
from kayan_workers.media.images.animation import played_ms, telling_frame
from kayan_workers.media.images.colour import Coding, has_odd_numbers
from kayan_workers.media.images.png import read_chunks
from kayan_workers.media.kinds import Kind
from kayan_workers.media.limits import check_bytes, check_pixels

_MAX_SVG_BYTES = 20_000_000
_READABLE = "JPEG, PNG, WebP, GIF, TIFF, AVIF, HEIC, SVG, BMP, ICO, PSD, JPEG 2000"
_READ_WHOLE = {"BMP", "ICO", "PSD", "JPEG2000", "HEIC"}
_UPRIGHT_AFTER_QUARTER_TURN = {5, 6, 7, 8}
_JPEG_SHRINKS = (8, 4, 2)
_HEAD_BYTES = 65_536

# The default cache keeps decoded pictures of finished jobs in memory.
pyvips.cache_set_max(0)
logging.getLogger("pyvips").setLevel(logging.WARNING)  # at INFO it narrates every step, paths included

Pixels = Callable[[float, int], Any]
"""Decodes: by how many times smaller the pixels may be (a hint that few formats honour), and which frame. Gives a libvips picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture whose header has been read."""

    kind: Kind
    header: Any
    """libvips' picture, in its stored orientation; reading its pixels is for ``pixels``."""
    pixels: Pixels = field(repr=False)
    frames: int = 1
    duration_ms: int = 0
    """How long one run of an animation takes; 0 for what does not move."""
    coding: Coding | None = None

    @property
    def size(self) -> Size:
        """(width, height) in pixels, upright."""
        width, height = self.header.width, self.header.height
        return (height, width) if self._turned else (width, height)

    @property
    def telling_frame(self) -> int:
        """The frame that stands for the whole."""
        if not self.duration_ms:
            return 0  # pages and bursts are no film: the first is the title
        return telling_frame(self.frames, self.size, lambda frame: self.pixels(1, frame))

    def at(self, size: Size, frame: int = 0) -> Any:
        """The picture at exactly ``size``, upright; its profile, or CMYK, is converted to sRGB."""
        image = self.pixels(min(self.size[0] / size[0], self.size[1] / size[1]), frame)
        if has_odd_numbers(image):  # libvips would take them all for linear light
            across, down = (size[1], size[0]) if self._turned else size
            return image.resize(across / image.width, vscale=down / image.height).copy_memory().autorot()
        return image.thumbnail_image(size[0], height=size[1], size="force", **self._profiles(image))

    @property
    def _turned(self) -> bool:
        return field_of(self.header, "orientation") in _UPRIGHT_AFTER_QUARTER_TURN

    def _profiles(self, image: Any) -> dict[str, str]:
        if image.get_typeof("icc-profile-data") or image.interpretation == "cmyk":
            return {"output_profile": "srgb"}
        return {"input_profile": "p3", "output_profile": "srgb"} if self.coding and self.coding.wide else {}


def field_of(image: Any, name: str) -> Any:
    """What a libvips picture says of itself under ``name``, or None."""
    return image.get(name) if image.get_typeof(name) else None


def can_read(kind: Kind) -> bool:
    """Whether a picture of this kind can be opened."""
    return kind.name in _READ_WHOLE or kind.name in _OPENERS


def open_picture(source: Path, kind: Kind) -> Picture:
    """Read the header; what is decoded whole is decoded now.

    Raises PermanentError for what is no picture or too large, and the libraries' own errors for what is damaged.
    """
    if kind.name in _READ_WHOLE:
        return _open_whole(source, kind)
    opener = _OPENERS.get(kind.name)
    if opener is None:
        remedy = "export it as one of them" if kind.family in ("image", "design") else ""
        raise PermanentError(f"it is not a picture we can read ({_READABLE}): its content is {kind}", remedy)
    return opener(source, kind)


def _open_whole(source: Path, kind: Kind) -> Picture:
    from kayan_workers.media.images import whole

    image = whole.decode(source, kind)
    coding = _coding(_heif_head(source)) if kind.name == "HEIC" else None
    return Picture(kind=kind, header=image, pixels=lambda shrink, frame: image, frames=field_of(image, "n-pages"), coding=coding)


def _open_jpeg(source: Path, kind: Kind) -> Picture:
    def pixels(shrink: float, frame: int) -> Any:
        # libjpeg halves while it decodes, as often as the size that is wanted leaves room for
        return _load(pyvips.Image.jpegload, source, shrink=next((by for by in _JPEG_SHRINKS if by <= shrink), 1))

    header = pixels(1, 0)
    # A progressive JPEG has to be read to its end before its first line is known: two bytes for each sample until then.
    samples = 1.5 if field_of(header, "jpeg-chroma-subsample") == "4:2:0" else header.bands
    buffered = int(2 * samples + 1) if field_of(header, "jpeg-multiscan") else 0
    check_pixels(header.width, header.height, buffered=buffered, of="a progressive JPEG")
    return Picture(kind=kind, header=header, pixels=pixels)


def _open_png(source: Path, kind: Kind) -> Picture:
    chunks = read_chunks(source)
    if chunks.size:
        check_pixels(*chunks.size)  # libvips refuses a width of two billion pixels without a word

    def pixels(shrink: float, frame: int) -> Any:
        return _frame(source, kind, frame) if frame else _load(pyvips.Image.pngload, source)

    header = pixels(1, 0)
    if chunks.interlaced:
        check_pixels(header.width, header.height, buffered=header.bands * _bytes_of(header), of="an interlaced PNG")
    return Picture(kind=kind, header=header, pixels=pixels, frames=len(chunks.delays_ms) or 1,
                   duration_ms=played_ms(chunks.delays_ms))  # fmt: skip


def _open_webp(source: Path, kind: Kind) -> Picture:
    def pixels(shrink: float, frame: int) -> Any:
        return _load(pyvips.Image.webpload, source, page=frame, scale=min(1.0, 1 / shrink))

    return _open_buffered(kind, pixels, bytes_a_pixel=8)


def _open_gif(source: Path, kind: Kind) -> Picture:
    return _open_buffered(kind, lambda shrink, frame: _load(pyvips.Image.gifload, source, page=frame), bytes_a_pixel=6)


def _open_buffered(kind: Kind, pixels: Pixels, *, bytes_a_pixel: int) -> Picture:
    header = pixels(1, 0)
    check_pixels(header.width, header.height, buffered=bytes_a_pixel, of=f"a {kind.name}")
    frames = field_of(header, "n-pages") or 1
    delays = field_of(header, "delay") or [] if frames > 1 else []
    return Picture(kind=kind, header=header, pixels=pixels, frames=frames, duration_ms=played_ms(delays))


def _open_tiff(source: Path, kind: Kind) -> Picture:
    def pixels(shrink: float, frame: int) -> Any:
        return _load(pyvips.Image.tiffload, source)

    header = pixels(1, 0)
    check_pixels(header.width, header.height)
    return Picture(kind=kind, header=header, pixels=pixels, frames=field_of(header, "n-pages") or 1)


def _open_avif(source: Path, kind: Kind) -> Picture:
    def pixels(shrink: float, frame: int) -> Any:
        return _frame(source, kind, frame) if frame else _load(pyvips.Image.heifload, source)

    header = pixels(1, 0)
    check_pixels(header.width, header.height, buffered=15, of="an AVIF")
    head = _heif_head(source)
    if kind.name == "AVIF":
        return Picture(kind=kind, header=header, pixels=pixels, coding=_coding(head))
    from kayan_workers.media.images import whole

    return Picture(
        kind=kind, header=header, pixels=pixels, frames=whole.count_frames(source, kind), duration_ms=_length_ms(head), coding=_coding(head)
    )


def _open_svg(source: Path, kind: Kind) -> Picture:
    """A drawing as bytes without an address: there is no folder or host from which it could pull in another file."""
    check_bytes(source, _MAX_SVG_BYTES, "SVG")
    drawing = source.read_bytes()
    header = pyvips.Image.svgload_buffer(drawing)  # of any size: a floor plan in millimetres is 80,000 wide, and drawn as small as wanted
    return Picture(kind=kind, header=header, pixels=lambda shrink, frame: pyvips.Image.svgload_buffer(drawing, scale=1 / shrink))


_OPENERS: dict[str, Callable[[Path, Kind], Picture]] = {
    "JPEG": _open_jpeg, "PNG": _open_png, "WebP": _open_webp, "GIF": _open_gif, "TIFF": _open_tiff, "AVIF": _open_avif,
    "AVIF sequence": _open_avif, "SVG": _open_svg,
}  # fmt: skip


def _frame(source: Path, kind: Kind, frame: int) -> Any:
    """A later frame of what libvips shows the first of."""
    from kayan_workers.media.images import whole

    return whole.decode_frame(source, kind, frame)


def _load(loader: Callable[..., Any], source: Path, **how: Any) -> Any:
    return loader(str(source), access="sequential", fail_on="error", **how)


def _bytes_of(image: Any) -> int:
    return {"uchar": 1, "ushort": 2}.get(image.format, 4)


def _heif_head(source: Path) -> bytes:
    """Where an AVIF or a HEIC says what it is; the boxes we look for stand near its start."""
    with source.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _coding(head: bytes) -> Coding | None:
    found = re.search(rb"colrnclx(..)(..)", head, re.DOTALL)
    return Coding(*(int.from_bytes(number, "big") for number in found.groups())) if found else None


def _length_ms(head: bytes) -> int:
    """How long a sequence runs, by the ``mdhd`` box of its first track (the file's own counts repetitions); 0 where that is missing."""
    found = re.search(rb"mdhd(?:\x00.{11}(.{4})(.{4})|\x01.{19}(.{4})(.{8}))", head, re.DOTALL)
    ticks_a_second, ticks = (int.from_bytes(number, "big") for number in found.groups() if number) if found else (0, 0)
    return 1000 * ticks // ticks_a_second if ticks_a_second and ticks < 2**62 else 0
