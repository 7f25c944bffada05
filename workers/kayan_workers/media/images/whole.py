"""Pictures that libvips' wheel cannot read: Pillow decodes BMP, ICO, PSD, JPEG 2000 and the later frames of PNG and AVIF, libheif HEIC.

Both hand their pixels over to libvips as they are, with profile, orientation and EXIF beside them; libvips does the rest.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyvips
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    IcoImagePlugin,
    Image,
    ImageCms,
    Jpeg2KImagePlugin,
    PngImagePlugin,
    PsdImagePlugin,
)

from kayan_workers.errors import PermanentError
from kayan_workers.media.kinds import Kind
from kayan_workers.media.limits import MAX_BUFFERED_BYTES, check_bytes, check_pixels

_READERS: dict[str, Callable[[Path], Image.Image]] = {
    "BMP": BmpImagePlugin.BmpImageFile, "ICO": IcoImagePlugin.IcoImageFile, "PSD": PsdImagePlugin.PsdImageFile,
    "JPEG2000": Jpeg2KImagePlugin.Jpeg2KImageFile, "PNG": PngImagePlugin.PngImageFile, "AVIF sequence": AvifImagePlugin.AvifImageFile,
}  # fmt: skip
"""Pillow's. ``Image.open`` would refuse a picture that is too large before it says how large it is."""
_BYTES_A_PIXEL = 11
_JPEG2000_BYTES_A_PIXEL = 22  # it computes with four bytes a colour
_MAX_HEIC_BYTES = 100_000_000
_DIB = struct.pack("<I", 40)
"""How a BMP without its head begins: with how long the rest of its header is."""
_AS_THEY_ARE = {"L": "b-w", "LA": "b-w", "RGB": "srgb", "RGBA": "srgb", "CMYK": "cmyk", "I;16": "grey16"}
"""Pillow's modes that libvips knows too, and its word for each."""

warnings.filterwarnings("ignore", module=r"PIL\.")  # what Pillow thinks of a file is in its errors
# Pillow refuses twice this, where it looks before we do: at a picture inside another.
Image.MAX_IMAGE_PIXELS = MAX_BUFFERED_BYTES // _BYTES_A_PIXEL // 2


def decode(source: Path, kind: Kind) -> Any:
    """The picture in its stored orientation, with what libvips' own loaders tell: profile, orientation, EXIF, bits and resolution."""
    if kind.name == "HEIC":
        return _decode_heic(source)
    if kind.name == "ICO":
        _check_icon(source)  # Pillow decodes it while it opens it
    with _opened(source, kind) as image:
        cost = _JPEG2000_BYTES_A_PIXEL if kind.name == "JPEG2000" else _BYTES_A_PIXEL
        check_pixels(image.width, image.height, buffered=cost, of=kind.name)
        return _to_libvips(image)


def count_frames(source: Path, kind: Kind) -> int:
    """How many frames an animation has that Pillow can show."""
    with _opened(source, kind) as image:
        return int(getattr(image, "n_frames", 1))


def decode_frame(source: Path, kind: Kind, frame: int) -> Any:
    """One frame of an animation; those before it are decoded too."""
    with _opened(source, kind) as image:
        check_pixels(image.width, image.height, buffered=_BYTES_A_PIXEL, of=f"an animated {kind.name}")
        image.seek(frame)
        return _to_libvips(image)


@contextmanager
def _opened(source: Path, kind: Kind) -> Iterator[Image.Image]:
    try:
        with _READERS[kind.name](source) as image:
            yield image
    except Image.DecompressionBombError as error:
        raise PermanentError("the picture has more pixels than are opened here", "export it smaller, or as JPEG") from error


def _check_icon(source: Path) -> None:
    """Each picture in an icon is a PNG, or a BMP without its head that counts its lines twice: once for what is transparent."""
    with source.open("rb") as file:
        count = int.from_bytes(file.read(6)[4:], "little")
        places = [int.from_bytes(file.read(16)[12:], "little") for _ in range(count)]
        for place in places:
            file.seek(place)
            head = file.read(24)
            if head.startswith(b"\x89PNG") and len(head) == 24:
                width, height = struct.unpack(">II", head[16:])
            elif head.startswith(_DIB) and len(head) == 24:
                width, height = (abs(side) for side in struct.unpack("<ii", head[4:12]))
                height //= 2
            else:
                continue
            check_pixels(max(width, 1), max(height, 1), buffered=_BYTES_A_PIXEL, of="ICO")


def _to_libvips(image: Image.Image) -> Any:
    image.load()
    exif, profile, dpi = image.getexif(), image.info.get("icc_profile"), image.info.get("dpi")
    bits = 16 if ";16" in image.mode else 1 if image.mode == "1" else 8
    plain = image if image.mode in _AS_THEY_ARE else _in_known_mode(image)
    made = _of_bytes(plain.tobytes(), plain.width, plain.height, plain.mode)
    return _telling(
        made, bits=bits, profile=None if image.mode == "LAB" else profile, exif=exif.tobytes() if exif else None,
        orientation=exif.get(ExifTags.Base.Orientation), dpi=float(dpi[0]) if dpi else None,
    )  # fmt: skip


def _in_known_mode(image: Image.Image) -> Image.Image:
    if image.mode == "LAB":
        return ImageCms.profileToProfile(image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB") or image
    if image.mode in ("1", "F", "I") or image.mode.startswith("I;"):
        return image.convert("L")
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _decode_heic(source: Path) -> Any:
    """libheif turns and mirrors the picture itself; its EXIF still says what the camera wrote."""
    import pi_heif

    check_bytes(source, _MAX_HEIC_BYTES, "HEIC picture")
    # A worker's other jobs use the other cores; thumbnails, depth maps and the like would be read for nothing.
    pi_heif.options.DECODE_THREADS = 1
    pi_heif.options.THUMBNAILS = pi_heif.options.DEPTH_IMAGES = pi_heif.options.AUX_IMAGES = False
    pictures = pi_heif.open_heif(source)
    primary = pictures[pictures.primary_index]
    width, height = primary.size
    check_pixels(width, height, buffered=_BYTES_A_PIXEL, of="HEIC")
    made = _of_bytes(bytes(primary.data), width, height, primary.mode.upper())  # a copy: the memory goes when ``pictures`` does
    made = made.unpremultiply().cast("uchar") if primary.premultiplied_alpha else made
    return _telling(
        made, bits=primary.info["bit_depth"], profile=primary.info.get("icc_profile"), exif=primary.info.get("exif"), pages=len(pictures),
    )


def _of_bytes(pixels: bytes, width: int, height: int, mode: str) -> Any:
    deep = mode == "I;16"
    made = pyvips.Image.new_from_memory(pixels, width, height, 1 if deep else len(mode), "ushort" if deep else "uchar")
    return made.copy(interpretation=_AS_THEY_ARE[mode])


def _telling(
    made: Any, *, bits: int, profile: bytes | None, exif: bytes | None, orientation: object = None, dpi: float | None = None,
    pages: int = 1,
) -> Any:
    """A copy that says of itself what libvips' own loaders would."""
    made = made.copy(xres=dpi / 25.4, yres=dpi / 25.4) if dpi else made.copy()
    made.set_type(pyvips.GValue.gint_type, "bits-per-sample", bits)
    made.set_type(pyvips.GValue.gint_type, "n-pages", pages)
    if profile:
        made.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    if exif:
        made.set_type(pyvips.GValue.blob_type, "exif-data", exif)
    # last, for libvips reads one out of the EXIF block as well
    made.set_type(pyvips.GValue.gint_type, "orientation", orientation if orientation in range(1, 9) else 1)
    return made
