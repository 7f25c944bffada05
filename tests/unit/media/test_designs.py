from __future__ import annotations

import http.server
import io
import struct
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kayan_workers.demo.samples import pdf, picture, psd
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.designs import designs
from kayan_workers.media.examine import examine
from kayan_workers.media.file_type import FileType
from kayan_workers.media.pictures import picture as picture_of
from kayan_workers.media.rendition import Rendition
from numpy.typing import NDArray
from PIL import Image


def test_a_photoshop_file_tells_canvas_layers_and_colours(tmp_path: Path) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(psd(picture((240, 160)), layers=3))

    facts = designs.describe(path)

    assert (facts.width, facts.height) == (240, 160)
    assert facts.metadata["layers"] == 3
    assert facts.metadata["colorSpace"] == "rgb"
    assert facts.details["bitDepth"] == 8


@pytest.mark.parametrize("length", [10, 26, 34, 40])
def test_a_photoshop_file_that_breaks_off_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(psd(picture((240, 160)), layers=3)[:length])

    with pytest.raises(PermanentError, match="PSD"):
        designs.describe(path)


def test_a_drawing_tells_canvas_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "plan.svg"
    groups = '<g><g/></g><path d="M0 0h9"/>'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="420" height="297" viewBox="0 0 42 30">{groups}</svg>')

    facts = designs.describe(path)

    assert facts.metadata["canvas"] == {"width": 420, "height": 297, "viewBox": "0 0 42 30"}
    assert facts.metadata["layers"] == 2


def test_an_illustrator_file_is_the_pdf_inside_it(tmp_path: Path) -> None:
    path = tmp_path / "logo.ai"
    path.write_bytes(pdf(["a", "b"], title="Logo"))

    facts = designs.describe(path)

    assert (facts.width, facts.height) == (595, 842)
    assert facts.metadata["artboards"] == 2
    assert facts.metadata["title"] == "Logo"


def test_what_is_no_design_is_called_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(b"GIF89a" + b"\0" * 100)

    with pytest.raises(PermanentError, match="GIF"):
        designs.describe(path)


Plane = NDArray[np.generic]


def shown(path: Path, file_type: FileType = FileType.DESIGN) -> Image.Image:
    """The preview that a job would make of the file."""
    to = path.with_name("preview.jpg")
    picture_of(path, file_type, [Rendition(to=to, box=(800, 600), quality=90)], Ffmpeg("no-ffmpeg"))
    with Image.open(to) as opened:
        return opened.convert("RGB")


def packed(row: bytes) -> bytes:
    """PackBits, in literal pieces."""
    return b"".join(bytes([len(row[at : at + 128]) - 1]) + row[at : at + 128] for at in range(0, len(row), 128))


def photoshop(
    planes: list[Plane], *, mode: int, depth: int = 8, version: int = 1, pack: bool = True, palette: bytes = b"", layers: bytes = b"",
    resources: bytes = b"",
) -> bytes:  # fmt: skip
    """A PSD (version 1) or PSB (2) whose merged picture has the given channels; ``layers`` is the content of its layer section."""
    height, width = planes[0].shape if depth > 1 else (planes[0].shape[0], planes[0].shape[1] * 8)
    head = b"8BPS" + struct.pack(">H6xHIIHH", version, len(planes), height, width, depth, mode)
    head += struct.pack(">I", len(palette)) + palette + struct.pack(">I", len(resources)) + resources
    head += struct.pack(">Q" if version == 2 else ">I", len(layers)) + layers
    if not pack:
        return head + struct.pack(">H", 0) + b"".join(plane.tobytes() for plane in planes)
    rows = [packed(row.tobytes()) for plane in planes for row in plane]
    return head + struct.pack(">H", 1) + struct.pack(f">{len(rows)}{'I' if version == 2 else 'H'}", *map(len, rows)) + b"".join(rows)


def halves(left: int, right: int, kind: str = "u1") -> Plane:
    """One channel, 96 x 40: one value on the left and another on the right."""
    plane = np.full((40, 96), left, kind)
    plane[:, 48:] = right
    return plane


