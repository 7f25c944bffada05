"""Colours as they are meant: profiles, print, depth, floating point, HDR. A red half and a green half say whether they are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pyvips
from kayan_workers.media.images import images
from kayan_workers.media.images.colour import Coding
from kayan_workers.media.images.colour import shown as as_shown
from kayan_workers.media.rendition import Rendition
from PIL import Image, ImageCms

Colour = tuple[int, int, int]
RED, GREEN, WHITE = (220, 20, 20), (20, 160, 20), (255, 255, 255)


def halves(red: Colour = RED, green: Colour = GREEN) -> Image.Image:
    image = Image.new("RGB", (400, 200), red)
    image.paste(green, (200, 0, 400, 200))
    return image


def scan(image: Image.Image) -> Any:
    """The picture in libvips, which writes what Pillow cannot."""
    return pyvips.Image.new_from_memory(image.tobytes(), *image.size, 3, "uchar").copy(interpretation="srgb")


def shown(path: Path) -> tuple[Colour, Colour]:
    """The colours of both halves of a thumbnail, as a web page shows them."""
    to = path.with_name("small.jpg")
    images.render(path, [Rendition(to=to, box=(200, 200), quality=95)])
    small = Image.open(to)
    assert small.mode in ("RGB", "L")
    assert "icc_profile" not in small.info
    left, right = (small.convert("RGB").getpixel((x, 50)) for x in (20, 180))
    return left, right  # type: ignore[return-value]


def near(got: Colour, expected: Colour, by: int = 12) -> bool:
    return all(abs(a - b) <= by for a, b in zip(got, expected, strict=True))


WRITERS: dict[str, Callable[[Path], object]] = {
    "Display P3 JPEG": lambda path: scan(halves()).icc_transform("p3", input_profile="srgb").jpegsave(str(path), Q=95),
    "16-bit PNG": lambda path: scan(halves()).colourspace("rgb16").pngsave(str(path)),
    "16-bit TIFF": lambda path: scan(halves()).colourspace("rgb16").tiffsave(str(path)),
    "Lab TIFF": lambda path: scan(halves()).colourspace("labs").tiffsave(str(path)),
    "tiled BigTIFF with JPEG inside": lambda path: scan(halves()).tiffsave(str(path), tile=True, bigtiff=True, compression="jpeg", Q=95),
    "float TIFF, linear": lambda path: scan(halves()).colourspace("scrgb").tiffsave(str(path)),
    "float TIFF, 0 to 255": lambda path: scan(halves()).cast("float").tiffsave(str(path)),
    "10-bit AVIF": lambda path: scan(halves()).heifsave(str(path), compression="av1", bitdepth=10, Q=95, effort=0),
    "broken profile": lambda path: halves().save(path, "JPEG", icc_profile=b"\0" * 500, quality=95),
    "progressive JPEG": lambda path: halves().save(path, "JPEG", progressive=True, quality=95),
    "MPO of a 3D camera": lambda path: halves().save(path, "MPO", save_all=True, append_images=[halves().rotate(180)]),
    "JPEG 2000": lambda path: halves().save(path, "JPEG2000"),
    "JPEG 2000 without its box": lambda path: halves().save(path, "JPEG2000", no_jp2=True),
    "BMP": lambda path: halves().save(path, "BMP"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=list(WRITERS))
def test_colours_come_out_as_they_were_meant(tmp_path: Path, write: Callable[[Path], object]) -> None:
    path = tmp_path / "halves"
    write(path)

    left, right = shown(path)

    assert near(left, RED)
    assert near(right, GREEN)


def test_print_files_are_converted_by_their_own_profile(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    scan(halves()).icc_transform("cmyk", input_profile="srgb").jpegsave(str(path), Q=95)

    assert images.describe(path).metadata["iccProfile"]
    left, right = shown(path)
    assert near(left, RED, by=30)
    assert near(right, GREEN, by=45)


@pytest.mark.parametrize("profile", [None, b"\0" * 500, "sRGB"], ids=["none", "broken", "one for RGB"])
def test_print_files_without_a_profile_that_fits_are_neither_inverted_nor_refused(tmp_path: Path, profile: bytes | str | None) -> None:
    path = tmp_path / "print.jpg"
    block = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() if profile == "sRGB" else profile
    halves(green=WHITE).convert("CMYK").save(path, quality=95, icc_profile=block)

    left, right = shown(path)

    assert left[0] > left[1] + 80
    assert near(right, WHITE)


def test_a_profile_of_another_colour_space_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "grey.jpg"
    rgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    halves().convert("L").save(path, quality=95, icc_profile=rgb)

    assert near(shown(path)[0], (80, 80, 80))


def test_grey_of_16_bit_with_transparency_stands_on_white(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    grey = scan(halves()).colourspace("grey16")
    mask = ((pyvips.Image.xyz(400, 200)[0] < 200) / 255 * 65535).cast("ushort")
    grey.bandjoin(mask).copy(interpretation="grey16").pngsave(str(path))

    facts = images.describe(path)

    assert (facts.metadata["hasAlpha"], facts.metadata["bitDepth"], facts.metadata["colorSpace"]) == (True, 16, "grey16")
    left, right = shown(path)
    assert max(left) < 160
    assert right == WHITE


def test_whole_numbers_without_a_known_white_are_stretched_instead_of_clipped(tmp_path: Path) -> None:
    path = tmp_path / "heights.tif"
    (pyvips.Image.xyz(400, 200)[0].cast("int") * 1000).tiffsave(str(path))

    left, right = shown(path)

    assert max(left) < 60
    assert min(right) > 190


def coded(path: Path, primaries: int, transfer: int, image: Image.Image) -> None:
    """An AVIF whose colours are to be read by other numbers than it was written with, as a camera's encoder would say them."""
    image.save(path, "AVIF", quality=95, speed=10)
    data = path.read_bytes()
    at = data.index(b"colrnclx") + 8
    path.write_bytes(data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :])


@pytest.mark.parametrize(("transfer", "name", "paper"), [(16, "PQ", 148), (18, "HLG", 192)])
def test_hdr_shows_paper_as_white_and_grey_as_grey(tmp_path: Path, transfer: int, name: str, paper: int) -> None:
    """BT.2408: a sheet of paper is at 58 % of PQ's and 75 % of HLG's scale; unconverted, it would be grey."""
    path = tmp_path / "hdr.avif"
    coded(path, 9, transfer, halves((paper,) * 3, (paper // 2,) * 3))

    left, right = shown(path)

    assert images.describe(path).metadata["hdr"] == name
    assert min(left) > 235
    assert max(left) - min(left) < 8
    assert 40 < right[0] < 200
    assert max(right) - min(right) < 8


def test_display_p3_by_number_is_converted_like_the_profile(tmp_path: Path) -> None:
    path = tmp_path / "p3.avif"
    coded(path, 12, 13, halves())

    left, _ = shown(path)

    assert left[0] > RED[0] + 8
    assert left[1] < RED[1]


@pytest.mark.parametrize(("depth", "white"), [("uchar", 255), ("ushort", 65535)])
def test_transparent_hdr_stands_on_white(depth: str, white: int) -> None:
    grey = pyvips.Image.black(400, 200, bands=3) + white / 3
    mask = (pyvips.Image.xyz(400, 200)[0] < 200) / 255 * white
    picture = grey.bandjoin(mask).cast(depth).copy(interpretation="srgb" if depth == "uchar" else "rgb16")

    seen = as_shown(picture.copy_memory(), Coding(primaries=9, transfer=16))

    assert max(seen(20, 50)) < 120
    assert min(seen(380, 50)) > 250
