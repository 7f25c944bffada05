"""Pictures of every common format, right side up, and bad ones refused in words."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from kayan_workers.demo.samples import make_pictures, picture, psd
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.examine import examine
from kayan_workers.media.file_type import FileType
from kayan_workers.media.images import images
from kayan_workers.media.rendition import Rendition
from PIL import Image, ImageCms

RED, GREEN, WHITE = (220, 20, 20), (20, 160, 20), (255, 255, 255)
PICTURES = {
    "photo.jpg": {"format": "JPEG"}, "grey.jpg": {"mode": "L"}, "photo.png": {}, "palette.png": {"mode": "P"}, "deep.tif": {"mode": "I;16"},
    "photo.webp": {}, "photo.gif": {}, "photo.tif": {}, "photo.bmp": {}, "photo.ico": {}, "photo.avif": {}, "photo.jp2": {},
}  # fmt: skip


def shrink(source: Path, box: tuple[int, int] = (200, 200)) -> Image.Image:
    """One thumbnail of ``source``, as a viewer would open it."""
    to = source.with_name(f"{source.name}-small.jpg")
    [size] = images.render(source, [Rendition(to=to, box=box, quality=90)])
    made = Image.open(to)
    assert made.size == size
    return made


def near(colour: object, expected: tuple[int, int, int]) -> bool:
    got = colour if isinstance(colour, tuple) else (colour,) * 3
    return all(abs(a - b) < 30 for a, b in zip(got, expected, strict=True))


def halves(size: tuple[int, int] = (400, 200)) -> Image.Image:
    """Left half red, right half green."""
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, (size[0] // 2, 0, *size))
    return image


@pytest.mark.parametrize(("name", "how"), PICTURES.items(), ids=list(PICTURES))
def test_every_common_format_is_described_and_shrunk(tmp_path: Path, name: str, how: dict[str, str]) -> None:
    path = tmp_path / name
    scene = picture((256, 192))
    (scene.convert("L").convert("I;16") if how.get("mode") == "I;16" else scene.convert(how.get("mode", "RGB"))).save(path)

    facts = images.describe(path)

    size = (256, 192) if name != "photo.ico" else (facts.width, facts.height)
    assert (facts.width, facts.height) == size
    assert facts.details["colorSpace"]
    assert max(shrink(path, (100, 100)).size) == 100


@pytest.mark.parametrize("name", ["held.jpg", "held.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_upright_whatever_way_the_camera_was_held(tmp_path: Path, orientation: int, name: str) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    upright = halves()
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / name
    stored.save(path, exif=exif, quality=95)

    facts, small = images.describe(path), shrink(path)

    assert (facts.width, facts.height) == (400, 200)
    assert facts.custom["orientation"] == orientation
    assert small.size == (200, 100)
    assert near(small.getpixel((20, 50)), RED)
    assert near(small.getpixel((180, 50)), GREEN)
    assert not small.getexif().get(0x0112)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_turns_white_not_black(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "logo.png"
    logo = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    logo.paste((*RED, 255), (100, 100, 200, 200))
    logo.convert(mode).save(path)

    small = shrink(path)

    assert near(small.getpixel((10, 10)), WHITE)
    assert images.describe(path).metadata["hasAlpha"] is True


def test_a_print_file_in_cmyk_with_its_profile_comes_out_in_srgb(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    halves().convert("CMYK").save(path, quality=95)

    small = shrink(path)

    assert small.mode == "RGB"
    assert images.describe(path).details["colorSpace"] == "cmyk"
    red, green, _ = small.getpixel((20, 50))  # type: ignore[misc]
    assert red > green + 60


def test_colours_of_a_wide_profile_are_converted_and_the_profile_is_named(tmp_path: Path) -> None:
    path = tmp_path / "profile.jpg"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    halves().save(path, icc_profile=profile.tobytes(), quality=95)

    assert "sRGB" in str(images.describe(path).metadata["iccProfile"])
    assert near(shrink(path).getpixel((20, 50)), RED)
    assert "icc_profile" not in shrink(path).info


def test_camera_place_and_time_are_read(tmp_path: Path) -> None:
    photo = make_pictures(tmp_path)[0]

    facts = images.describe(photo.path)

    assert (facts.width, facts.height) == (1200, 1600)
    assert facts.details["camera"] == "Canon EOS R5"
    assert facts.details["shutterSpeed"] == "1/250"
    assert facts.details["aperture"] == 2.8
    assert facts.details["iso"] == 400
    assert facts.details["dpi"] == 300
    assert facts.details["gpsLat"] == pytest.approx(24.88)
    assert facts.details["gpsLng"] == pytest.approx(46.735)
    assert facts.custom["takenAt"] == "2025-11-24T10:05:07"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_camera_data_does_not_fail_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "odd.jpg"
    picture((64, 48)).save(path, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xee" * 40)

    assert images.describe(path).width == 64


def test_several_sizes_come_from_one_call_each_with_its_true_size(tmp_path: Path) -> None:
    path = tmp_path / "square.png"
    picture((2048, 2048)).save(path)
    boxes = [(200, 200), (800, 600), (1920, 1080), (640, 480)]
    wanted = [Rendition(to=tmp_path / f"{box[0]}.jpg", box=box, quality=80) for box in boxes]

    sizes = images.render(path, wanted)

    assert sizes == [(200, 200), (600, 600), (1080, 1080), (480, 480)]
    assert [Image.open(rendition.to).size for rendition in wanted] == sizes
    assert {Image.open(rendition.to).format for rendition in wanted} == {"JPEG"}


def test_a_small_picture_is_never_enlarged(tmp_path: Path) -> None:
    path = tmp_path / "icon.png"
    Image.new("RGB", (16, 12), RED).save(path)

    assert shrink(path, (1920, 1080)).size == (16, 12)


@pytest.mark.parametrize(
    ("size", "expected"), [((30_000, 1), (200, 1)), ((1, 30_000), (1, 200)), ((9_000, 2), (200, 1)), ((1, 1), (1, 1)), ((201, 3), (200, 3))]
)
@pytest.mark.parametrize("name", ["line.png", "line.jpg", "line.gif", "line.tif", "line.bmp"])
def test_extreme_shapes_keep_at_least_one_pixel(tmp_path: Path, name: str, size: tuple[int, int], expected: tuple[int, int]) -> None:
    path = tmp_path / name
    Image.new("RGB", size, RED).save(path)

    small = shrink(path)

    assert small.size == expected
    assert near(small.convert("RGB").getpixel((0, 0)), RED)


def test_an_icon_is_shown_by_its_largest_picture(tmp_path: Path) -> None:
    path = tmp_path / "favicon.ico"
    halves((256, 256)).save(path, sizes=[(16, 16), (32, 32), (256, 256)])

    facts = images.describe(path)

    assert (facts.width, facts.height) == (256, 256)
    assert near(shrink(path).getpixel((20, 100)), RED)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_a_picture_inside_an_icon_is_no_way_around_the_limit(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "favicon.ico"
    inside = bomb_png(30_000, 30_000) if kind == "PNG" else struct.pack("<IiiHH", 40, 30_000, 60_000, 1, 32) + bytes(24)
    path.write_bytes(struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inside), 22) + inside)

    with pytest.raises(PermanentError, match=r"30000x30000 pixels, more than the 54 million .* of ICO.*export it smaller"):
        images.describe(path)


def test_a_floor_plan_in_millimetres_is_drawn_however_wide_it_says_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hall.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="84100mm" height="42050mm" viewBox="0 0 400 200">'
        '<rect width="200" height="200" fill="rgb(220,20,20)"/></svg>'
    )

    assert shrink(path).size == (200, 100)
    assert near(shrink(path).getpixel((50, 50)), RED)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.bmp", "a.avif"])
def test_what_stands_behind_a_pictures_end_is_ignored_as_browsers_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    halves().save(path)
    path.write_bytes(path.read_bytes() + b"<?php evil(); ?>" * 200)

    assert images.describe(path).width == 400
    assert near(shrink(path).convert("RGB").getpixel((20, 50)), RED)


def test_a_wrong_checksum_of_a_png_chunk_that_is_no_pixels_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    halves().save(path, dpi=(300, 300))
    data = path.read_bytes()
    at = data.index(b"pHYs") + 13
    path.write_bytes(data[:at] + b"\0\0\0\0" + data[at + 4 :])

    assert near(shrink(path).getpixel((20, 50)), RED)


def test_a_png_that_does_not_begin_with_its_header_is_damaged_and_not_without_area(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)

    with pytest.raises(PermanentError, match="damaged"):
        images.describe(path)


def test_a_picture_in_a_format_that_is_not_read_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "new.jxl"
    path.write_bytes(b"\xff\x0a" + b"\0" * 50)

    with pytest.raises(PermanentError, match=r"not a picture we can read .JPEG, PNG, .*HEIC.*: its content is JPEG XL .* export it as one"):
        images.describe(path)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\xff\x0a" + bytes(50), "JPEG XL"),
        (b"FUJIFILMCCD-RAW " + bytes(50), "camera raw"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n", "PostScript"),
        (b"AC1032" + bytes(50), "DWG"),
    ],
)
def test_a_picture_in_a_format_that_is_not_read_is_stored_as_it_is_whatever_the_browser_calls_it(
    tmp_path: Path, content: bytes, name: str
) -> None:
    path = tmp_path / "picture"
    path.write_bytes(content)

    for file_type in (FileType.IMAGE, FileType.OTHER):
        assert examine(path, file_type, Ffmpeg("no-ffmpeg")).facts.metadata == {"format": name, "inspected": False}


def test_an_animation_counts_its_frames_and_gives_one(tmp_path: Path) -> None:
    path = next(sample.path for sample in make_pictures(tmp_path) if sample.path.suffix == ".gif")

    assert images.describe(path).metadata["frames"] == 4
    assert shrink(path).size == (160, 120)


@pytest.mark.parametrize("name", ["moving.webp", "moving.avif", "pages.tif"])
def test_every_moving_or_many_paged_format_gives_its_first_picture(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    frames = [Image.new("RGB", (64, 48), colour) for colour in (RED, GREEN, WHITE)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)

    assert images.describe(path).metadata["frames"] == 3
    assert near(shrink(path).getpixel((32, 24)), RED)


@pytest.mark.parametrize("mode", ["16-bit", "LAB", "CMYK"])
def test_print_and_scan_formats_come_out_in_the_colours_they_show(tmp_path: Path, mode: str) -> None:
    """libvips writes the scan, Pillow judges what became of it."""
    import pyvips

    path = tmp_path / "scan.tif"
    source = pyvips.Image.new_from_memory(halves().tobytes(), 400, 200, 3, "uchar").copy(interpretation="srgb")
    source.colourspace({"16-bit": "rgb16", "LAB": "lab", "CMYK": "cmyk"}[mode]).tiffsave(str(path))

    small = shrink(path)

    assert near(small.getpixel((20, 50)), RED)
    assert small.mode == "RGB"


def test_the_merged_picture_of_a_photoshop_file_is_shrunk(tmp_path: Path) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(psd(halves(), layers=1))

    assert near(shrink(path).getpixel((20, 50)), RED)


def test_a_drawing_never_reaches_for_other_files(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100), RED).save(tmp_path / "secret.png")
    drawing = tmp_path / "drawing.svg"
    drawing.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="200" height="100">'
        f'<image href="file://{tmp_path}/secret.png" width="100" height="100"/>'
        '<image xlink:href="secret.png" x="100" width="100" height="100"/></svg>'
    )

    small = shrink(drawing)

    assert near(small.getpixel((50, 50)), WHITE)
    assert near(small.getpixel((150, 50)), WHITE)


def test_a_drawing_whose_entities_multiply_is_refused_and_not_expanded(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "x" * 10}">' for n in range(9))
    bomb = tmp_path / "bomb.svg"
    bomb.write_text(f'<!DOCTYPE svg [{entities}]><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text>&e8;</text></svg>')

    with pytest.raises(PermanentError, match="SVG"):
        images.describe(bomb)


def bomb_png(width: int, height: int) -> bytes:
    """A PNG that promises many pixels and holds none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2**31 - 1, 2)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(bomb_png(width, height))

    with pytest.raises(PermanentError, match=f"the picture has {width}x{height} pixels, more than the 268 million .*; export it smaller"):
        images.describe(path)