RED_BLUE = [halves(200, 20), halves(30, 60), halves(40, 190)]
FINE = [(plane.astype(">u2") * 257).astype(">u2") for plane in RED_BLUE]
LIGHT = [((plane / 255.0) ** 2.2).astype(">f4") for plane in RED_BLUE]
INK = [255 - halves(50, 240), 255 - halves(240, 190), 255 - halves(230, 40), 255 - halves(10, 10)]
PALETTE = bytes([200, 20]).ljust(256, b"\0") + bytes([30, 60]).ljust(256, b"\0") + bytes([40, 190]).ljust(256, b"\0")


@pytest.mark.parametrize(
    "content",
    [
        photoshop(RED_BLUE, mode=3),
        photoshop(RED_BLUE, mode=3, pack=False),
        photoshop(RED_BLUE, mode=3, version=2),
        photoshop(RED_BLUE, mode=3, version=2, pack=False),
        photoshop(FINE, mode=3, depth=16),
        photoshop(FINE, mode=3, depth=16, version=2),
        photoshop(LIGHT, mode=3, depth=32, pack=False),
        photoshop([*RED_BLUE, halves(0, 0)], mode=3),
        photoshop(INK, mode=4),
        photoshop(INK, mode=4, version=2),
        photoshop([halves(0, 1)], mode=2, palette=PALETTE),
    ],
    ids=["psd", "psd raw", "psb", "psb raw", "psd 16", "psb 16", "psd 32", "with a mask", "cmyk", "psb cmyk", "indexed"],
)
@pytest.mark.parametrize("file_type", [FileType.DESIGN, FileType.IMAGE, FileType.OTHER])
def test_the_merged_picture_of_a_photoshop_file_is_shown(tmp_path: Path, content: bytes, file_type: FileType) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(content)

    page = shown(path, file_type)
    found = examine(path, file_type, Ffmpeg("no-ffmpeg")).facts

    left, right = page.getpixel((20, 20)), page.getpixel((76, 20))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    assert page.size == (found.width, found.height) == (96, 40)
    assert left[0] > left[2] + 80
    assert right[2] > right[0] + 80


@pytest.mark.parametrize(
    ("plane", "mode", "depth"), [(halves(20, 230), 1, 8), (np.packbits(halves(1, 0), axis=1), 0, 1), (halves(20, 230), 8, 8)]
)
def test_a_photoshop_file_without_colours_is_shown_the_right_way_round(tmp_path: Path, plane: Plane, mode: int, depth: int) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(photoshop([plane], mode=mode, depth=depth))

    grey = shown(path).convert("L")

    assert int(grey.getpixel((20, 20))) < 60  # type: ignore[arg-type]
    assert int(grey.getpixel((76, 20))) > 200  # type: ignore[arg-type]


def record(name: str, *, divider: int | None = None, hidden: bool = False, wide: bool = False) -> bytes:
    """A layer as Photoshop lists it: its short name, its whole name, and whether it begins or ends a group."""
    extra = struct.pack(">II", 0, 0) + b"\1?\0\0"
    extra += b"8BIMluni" + struct.pack(">II", 4 + 2 * len(name), len(name)) + name.encode("utf-16-be")
    if divider is not None:
        extra += b"8BIMlsct" + struct.pack(">II", 4, divider)
    channels = struct.pack(">H", 1) + bytes(10 if wide else 6)
    return bytes(16) + channels + b"8BIMnorm" + bytes((255, 0, 2 * hidden, 0)) + struct.pack(">I", len(extra)) + extra


def listed(*, wide: bool = False, late: bool = False) -> bytes:
    """Bottom to top, as they stand in the file: a background, and a group with a hidden logo in it."""
    records = [
        record("خلفية", wide=wide), record("</Layer group>", divider=3, wide=wide), record("Logo", hidden=True, wide=wide),
        record("مجموعة", divider=1, wide=wide),
    ]  # fmt: skip
    info = struct.pack(">h", -len(records)) + b"".join(records)
    code = ">Q" if wide else ">I"
    if not late:
        return struct.pack(code, len(info)) + info + struct.pack(">I", 0)
    return struct.pack(code, 0) + struct.pack(">I", 0) + b"8BIMLr16" + struct.pack(code, len(info)) + info


