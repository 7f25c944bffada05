from __future__ import annotations

import gzip
import io
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kayan_workers.demo.samples import make_samples
from kayan_workers.media.sniff import sniff
from PIL import Image

PACKED = io.BytesIO()
with zipfile.ZipFile(PACKED, "w") as _file:
    _file.writestr(zipfile.ZipInfo("a.txt"), "a")


def test_every_sample_is_what_it_says(tmp_path: Path) -> None:
    found = {sample.path.name: sniff(sample.path).name for sample in make_samples(tmp_path)}

    assert found == {
        "Stand photo.jpg": "JPEG", "logo.png": "PNG", "render.webp": "WebP", "print.tif": "TIFF", "turning.gif": "GIF", "plan.svg": "SVG",
        "Proposal.pdf": "PDF", "Brief.docx": "DOCX", "notes.txt": "text", "leads.csv": "text", "tent.glb": "GLB", "poster.psd": "PSD",
        "walkthrough.mp4": "MP4", "phone.mov": "QuickTime", "blink.mp4": "MP4", "silent.webm": "Matroska", "jingle.mp3": "MP3",
        "signal.wav": "WAV",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "unknown"),
        (b"\0" * 100, "unknown"),
        (PACKED.getvalue(), "ZIP"),
        (PACKED.getvalue()[:30], "ZIP"),
        (b"<!DOCTYPE html><html></html>", "HTML"),
        (b'<?xml version="1.0"?>\n<!-- by hand --><svg xmlns="x"/>', "SVG"),
        (b"<!---->" * 500 + b"<svg/>", "SVG"),
        (b"plain words about <svg> pictures", "text"),
        (b'<?xml version="1.0"?>\r\n<COLLADA xmlns="c" version="1.4.1"/>', "COLLADA"),
        (b'<?xml version="1.0"?><!DOCTYPE X3D PUBLIC "a" "b"><X3D profile="Immersive"/>', "X3D"),
        (b"ISO-10303-21;\nHEADER;\n", "STEP"),
        (b"A letter about ISO-10303-21;\n", "text"),
        (b"; FBX 7.3.0 project file\n", "FBX"),
        (b"#VRML V2.0 utf8\n", "VRML"),
        (b"#usda 1.0\n", "USD"),
        (b"made by hand".ljust(72) + b"S      1\r\n", "IGES"),
        (b" " * 72 + b"S0000001\n", "IGES"),
        (b"words of a letter".ljust(72) + b"So many 1\n", "text"),
        ("\xff\xfe\xff\x0e".encode("latin-1") + "SketchUp Model".encode("utf-16-le"), "SketchUp"),
        (b"0\nSECTION\n2\nHEADER\n", "DXF"),
        (b"  0\r\nSECTION\r\n  2\r\nENTITIES\r\n", "DXF"),
        (b"999\nmade by hand\n999\n\n  0\nSECTION\n  2\nHEADER\n", "DXF"),
        (b"AutoCAD Binary DXF\r\n\x1a\0\0\0SECTION\0", "DXF"),
        (b"0\nSECTION one of the letter\n2\n", "text"),
        (b"AC1015\0\0\0\0\0\6\1", "DWG"),
        (b"AC1032\0\0\0\0\0\1\3", "DWG"),
        (b"AC1015 is the number of the cable", "text"),
        (b"BLENDER-v300" + b"\0" * 9, "Blender"),
        (b"BLENDER_V279" + b"\0" * 9, "Blender"),
        (b"BLENDER17-01v0500" + b"\0" * 9, "Blender"),
        (gzip.compress(b"BLENDER-v279" + b"\0" * 500, mtime=0), "Blender"),
        (gzip.compress(b"words of a letter", mtime=0), "gzip"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"(\xb5/\xfd\x24\x10" + b"\0" * 9, "Zstandard"),
        (b"BLENDERS and mixers", "text"),
        (b"QC4DC4D6" + b"\0" * 9, "Cinema 4D"),
        (b"MM\x16\0\0\0\x02\0\x0a\0\0\0\x03\0\0\0\x3d\x3d\6\0\0\0", "3DS"),
        (b"MM\0*\0\0\0\x08\0\1" + b"\0" * 20, "TIFF"),
        (b"FORM\0\0\0\x40LWO2TAGS", "LightWave"),
        (b"FORM\0\0\0\x40AIFFCOMM", "AIFF"),
        (b"PXR-USDC\0\x08\0\0", "USD"),
        (b"3D Geometry File Format        5\1\0", "Rhino"),
        (b"Version 9.5 JT  DM 6.4.2.0" + b" " * 54 + b"\0\x69", "JT"),
        (b"Version 9.5 of the plan", "text"),
        (b"**ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz****", "Parasolid"),
        (b"700 0 1 0 \n16 Autodesk AutoCAD 19 ASM 223.0.1.1930 NT 24 Fri Jan  1 12:00:00 2021 \n", "ACIS"),
        (b"400 0 1 0\r\n@8 Kayan CAD @8 ACIS 4.0 @24 Fri Jan  1 12:00:00 2021\r\n", "ACIS"),
        (b"ACIS BinaryFile\x04\0", "ACIS"),
        (b"12 0 1 0\n5 kinds of stand\n", "text"),
        ("نص عربي".encode(), "text"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + b"\0" * 20, "AVIF"),
        (b"<html><body><svg xmlns='x'></svg></body></html>", "HTML"),
        (b"<p>A page that shows an <svg></svg></p>", "text"),
        (b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd" [<!ENTITY a "<b>">]>\n<svg xmlns="x"/>', "SVG"),
        (b'\xef\xbb\xbf<svg:svg xmlns:svg="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG2000"),
        (b"v/1\x01\2\0\0\0channels\0", "OpenEXR"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR"),
        (b"gimp xcf v011\0", "XCF"),
        (b"AT&TFORM\0\0\1\0DJVUINFO", "DjVu"),
        (b"\xd7\xcd\xc6\x9a\0\0" + bytes(20), "WMF"),
        (b"\1\0\0\0\x6c\0\0\0" + bytes(32) + b" EMF" + bytes(20), "EMF"),
        (bytes(128) + b"DICM\2\0", "DICOM"),
        (b"AC1032\0\0\0\0\0" + bytes(20), "DWG"),
        (b"AC1032 is the air conditioning of hall 10", "text"),
        (b"icns are what a Mac shows of a program", "text"),
        (b"RIFF\0\x10\0\0CDR8vrsn", "CDR"),
        (b"RIFF\0\x10\0\0cdr6vrsn", "CDR"),
        ((b"\0\0\0\0\x47" + bytes(187)) * 3, "MPEG-TS"),
        (b"II*\0\x10\0\0\0CR\2\0" + b"\0" * 20, "camera raw"),
        (b"II*\0\x08\0\0\0\2\0" + b"\0\1\3\0\1\0\0\0\x10\0\0\0" + b"\x12\xc6\1\0\4\0\0\0\1\4\0\0", "camera raw"),
        (b"II*\0\x08\0\0\0\1\0" + b"\0\1\3\0\1\0\0\0\x10\0\0\0", "TIFF"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + b"\0" * 20, "camera raw"),
        (b".snd\0\0\0\x20\0\1\x58\x88", "AU"),
        (b"DSD \x1c\0\0\0\0\0\0\0", "DSF"),
        (b"DSD reports of the first quarter", "text"),
        (b"\x7f\xfe\x80\x01\xfc\x3c", "DTS"),
        (b"\x1f\x07\0\xbf\xf8\x78", "DV"),
        (b"\0\0\0\0\1\xbc\0\0\1\x5c", "GXF"),
        (b"\xa0\x3a\xff\xd8\xf8\x72\x6f\xba", "TrueHD"),
        (b"\x06\x0e\x2b\x34\2\5\1\1\x0d\1\2\1", "MXF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 20, "HEIC"),
    ],
)
def test_content_decides(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(content)

    assert sniff(path).name == name


@pytest.mark.parametrize("grey", [6, 32, 97, 128, 255])
def test_a_picture_of_one_grey_is_not_taken_for_text_of_two_bytes_a_letter(tmp_path: Path, grey: int) -> None:
    Image.new("RGB", (200, 200), (grey, grey, grey)).save(tmp_path / "grey.bmp")

    assert sniff(tmp_path / "grey.bmp").name == "BMP"


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<!--" + b"licence " * 4500 + b"--><svg/>", "SVG"),
        (b"\xef\xbb\xbf\n<?xml version='1.0'?><!--" + b"licence " * 4500 + b"--><svg/>", "SVG"),
        (b'{"accessors": [' + b'{"count": 3}, ' * 3000 + b'{}], "asset": {"version": "2.0"}, "meshes": []}', "glTF"),
        (b"<!--" + b"licence " * 4500 + b"--><p>words</p>", "text"),
        (b"<!--" + b"licence " * 10_000 + b"--><svg/>", "text"),
    ],
)
def test_a_long_beginning_hides_no_drawing_or_scene_within_64_kb(tmp_path: Path, content: bytes, name: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert sniff(path).name == name


@pytest.mark.parametrize(
    "text",
    [
        b"<!---->" * 100_000, b"<??>" * 100_000, b"<!DOCTYPE" + b" " * 700_000, b"<!DOCTYPE a [" + b"] " * 300_000, b"<!--" * 100_000,
        b'{"asset":{' + b"{}" * 100_000, b'{"asset":{},' * 10_000, b'{"asset":{{}' * 10_000,
    ],
)  # fmt: skip
def test_what_stands_before_a_root_is_passed_in_one_go(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "file.svg"
    path.write_bytes(text)

    began = time.process_time()
    sniff(path)

    assert time.process_time() - began < 1


EXTRAS = b'{"asset": {"extras": {"author": "A", "licence": "{}"}, "version": "2.0"}, "meshes": []}'


@pytest.mark.parametrize(
    ("content", "is_scene"),
    [
        (b'{"asset": {"version": "2.0"}}', True),
        (b'\xef\xbb\xbf{"scenes": [], "asset": {"generator": "x", "version": "1.0"}}', True),
        (EXTRAS, True),
        (EXTRAS[:-3], True),
        (EXTRAS[:-2] + b'"' + b"x" * 100_000 + b'"]}', True),
        (b'{"asset": null, "meshes": null, "scenes": null}', False),
        (b'{"asset": "logo.png", "scenes": ["intro"], "buffers": 3}', False),
        (b'{"name": "site", "version": "2.0.1", "asset": {"path": "a"}, "scenes": []}', False),
        (b'{"document": {"asset": {"version": "2.0"}}, "meshes": []}', False),
        (b'{"asset": {"version": "3"}, "meshes": []}', False),
        (b'{"asset": {"path": "a"}, "meshes": {"version": "2.0"}, ' + b" " * 100_000, False),
        (b'{"asset":' * 20_000, False),
    ],
)
def test_a_scene_is_known_by_the_version_of_its_asset(tmp_path: Path, content: bytes, is_scene: bool) -> None:
    (tmp_path / "file").write_bytes(content)

    assert sniff(tmp_path / "file").name == ("glTF" if is_scene else "text")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(content=st.binary(max_size=300), start=st.sampled_from([b"", b"PK\x03\x04", b"RIFF", b"\0\0\0\x20ftyp", b"8BPS", b"BM", b"\xff"]))
def test_no_content_makes_it_stumble(tmp_path: Path, content: bytes, start: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(start + content)

    assert sniff(path).mime
