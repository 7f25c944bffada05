"""What cameras, phones and broken programs write about a picture."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import pyvips
from kayan_workers.demo.samples import picture
from kayan_workers.media.images import images
from kayan_workers.media.images.exif import read_exif
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

TAG, GPS = ExifTags.Base, ExifTags.GPS
BROKEN = IFDRational(4711)
"""Stands for 0/0, which Pillow reads but does not write."""


def block(main: dict[int, Any] | None = None, photo: dict[int, Any] | None = None, place: dict[int, Any] | None = None) -> bytes:
    exif = Image.Exif()
    exif.update(main or {})
    exif.get_ifd(ExifTags.IFD.Exif).update(photo or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(place or {})
    return exif.tobytes().replace(struct.pack(">II", 4711, 1), bytes(8))


def place(latitude: object, north_south: object, longitude: object, east_west: object) -> dict[int, Any]:
    return {GPS.GPSLatitude: latitude, GPS.GPSLatitudeRef: north_south, GPS.GPSLongitude: longitude, GPS.GPSLongitudeRef: east_west}


@pytest.mark.parametrize(
    ("written", "latitude", "longitude"),
    [
        (place((24.0, 52.0, 48.0), "N", (46.0, 44.0, 6.0), "E"), 24.88, 46.735),
        (place((33.0, 30.0, 0.0), "S", (70.0, 0.0, 36.0), "W"), -33.5, -70.01),
        (place((33.0, 30.0, 0.0), "s", (151.0, 12.0, 0.0), "east"), -33.5, 151.2),
        (place((51.5,), "N", (0.5,), "W"), 51.5, -0.5),
        (place((51.0, 30.0), "N", (0.0, 30.0), "W"), 51.5, -0.5),
    ],
    ids=["north-east", "south-west", "lower case", "degrees alone", "degrees and minutes"],
)
def test_a_place_is_read_in_every_hemisphere_and_notation(written: dict[int, Any], latitude: float, longitude: float) -> None:
    columns, _ = read_exif(block(place=written))

    assert columns["gpsLat"] == pytest.approx(latitude)
    assert columns["gpsLng"] == pytest.approx(longitude)


@pytest.mark.parametrize(
    "written",
    [
        place((0.0, 0.0, 0.0), "N", (0.0, 0.0, 0.0), "E"),
        place((999.0, 0.0, 0.0), "N", (70.0, 0.0, 0.0), "E"),
        place((24.0, 52.0, 48.0), "N", (190.0, 0.0, 0.0), "E"),
        place((24.0, 52.0, 48.0), "", (46.0, 44.0, 6.0), "E"),
        place((BROKEN, 0.0, 0.0), "N", (46.0, 44.0, 6.0), "E"),
        place((24.0, BROKEN, 0.0), "N", (46.0, 44.0, 6.0), "E"),
        {GPS.GPSLatitude: (24.0, 0.0, 0.0), GPS.GPSLatitudeRef: "N"},
        {GPS.GPSLatitudeRef: "N", GPS.GPSLongitudeRef: "E"},
    ],
    ids=["no fix", "beyond the pole", "beyond the date line", "no hemisphere", "0/0 degrees", "0/0 minutes", "half a place", "letters"],
)
def test_what_is_no_place_gives_neither_half_of_one(written: dict[int, Any]) -> None:
    columns, _ = read_exif(block(place=written))

    assert (columns["gpsLat"], columns["gpsLng"]) == (None, None)


def test_height_is_below_the_sea_where_the_camera_says_so() -> None:
    assert read_exif(block(place={GPS.GPSAltitude: 400.0, GPS.GPSAltitudeRef: b"\x01"}))[1]["gpsAltitudeM"] == -400
    assert read_exif(block(place={GPS.GPSAltitude: 612.5, GPS.GPSAltitudeRef: b"\x00"}))[1]["gpsAltitudeM"] == 612.5


def test_the_moment_of_the_shot_carries_its_zone_where_the_camera_knows_it() -> None:
    taken = {TAG.DateTimeOriginal: "2025:11:24 10:05:07"}

    assert read_exif(block(photo=taken))[1]["takenAt"] == "2025-11-24T10:05:07"
    assert read_exif(block(photo={**taken, TAG.OffsetTimeOriginal: "+03:00"}))[1]["takenAt"] == "2025-11-24T10:05:07+03:00"


@pytest.mark.parametrize("written", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2025:13:45 99:99:99", "yesterday"])
def test_a_date_that_is_none_is_not_recorded_and_the_next_best_is(written: str) -> None:
    assert "takenAt" not in read_exif(block(photo={TAG.DateTimeOriginal: written}))[1]
    other = block({TAG.DateTime: "2025:01:02 03:04:05"}, {TAG.DateTimeOriginal: written})
    assert read_exif(other)[1]["takenAt"] == "2025-01-02T03:04:05"


def test_exposure_is_read_from_its_logarithms_where_a_camera_writes_only_those() -> None:
    columns, _ = read_exif(block(photo={TAG.ApertureValue: 4.0, TAG.ShutterSpeedValue: 8.0, TAG.ISOSpeedRatings: 65535,
                                        TAG.RecommendedExposureIndex: 102400, TAG.LensModel: "RF 24-70mm"}))  # fmt: skip

    assert columns["aperture"] == 4.0
    assert columns["shutterSpeed"] == "1/256"
    assert columns["iso"] == 102400
    assert columns["lens"] == "RF 24-70mm"


def test_rationals_divided_by_zero_are_no_numbers() -> None:
    columns, custom = read_exif(block(photo={TAG.FNumber: BROKEN, TAG.ExposureTime: BROKEN, TAG.FocalLength: BROKEN}))

    assert columns["aperture"] is None
    assert columns["shutterSpeed"] is None
    assert "focalLengthMm" not in custom


def test_names_in_arabic_are_kept_as_they_were_written() -> None:
    _, custom = read_exif(block({TAG.Artist: "كيان".encode(), TAG.Copyright: b"\xa9 Kayan"}))

    assert custom["artist"] == "كيان"
    assert custom["copyright"] == "© Kayan"


def test_a_block_larger_than_any_camera_writes_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stuffed.webp"
    exif = Image.Exif()
    exif[TAG.Make], exif[TAG.ImageDescription] = "Canon", "x" * 20_000_000
    picture((64, 48)).save(path, exif=exif)

    facts = images.describe(path)

    assert facts.width == 64
    assert facts.details["camera"] is None


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif", "a.avif"])
def test_every_format_that_carries_camera_data_gives_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    picture((64, 48)).save(path, exif=block({TAG.Make: "Canon", TAG.Model: "EOS R5", TAG.Orientation: 6}, {TAG.FNumber: 2.8}))

    facts = images.describe(path)

    assert facts.details["camera"] == "Canon EOS R5"
    assert (facts.width, facts.height) == (48, 64)
    assert facts.details["aperture"] == 2.8
    assert facts.custom.get("orientation") == (6 if name != "a.avif" else None), "Pillow moves it out of an AVIF's EXIF"


def test_a_tiff_larger_than_pillow_would_open_gives_its_camera_data_too(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    Image.new("1", (8000, 7500)).save(path, compression="group4", tiffinfo={TAG.Make: "Phase One"})

    assert images.describe(path).details["camera"] == "Phase One"


@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_tiff_whose_numbers_pillow_cannot_read_gives_its_orientation_too(tmp_path: Path, orientation: int, big: bool) -> None:
    path = tmp_path / "render.tif"
    floats = pyvips.Image.black(64, 48, bands=3).cast("float").copy(interpretation="scrgb")
    floats.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    floats.tiffsave(str(path), bigtiff=big)

    facts = images.describe(path)

    assert facts.custom["orientation"] == orientation
    assert (facts.width, facts.height) == ((64, 48) if orientation < 5 else (48, 64))
