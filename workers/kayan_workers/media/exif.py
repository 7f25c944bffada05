"""What a camera wrote into a picture: make, lens, exposure, place and time."""

from __future__ import annotations

import math
from contextlib import suppress

from PIL import ExifTags, Image

from kayan_workers.media.facts import present

_Tags = dict[int, object]


def read_exif(block: bytes) -> tuple[dict[str, str | int | float | None], dict[str, object]]:
    """The columns of ``asset_metadata`` and the custom fields found in an EXIF block.

    A damaged block says nothing rather than failing the picture: the pixels do not depend on it.
    """
    exif = Image.Exif()
    main: _Tags = {}
    photo: _Tags = {}
    place: _Tags = {}
    with suppress(Exception):  # Pillow raises whatever a malformed block makes it trip over
        exif.load(block)
        main = dict(exif)
        photo = dict(exif.get_ifd(ExifTags.IFD.Exif))
        place = dict(exif.get_ifd(ExifTags.IFD.GPSInfo))
    columns: dict[str, str | int | float | None] = {
        "camera": _camera(main),
        "lens": _text(photo.get(ExifTags.Base.LensModel)),
        "iso": _whole(photo.get(ExifTags.Base.ISOSpeedRatings)),
        "aperture": _number(photo.get(ExifTags.Base.FNumber)),
        "shutterSpeed": _shutter(photo.get(ExifTags.Base.ExposureTime)),
        "gpsLat": _degrees(place.get(ExifTags.GPS.GPSLatitude), place.get(ExifTags.GPS.GPSLatitudeRef), "S", 90),
        "gpsLng": _degrees(place.get(ExifTags.GPS.GPSLongitude), place.get(ExifTags.GPS.GPSLongitudeRef), "W", 180),
    }
    custom: dict[str, object] = {
        "takenAt": _moment(photo.get(ExifTags.Base.DateTimeOriginal) or main.get(ExifTags.Base.DateTime)),
        "focalLengthMm": _number(photo.get(ExifTags.Base.FocalLength)),
        "artist": _text(main.get(ExifTags.Base.Artist)),
        "copyright": _text(main.get(ExifTags.Base.Copyright)),
        "software": _text(main.get(ExifTags.Base.Software)),
        "orientation": _whole(main.get(ExifTags.Base.Orientation)),
    }
    return columns, present(custom)


def _camera(main: _Tags) -> str | None:
    """Make and model, once: many cameras repeat the make in the model."""
    make, model = _text(main.get(ExifTags.Base.Make)), _text(main.get(ExifTags.Base.Model))
    if make and model and model.lower().startswith(make.lower().split()[0]):
        return model
    return " ".join(part for part in (make, model) if part) or None


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return (value.replace("\0", " ").strip()[:200] or None) if isinstance(value, str) else None


def _number(value: object) -> float | None:
    with suppress(TypeError, ValueError, ZeroDivisionError, OverflowError):
        number = float(value)  # type: ignore[arg-type]  # anything may stand there
        return round(number, 4) if math.isfinite(number) else None
    return None


def _whole(value: object) -> int | None:
    number = _number(value[0] if isinstance(value, tuple) and value else value)
    return int(number) if number is not None and abs(number) < 2**31 else None


def _shutter(value: object) -> str | None:
    """Photographers' notation: ``1/250`` below half a second, ``2`` or ``0.6`` seconds otherwise."""
    seconds = _number(value)
    if seconds is None or seconds <= 0:
        return None
    with suppress(TypeError, ValueError, ZeroDivisionError):
        seconds = float(value)  # type: ignore[arg-type]  # unrounded: 1/8000 needs it
    return f"1/{round(1 / seconds)}" if seconds < 0.5 else f"{seconds:g}"


def _degrees(parts: object, reference: object, negative: str, limit: int) -> float | None:
    """Degrees, minutes and seconds as signed degrees; None for the nonsense that cameras without a fix write."""
    if not isinstance(parts, tuple) or len(parts) != 3:
        return None
    numbers = [_number(part) for part in parts]
    degrees, minutes, seconds = numbers
    if degrees is None or minutes is None or seconds is None:
        return None
    value = degrees + minutes / 60 + seconds / 3600
    sign = -1 if (_text(reference) or "").upper().startswith(negative) else 1
    return round(sign * value, 7) if 0 <= value <= limit else None


def _moment(value: object) -> str | None:
    """``2025:11:24 10:05:07`` as ``2025-11-24T10:05:07``: local time of the camera, which names no zone."""
    text = _text(value)
    if not text or len(text) < 19 or text.startswith("0000"):
        return None
    return f"{text[:10].replace(':', '-')}T{text[11:19]}"
