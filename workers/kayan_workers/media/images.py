"""Pictures: what they are, and smaller copies of them.

libvips does the work, because it streams: a large picture never stands in memory whole. Four sizes of a 12 MP picture from
one decode took it 0.75 (JPEG), 0.42 (PNG) and 0.35 (WebP) of the time Pillow needed. Pillow reads what libvips' wheel
cannot (BMP, ICO, PSD, JPEG 2000, moving AVIF) and hands its pixels over, so there is one way from pixels to JPEG.
"""

from __future__ import annotations

import errno
import logging
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pyvips
from PIL import Image, ImageCms, ImageOps

from kayan_workers.errors import KayanError, PermanentError, TemporaryError
from kayan_workers.media.exif import read_exif
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.geometry import Size, fit
from kayan_workers.media.rendition import Rendition
from kayan_workers.media.sniff import Kind, sniff

MAX_PIXELS = 0x3FFF * 0x3FFF
"""The largest picture we open, 268 million pixels; sharp's own limit."""

_MAX_DECODED_WHOLE = 100_000_000
"""Pixels of a picture that Pillow has to hold in memory whole."""
_MAX_SVG_BYTES = 20_000_000
_WHITE = [255, 255, 255]
_GLANCE = (64, 64)
"""The size at which a picture is decoded only to learn whether it can be."""
_VIPS_FORMATS = {"JPEG", "PNG", "WebP", "GIF", "TIFF", "AVIF", "HEIC", "SVG"}
_PILLOW_FORMATS = {"BMP": ["BMP"], "ICO": ["ICO"], "PSD": ["PSD"], "JPEG2000": ["JPEG2000"], "AVIF sequence": ["AVIF"]}
_READABLE = "JPEG, PNG, WebP, GIF, TIFF, AVIF, SVG, BMP, ICO, PSD, JPEG 2000"
_NO_MEMORY = ("Cannot allocate memory", "out of memory")
_OUR_TROUBLE = ("No space left on device", "Too many open files", "unable to open for write")
_OUR_ERRNO = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.EROFS}
_UPRIGHT_AFTER_QUARTER_TURN = {5, 6, 7, 8}

# The default cache keeps decoded pictures of finished jobs in memory.
pyvips.cache_set_max(0)
warnings.filterwarnings("ignore", module=r"PIL\.")  # what Pillow thinks of a file is in its errors
logging.getLogger("pyvips").setLevel(logging.WARNING)  # at INFO it narrates every step, paths included
Image.MAX_IMAGE_PIXELS = None  # we check sizes ourselves, with an error of our own


def describe(source: Path) -> Facts:
    """Size, colours, camera and place of a picture. Decodes it once, small, so that a damaged file is found out here.

    Raises PermanentError when the file is no picture, is too large, or breaks off.
    """
    kind = sniff(source)
    with _blamed(kind):
        if _pillow_formats(kind):
            return _describe_with_pillow(source, kind)
        image = _open(source, kind)
        _shrunk(source, kind, image, fit(_upright_size(image), _GLANCE)).avg()
        return _describe_with_vips(image, kind)


def is_blank(source: Path) -> bool:
    """Whether a picture shows one colour and nothing else. Raises PermanentError when it is no picture."""
    kind = sniff(source)
    with _blamed(kind):
        image = _decoded_by_pillow(source, kind) if _pillow_formats(kind) else _open(source, kind)
        return bool(image.deviate() < 1)


def render(source: Path, renditions: Sequence[Rendition]) -> list[Size]:
    """Write each rendition and return their sizes (width, height), in the order asked for.

    Upright by EXIF, in sRGB whatever the source's profile, on white where it is transparent, never enlarged. The source
    is decoded once: the largest copy is made from it and every smaller one from that. An animation gives its first frame.
    """
    kind = sniff(source)
    with _blamed(kind):
        image = _decoded_by_pillow(source, kind) if _pillow_formats(kind) else _open(source, kind)
        shape = _upright_size(image)
        sizes = [fit(shape, rendition.box) for rendition in renditions]
        largest = max(sizes)
        if _pillow_formats(kind):
            picture = image.thumbnail_image(largest[0], height=largest[1], size="force")
        else:
            picture = _shrunk(source, kind, image, largest)
        picture = picture.copy_memory()
        for rendition, size in zip(renditions, sizes, strict=True):
            small = picture if size == largest else picture.thumbnail_image(size[0], height=size[1], size="force")
            small.jpegsave(str(rendition.to), Q=rendition.quality, optimize_coding=True, keep="none")
        return sizes