@pytest.mark.parametrize(("version", "late"), [(1, False), (2, False), (1, True), (2, True)])
def test_layers_are_told_by_name_with_their_groups(tmp_path: Path, version: int, late: bool) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(photoshop(RED_BLUE, mode=3, version=version, layers=listed(wide=version == 2, late=late)))

    found = designs.describe(path).metadata

    assert found["layers"] == 3
    assert found["layerNames"] == [
        {"name": "مجموعة", "kind": "group", "depth": 0},
        {"name": "Logo", "kind": "layer", "hidden": True, "depth": 1},
        {"name": "خلفية", "kind": "layer", "depth": 0},
    ]


def resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">H", number) + b"\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)


def test_a_photoshop_file_saved_without_its_merged_picture_shows_the_small_one(tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (200, 20, 20)).save(small := io.BytesIO(), "JPEG")
    empty = resource(1057, struct.pack(">IB", 1, 0))
    path = tmp_path / "poster.psd"
    path.write_bytes(photoshop(RED_BLUE, mode=3, resources=empty + resource(1036, bytes(28) + small.getvalue())))

    assert shown(path).size == (30, 20)

    path.write_bytes(photoshop(RED_BLUE, mode=3, resources=empty))
    with pytest.raises(PermanentError, match="carries no merged picture; save it with"):
        shown(path)
    assert examine(path, FileType.IMAGE, Ffmpeg("no-ffmpeg")).facts.width == 96


@pytest.mark.parametrize("cut", [1, 40, 500])
def test_a_merged_picture_that_breaks_off_is_said_to(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "poster.psd"
    path.write_bytes(photoshop(RED_BLUE, mode=3)[:-cut])

    with pytest.raises(PermanentError, match="breaks off"):
        shown(path)


def test_the_layers_of_an_inkscape_drawing_are_told_by_name(tmp_path: Path) -> None:
    path = tmp_path / "plan.svg"
    layer = '<g inkscape:groupmode="layer" inkscape:label="{}" style="{}"/>'
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" width="9" height="9"><g/>'
        + layer.format("جدران", "display:inline") + layer.format("Power", "display: none") + "</svg>"
    )  # fmt: skip

    found = designs.describe(path).metadata

    assert found["layers"] == 2
    assert found["layerNames"] == [{"name": "جدران", "kind": "layer"}, {"name": "Power", "kind": "layer", "hidden": True}]


SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{size}" height="{size}">{body}</svg>'


def test_a_drawing_of_illustrator_may_abbreviate_addresses(tmp_path: Path) -> None:
    path = tmp_path / "logo.svg"
    declared = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://127.0.0.1:1/svg11.dtd" [<!ENTITY ns_svg "http://www.w3.org/2000/svg">]>'
    path.write_text(declared + '<svg xmlns="&ns_svg;" width="9" height="9"><g/></svg>')

    assert designs.describe(path).metadata["layers"] == 1


@pytest.mark.parametrize(
    "declared",
    [
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">', '<!ENTITY x SYSTEM "file:///etc/hostname">',
        f'<!ENTITY x "{"a" * 100_000}">', '<!ENTITY % p "x">',
    ],
    ids=["multiplying", "reading a file", "long", "of a declaration"],
)
def test_a_drawing_that_declares_more_is_refused(tmp_path: Path, declared: str) -> None:
    path = tmp_path / "evil.svg"
    path.write_text(f"<!DOCTYPE svg [{declared}]>" + SVG.format(size=9, body="<g/>"))

    with pytest.raises(PermanentError, match=r"SVG|XML"):
        designs.describe(path)


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """An address where somebody listens, and what was asked for there."""
    asked: list[str] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/secret.png", asked
        listening.shutdown()


REFERENCES = {
    "image": '<image xlink:href="{0}" width="90" height="90"/>',
    "image of SVG 2": '<image href="{0}" width="90" height="90"/>',
    "use": '<use xlink:href="{0}#a"/>',
    "fill": '<rect width="90" height="90" fill="url({0}#a)"/>',
    "style": "<style>@import url({0}); rect {{ fill: url({0}#a) }}</style><rect width='90' height='90'/>",
    "stylesheet": '<?xml-stylesheet href="{0}" type="text/css"?><rect width="90" height="90"/>',
    "filter": '<filter id="f"><feImage xlink:href="{0}"/></filter><rect width="90" height="90" filter="url(#f)"/>',
    "font": '<style>@font-face {{ font-family: f; src: url({0}) }}</style><text y="50" font-family="f">x</text>',
    "include": '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{0}" parse="text"/>',
    "foreign": '<foreignObject width="90" height="90"><img xmlns="http://www.w3.org/1999/xhtml" src="{0}"/></foreignObject>',
}


