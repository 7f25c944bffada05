"""What a camera wrote into a picture: make, lens, exposure, place and time."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from PIL import ExifTags, Image, TiffImagePlugin

from kayan_workers.media.facts import camera_name, present

_Tags = dict[int, object]
_Found = tuple[dict[str, str | int | float | None], dict[str, object]]

_MAX_BYTES = 4_000_000
"""A larger block is no camera's."""
_HIGH_ISO = 65535
"""What the two bytes for it say of a sensitivity that does not fit; another tag has it then."""
_ZONE = re.compile(r"[+-]\d\d:\d\d")


def read_exif(block: bytes) -> _Found:
    """The columns of ``asset_metadata`` and the custom fields found in an EXIF block.

    A damaged block says nothing rather than failing the picture: the pixels do not depend on it.
    """
    exif = Image.Exif()
    if len(block) <= _MAX_BYTES:
        with suppress(Exception):  # Pillow raises whatever a malformed block makes it trip over
            exif.load(block)
    return _found(exif)


def read_tiff_tags(source: Path) -> _Found:
    """The same from a TIFF, whose own tags they are. ``Image.open`` would refuse those whose pixels it cannot read, or finds too many."""
    exif = Image.Exif()
    with suppress(Exception), source.open("rb") as file:
        head = file.read(16)
        exif.endian, exif.bigtiff = "<" if head.startswith(b"II") else ">", b"+" in head[2:4]
        exif.load_from_fp(file, TiffImagePlugin.ImageFileDirectory_v2(head if exif.bigtiff else head[:8]).next)
        return _found(exif)  # which reads on: camera and place have directories of their own
    return _found(Image.Exif())


def _found(exif: Image.Exif) -> _Found:
    main: _Tags = {}
    photo: _Tags = {}
    place: _Tags = {}
    with suppress(Exception):
        main = dict(exif)
        photo = dict(exif.get_ifd(ExifTags.IFD.Exif))
        place = dict(exif.get_ifd(ExifTags.IFD.GPSInfo))
    latitude, longitude = _place(place)
    columns: dict[str, str | int | float | None] = {
        "camera": camera_name(_text(main.get(ExifTags.Base.Make)), _text(main.get(ExifTags.Base.Model))),
        "lens": _text(photo.get(ExifTags.Base.LensModel)),
        "iso": _iso(photo),
        "aperture": _aperture(photo),
        "shutterSpeed": _shutter(photo),
        "gpsLat": latitude,
        "gpsLng": longitude,
    }
    custom: dict[str, object] = {
        "takenAt": _taken_at(main, photo),
        "focalLengthMm": _number(photo.get(ExifTags.Base.FocalLength)),
        "focalLength35mm": _whole(photo.get(ExifTags.Base.FocalLengthIn35mmFilm)) or None,
        "gpsAltitudeM": _altitude(place),
        "description": _text(main.get(ExifTags.Base.ImageDescription)),
        "artist": _text(main.get(ExifTags.Base.Artist)),
        "copyright": _text(main.get(ExifTags.Base.Copyright)),
        "software": _text(main.get(ExifTags.Base.Software)),
        "orientation": _whole(main.get(ExifTags.Base.Orientation)),
    }
    return columns, present(custom)


def _text(value: object) -> str | None:
    """At most 200 characters. Pillow takes the bytes for Latin-1; what cameras and people write is UTF-8 where it is not ASCII."""
    if isinstance(value, str):
        with suppress(UnicodeError):
            value = value.encode("latin-1").decode("utf-8")
    elif isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return (value.replace("\0", " ").strip()[:200] or None) if isinstance(value, str) else None


def _number(value: object) -> float | None:
    number = _precise(value)
    return None if number is None else round(number, 4)


def _precise(value: object) -> float | None:
    """Unrounded: 1/8000 needs it."""
    with suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
        number = float(value)  # type: ignore[arg-type]  # anything may stand there
        return number if math.isfinite(number) else None
    return None