def _open(source: Path, kind: Kind) -> Any:
    """The picture's header; pixels follow when somebody asks for them."""
    path = str(source)
    loaders: dict[str, Callable[..., Any]] = {
        "JPEG": pyvips.Image.jpegload,
        "PNG": pyvips.Image.pngload,
        "WebP": pyvips.Image.webpload,
        "GIF": pyvips.Image.gifload,
        "TIFF": pyvips.Image.tiffload,
        "AVIF": pyvips.Image.heifload,
        "HEIC": pyvips.Image.heifload,
    }
    if kind.name not in _VIPS_FORMATS:
        raise PermanentError(f"it is not a picture we can read ({_READABLE}): its content is {kind}")
    if kind.name == "PNG":
        _check_png(source)
    image = pyvips.Image.svgload_buffer(_svg(source)) if kind.name == "SVG" else loaders[kind.name](path, access="sequential")
    _check_pixels(image.width, image.height, MAX_PIXELS)
    return image


def _check_png(source: Path) -> None:
    """libvips refuses a width of two billion pixels without a word, so its size is read here first."""
    with source.open("rb") as file:
        chunk, width, height = struct.unpack(">12x4sII", file.read(24))
    if chunk == b"IHDR":
        _check_pixels(width, height, MAX_PIXELS)


def _shrunk(source: Path, kind: Kind, image: Any, size: Size) -> Any:
    """The picture at exactly ``size``, upright, sRGB, 8 bit and opaque. JPEG, WebP and SVG shrink while they load."""
    wanted: dict[str, Any] = {"height": size[1], "size": "force", "fail_on": "error"}
    profiles = {"output_profile": "srgb"} if image.get_typeof("icc-profile-data") or image.interpretation == "cmyk" else {}
    if kind.name == "SVG":
        picture = pyvips.Image.thumbnail_buffer(_svg(source), size[0], **wanted)
    else:
        picture = pyvips.Image.thumbnail(str(source), size[0], **wanted, **profiles)
    if picture.interpretation not in ("srgb", "b-w"):
        picture = picture.colourspace("srgb")
    if picture.hasalpha():
        picture = picture.flatten(background=_WHITE)
    return picture.cast("uchar") if picture.format != "uchar" else picture


def _svg(source: Path) -> bytes:
    """An SVG as bytes without an address: there is no folder or host from which it could pull in another file."""
    if source.stat().st_size > _MAX_SVG_BYTES:
        raise PermanentError(f"the SVG has more than the {_MAX_SVG_BYTES // 1_000_000} MB that are opened here; export it as PNG")
    return source.read_bytes()


def _upright_size(image: Any) -> Size:
    turned = _field(image, "orientation") in _UPRIGHT_AFTER_QUARTER_TURN
    return (image.height, image.width) if turned else (image.width, image.height)


def _field(image: Any, name: str) -> Any:
    return image.get(name) if image.get_typeof(name) else None


def _describe_with_vips(image: Any, kind: Kind) -> Facts:
    width, height = _upright_size(image)
    depth = _field(image, "bits-per-sample") or {"uchar": 8, "ushort": 16, "float": 32}.get(image.format)
    exif = _field(image, "exif-data")
    columns, custom = read_exif(bytes(exif)) if exif else ({}, {})
    frames = _field(image, "n-pages") or 1
    return _facts(
        kind, width, height, colour=str(image.interpretation), depth=depth, alpha=bool(image.hasalpha()), frames=frames,
        dpi=_dpi(image),
        profile=_profile_name(_field(image, "icc-profile-data")), columns=columns, custom=custom,
    )  # fmt: skip


def _dpi(image: Any) -> int | None:
    """Pixels an inch. 25 and 72 are what libvips says of a file that says nothing."""
    dpi = round(image.xres * 25.4)
    return dpi if _field(image, "resolution-unit") or dpi not in (25, 72) else None