@pytest.mark.parametrize("kind", REFERENCES)
def test_a_drawing_pulls_in_nothing_from_this_machine_or_the_net(tmp_path: Path, server: tuple[str, list[str]], kind: str) -> None:
    address, asked = server
    secret = tmp_path / "secret.png"
    Image.new("RGB", (90, 90), (255, 0, 0)).save(secret)
    path = tmp_path / "drawing.svg"

    for target in (address, f"file://{secret}", str(secret), "secret.png"):
        path.write_text(SVG.format(size=90, body=REFERENCES[kind].format(target)))
        designs.describe(path)
        colours = shown(path).getcolors(10_000) or []
        assert not any(isinstance(colour, tuple) and colour[0] > colour[1] + 60 for _, colour in colours), target

    assert asked == []


def test_a_drawing_that_uses_itself_a_million_times_ends(tmp_path: Path) -> None:
    path = tmp_path / "bomb.svg"
    groups = "".join(f'<g id="g{n}">' + f'<use xlink:href="#g{n - 1}"/>' * 10 + "</g>" for n in range(1, 9))
    path.write_text(SVG.format(size=90, body=f'<g id="g0"><rect width="9" height="9"/></g>{groups}<use xlink:href="#g8"/>'))

    with pytest.raises(PermanentError, match="SVG"):
        shown(path)


@pytest.mark.parametrize("size", ["-5", "0"])
def test_a_drawing_of_no_possible_size_is_refused(tmp_path: Path, size: str) -> None:
    path = tmp_path / "huge.svg"
    path.write_text(SVG.format(size=size, body="<g/>"))

    with pytest.raises(PermanentError, match="picture"):
        shown(path)


def test_a_package_of_another_program_is_named_and_shows_the_picture_it_carries(tmp_path: Path) -> None:
    Image.linear_gradient("L").save(drawn := io.BytesIO(), "PNG")
    packages = {
        "Sketch": {"document.json": b"{}", "meta.json": b"{}", "user.json": b"{}", "previews/preview.png": drawn.getvalue()},
        "XD": {"mimetype": b"application/vnd.adobe.sparkler.project+dcxucf", "preview.png": drawn.getvalue()},
        "Figma": {"canvas.fig": b"fig-kiwi", "thumbnail.png": drawn.getvalue()},
    }
    for name, members in packages.items():
        path = tmp_path / f"stand.{name.lower()}"
        with zipfile.ZipFile(path, "w") as file:
            for member, content in members.items():
                file.writestr(member, content)

        assert examine(path, FileType.DESIGN, Ffmpeg("no-ffmpeg")).facts.metadata == {"format": name, "inspected": False}
        assert shown(path).size == (256, 256)


@pytest.mark.parametrize(
    ("head", "name"), [(b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"), (b"\xc5\xd0\xd3\xc6", "PostScript"), (b"fig-kiwi", "Figma")]
)
def test_a_design_that_cannot_be_read_is_named(tmp_path: Path, head: bytes, name: str) -> None:
    path = tmp_path / "logo.eps"
    path.write_bytes(head + bytes(100))

    assert examine(path, FileType.DESIGN, Ffmpeg("no-ffmpeg")).facts.metadata == {"format": name, "inspected": False}


@pytest.mark.parametrize("length", [2**64 - 1, 2**62 - 1, 2**50])
def test_a_section_longer_than_any_file_breaks_off(tmp_path: Path, length: int) -> None:
    path = tmp_path / "stage.psb"
    head = b"8BPS" + struct.pack(">H6xHIIHH", 2, 3, 16, 16, 8, 3)
    path.write_bytes(head + struct.pack(">IIQ", 0, 0, length) + bytes(1000))

    with pytest.raises(PermanentError, match="breaks off"):
        designs.merged(path, tmp_path / "page")