def _whole(value: object) -> int | None:
    number = _number(value[0] if isinstance(value, tuple) and value else value)
    return int(number) if number is not None and abs(number) < 2**31 else None


def _iso(photo: _Tags) -> int | None:
    iso = _whole(photo.get(ExifTags.Base.ISOSpeedRatings))
    return _whole(photo.get(ExifTags.Base.RecommendedExposureIndex)) or iso if iso in (None, _HIGH_ISO) else iso or None


def _aperture(photo: _Tags) -> float | None:
    """The f-number; cameras that leave it out give its logarithm."""
    number = _number(photo.get(ExifTags.Base.FNumber))
    if number is None and (stops := _number(photo.get(ExifTags.Base.ApertureValue))) is not None and abs(stops) < 30:
        number = round(2 ** (stops / 2), 1)
    return number if number is not None and number > 0 else None


def _shutter(photo: _Tags) -> str | None:
    """Photographers' notation: ``1/250`` below half a second, ``2`` or ``0.6`` seconds otherwise."""
    seconds = _precise(photo.get(ExifTags.Base.ExposureTime))
    if seconds is None and (stops := _number(photo.get(ExifTags.Base.ShutterSpeedValue))) is not None and abs(stops) < 30:
        seconds = 2**-stops
    if seconds is None or seconds <= 0:
        return None
    return f"1/{round(1 / seconds)}" if seconds < 0.5 else f"{seconds:g}"


def _place(place: _Tags) -> tuple[float | None, float | None]:
    """Latitude and longitude as signed degrees; both or neither, for half a place is none. 0, 0 is what writes who has no fix."""
    latitude = _degrees(place.get(ExifTags.GPS.GPSLatitude), place.get(ExifTags.GPS.GPSLatitudeRef), "NS", 90)
    longitude = _degrees(place.get(ExifTags.GPS.GPSLongitude), place.get(ExifTags.GPS.GPSLongitudeRef), "EW", 180)
    if latitude is None or longitude is None or (latitude, longitude) == (0, 0):
        return None, None
    return latitude, longitude


def _degrees(parts: object, reference: object, letters: str, limit: int) -> float | None:
    """Degrees, and minutes and seconds where they are given; None for nonsense, and where no hemisphere is named."""
    parts = parts if isinstance(parts, tuple) else (parts,)
    if not 1 <= len(parts) <= 3:
        return None
    letter = (_text(reference) or "?").upper()[0]
    value = 0.0
    for part, unit in zip(parts, (1, 60, 3600), strict=False):
        number = _precise(part)
        if number is None or number < 0:
            return None
        value += number / unit
    return round(-value if letter == letters[1] else value, 7) if letter in letters and value <= limit else None


def _altitude(place: _Tags) -> float | None:
    metres = _number(place.get(ExifTags.GPS.GPSAltitude))
    below = place.get(ExifTags.GPS.GPSAltitudeRef) in (1, b"\x01")
    return None if metres is None else -metres if below else metres


def _taken_at(main: _Tags, photo: _Tags) -> str | None:
    for value, zone in (
        (photo.get(ExifTags.Base.DateTimeOriginal), photo.get(ExifTags.Base.OffsetTimeOriginal)),
        (photo.get(ExifTags.Base.DateTimeDigitized), photo.get(ExifTags.Base.OffsetTimeDigitized)),
        (main.get(ExifTags.Base.DateTime), photo.get(ExifTags.Base.OffsetTime)),
    ):
        if moment := _moment(value):
            zone = _text(zone) or ""
            return moment + (zone if _ZONE.fullmatch(zone) else "")
    return None


def _moment(value: object) -> str | None:
    """``2025:11:24 10:05:07`` as ``2025-11-24T10:05:07``: local time of the camera. None for a date that is none."""
    with suppress(ValueError):
        return datetime.strptime((_text(value) or "")[:19], "%Y:%m:%d %H:%M:%S").isoformat()  # noqa: DTZ007  it names no zone
    return None