def _describe_with_pillow(source: Path, kind: Kind) -> Facts:
    with _pillow(source, kind) as image:
        image.load()
        exif = image.getexif()
        columns, custom = read_exif(exif.tobytes()) if exif else ({}, {})
        upright = ImageOps.exif_transpose(image)
        dpi = image.info.get("dpi")
        return _facts(
            kind, upright.width, upright.height, colour=image.mode.lower(), depth=16 if ";16" in image.mode else 8,
            alpha="A" in image.getbands() or "transparency" in image.info,
            frames=getattr(image, "n_frames", 1) if kind.name == "AVIF sequence" else 1,
            dpi=round(dpi[0]) if dpi else None, profile=_profile_name(image.info.get("icc_profile")), columns=columns, custom=custom,
        )  # fmt: skip


def _facts(
    kind: Kind, width: int, height: int, *, colour: str, depth: int | None, alpha: bool, frames: int, dpi: int | None,
    profile: str | None, columns: Mapping[str, str | int | float | None], custom: Mapping[str, object],
) -> Facts:  # fmt: skip
    metadata = present(
        {"format": kind.name, "colorSpace": colour, "hasAlpha": alpha, "bitDepth": depth, "frames": frames, "iccProfile": profile}
    )
    return Facts(
        width=width,
        height=height,
        metadata=metadata,
        details={"colorSpace": colour, "dpi": dpi, "bitDepth": depth, **columns},
        custom={**metadata, **custom},
    )


def _profile_name(block: bytes | None) -> str | None:
    if not block:
        return None
    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(bytes(block)))).replace("\0", "").strip()[:100] or None
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None  # a broken profile is ignored by every viewer too


def _pillow_formats(kind: Kind) -> list[str] | None:
    return _PILLOW_FORMATS.get(kind.name)


def _pillow(source: Path, kind: Kind) -> Image.Image:
    image = Image.open(source, formats=_pillow_formats(kind))
    _check_pixels(image.width, image.height, _MAX_DECODED_WHOLE)
    return image


def _decoded_by_pillow(source: Path, kind: Kind) -> Any:
    """The pixels as a libvips picture: upright, sRGB, and opaque on white."""
    with _pillow(source, kind) as image:
        picture = ImageOps.exif_transpose(image)
        profile = image.info.get("icc_profile")
        picture = (_to_srgb(picture, profile) or picture.convert("RGB")) if picture.mode == "CMYK" else picture.convert("RGBA")
        pixels = pyvips.Image.new_from_memory(picture.tobytes(), picture.width, picture.height, len(picture.getbands()), "uchar")
    pixels = pixels.copy(interpretation="srgb")
    return pixels.flatten(background=_WHITE) if pixels.hasalpha() else pixels


def _to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image | None:
    if not profile:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return None


def _check_pixels(width: int, height: int, limit: int) -> None:
    if width < 1 or height < 1:
        raise PermanentError(f"the picture has no area: its header says {width}x{height} pixels")
    if width * height > limit:
        raise PermanentError(
            f"the picture has {width}x{height} pixels, more than the {limit // 1_000_000} million that are opened here; export it smaller"
        )


@contextmanager
def _blamed(kind: Kind) -> Iterator[None]:
    """Translate whatever a decoder raises on a bad file: the file is at fault, and it will be at the next attempt too.

    Unless this machine is: a full disk may be better next time. What needs more memory than it may have raises MemoryError.
    """
    try:
        yield
    except KayanError:
        raise
    except pyvips.Error as error:
        said = str(error.detail or "")
        if any(trouble in said for trouble in _NO_MEMORY):
            raise MemoryError(_first_line(said)) from error
        if any(trouble in said for trouble in _OUR_TROUBLE):
            raise TemporaryError(f"this machine cannot work on the picture: {_first_line(said)}; check its disk and memory") from error
        if kind.name == "HEIC":
            raise PermanentError("the picture is HEIC, which cannot be decoded here; export it as JPEG, PNG or AVIF") from error
        raise PermanentError(f"the {kind.name} picture is damaged or incomplete: {_first_line(said)}") from error
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError(str(error)) from error
        if error.errno in _OUR_ERRNO:
            raise TemporaryError(f"this machine cannot work on the picture: {error.strerror}; check its disk and memory") from error
        raise PermanentError(f"the {kind.name} picture is damaged or incomplete: {_first_line(str(error))}") from error
    except (SyntaxError, ValueError, TypeError, OverflowError, EOFError, IndexError, KeyError, struct.error) as error:
        raise PermanentError(f"the {kind.name} picture is damaged or incomplete: {_first_line(str(error))}") from error


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.replace("\0", " ").splitlines() if line.strip()]
    return lines[0][:200] if lines else "it cannot be decoded"
