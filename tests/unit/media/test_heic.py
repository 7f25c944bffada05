"""Photos of phones."""

from __future__ import annotations

from pathlib import Path

import pytest
import pyvips
from heif import heic, nclx
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.images import images
from kayan_workers.media.rendition import Rendition
from PIL import ExifTags, Image

RED, GREEN = (220, 20, 20), (20, 160, 20)


def halves(size: tuple[int, int] = (1600, 800)) -> Image.Image:
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, (size[0] // 2, 0, *size))
    return image


def shown(path: Path) -> tuple[tuple[int, int], tuple[int, int, int], tuple[int, int, int]]:
    """Size and the colours of both halves of the thumbnail."""
    to = path.with_name("small.jpg")
    [size] = images.render(path, [Rendition(to=to, box=(200, 200), quality=95)])
    small = Image.open(to)
    return size, small.getpixel((20, 50)), small.getpixel((180, 50))  # type: ignore[return-value]


def near(got: tuple[int, int, int], expected: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 15 for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_a_phones_photo_is_upright_once_however_it_was_held(tmp_path: Path, ffmpeg: Ffmpeg, quarter_turns: int) -> None:
    """The container says how to turn it, and the EXIF beside it says so again."""
    turn_back = {0: None, 1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}[quarter_turns]
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Apple", "iPhone 15 Pro"
    exif[ExifTags.Base.Orientation] = {0: 1, 1: 8, 2: 3, 3: 6}[quarter_turns]
    path = tmp_path / "IMG_0001.HEIC"
    stored = halves().transpose(turn_back) if turn_back is not None else halves()
    path.write_bytes(heic(stored, ffmpeg, quarter_turns=quarter_turns, exif=exif.tobytes().removeprefix(b"Exif\0\0")))

    facts = images.describe(path)

    assert (facts.width, facts.height) == (1600, 800)
    assert facts.details["camera"] == "Apple iPhone 15 Pro"
    size, left, right = shown(path)
    assert size == (200, 100)
    assert near(left, RED)
    assert near(right, GREEN)


def test_a_phones_wide_colours_are_converted(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    srgb = pyvips.Image.new_from_memory(halves().tobytes(), 1600, 800, 3, "uchar").copy(interpretation="srgb")
    wide = srgb.icc_transform("p3", input_profile="srgb")
    profile = bytes(wide.get("icc-profile-data"))
    path = tmp_path / "wide.heic"
    path.write_bytes(heic(Image.frombytes("RGB", (1600, 800), wide.write_to_memory()), ffmpeg, colour=b"prof" + profile))

    assert images.describe(path).metadata["iccProfile"]
    assert near(shown(path)[1], RED)


def test_a_phones_hdr_shows_paper_as_white(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / "hdr.heic"
    path.write_bytes(heic(Image.new("RGB", (400, 200), (192,) * 3), ffmpeg, colour=nclx(9, 18)))

    assert images.describe(path).metadata["hdr"] == "HLG"
    assert min(shown(path)[1]) > 225


def test_a_phones_photo_that_breaks_off_is_damaged(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / "cut.heic"
    path.write_bytes(heic(halves(), ffmpeg)[:-300])

    with pytest.raises(PermanentError, match="the HEIC picture is damaged or incomplete"):
        images.describe(path)


def test_a_size_that_only_the_header_knows_is_refused_before_memory_is_taken_for_it(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    path = tmp_path / "bomb.heic"
    small = heic(halves((64, 64)), ffmpeg)
    size = b"ispe" + bytes(4)
    path.write_bytes(small.replace(size + (64).to_bytes(4, "big") * 2, size + (30_000).to_bytes(4, "big") * 2))

    with pytest.raises(PermanentError, match="30000x30000 pixels, more than the 54 million that are opened here of HEIC"):
        images.describe(path)