def header_of(name: str, width: int, height: int, tmp_path: Path) -> bytes:
    """The start of a small picture whose header claims another size."""
    small = tmp_path / f"small-{name}"
    size = (64, 48)
    picture(size).save(small, progressive=name.startswith("progressive"), **({"speed": 10} if name.endswith("avif") else {}))
    if name.startswith("interlaced"):
        png = small.read_bytes()
        ihdr = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
        return png[:16] + ihdr + struct.pack(">I", zlib.crc32(b"IHDR" + ihdr)) + png[33:]
    old, new = {
        "jpg": (struct.pack(">HH", 48, 64), struct.pack(">HH", height, width)),
        "gif": (struct.pack("<HH", 64, 48), struct.pack("<HH", width, height)),
        "jp2": (struct.pack(">II", 48, 64), struct.pack(">II", height, width)),
        "bmp": (struct.pack("<ii", 64, 48), struct.pack("<ii", width, height)),
        "avif": (b"ispe" + bytes(4) + struct.pack(">II", 64, 48), b"ispe" + bytes(4) + struct.pack(">II", width, height)),
    }[name.rpartition(".")[2]]
    data = small.read_bytes()
    assert old in data
    return data.replace(old, new)


@pytest.mark.parametrize(
    ("name", "size", "limit"),
    [("progressive.jpg", (20_000, 13_000), "150 million that are opened here of a progressive JPEG"),
     ("interlaced.png", (20_000, 13_000), "200 million that are opened here of an interlaced PNG"),
     ("a.gif", (20_000, 13_000), "100 million that are opened here of a GIF"),
     ("a.bmp", (20_000, 13_000), "20000x13000 pixels, more than the 54 million that are opened here of BMP"),
     ("a.jp2", (20_000, 13_000), "20000x13000 pixels, more than the 27 million that are opened here of JPEG2000"),
     ("a.avif", (8_000, 7_000), "40 million that are opened here of an AVIF")],
)  # fmt: skip
def test_what_has_to_stand_in_memory_whole_is_refused_where_a_stream_would_do(
    tmp_path: Path, name: str, size: tuple[int, int], limit: str
) -> None:
    path = tmp_path / name
    path.write_bytes(header_of(name, *size, tmp_path))

    with pytest.raises(PermanentError, match=f"({limit}).*export it smaller"):
        images.describe(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.tif", "a.bmp", "a.avif", "a.jp2"])
def test_a_picture_that_breaks_off_is_damaged_not_half_shown(tmp_path: Path, name: str, share: float) -> None:
    """Browsers show the part that is there; here it means that the upload failed, and somebody wants to know."""
    path = tmp_path / name
    picture((640, 480)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    for work in (images.describe, shrink):
        with pytest.raises(PermanentError, match="damaged or incomplete"):
            work(path)


@pytest.mark.parametrize(("content", "real"), [(b"hello, not a picture", "text"), (b"%PDF-1.4\n", "PDF"), (b"\0" * 500, "no known format")])
def test_a_file_that_is_no_picture_is_called_what_it_is(tmp_path: Path, content: bytes, real: str) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(content)

    with pytest.raises(PermanentError, match=real):
        images.describe(path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_not_the_pictures_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    picture((640, 480)).save(path)

    with pytest.raises(TemporaryError, match="disk"):
        images.render(path, [Rendition(to=Path("/dev/full"), box=(600, 600), quality=90)])


def test_a_jpeg_named_png_is_read_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    picture((64, 48)).save(path, format="JPEG")

    assert images.describe(path).metadata["format"] == "JPEG"
