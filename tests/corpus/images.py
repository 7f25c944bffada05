"""Pictures of every format and in every shape that cameras, printers, browsers and designers make."""

from __future__ import annotations

import struct
import tempfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pyvips
from corpus.files import Files, run_ffmpeg, saved, zipped
from heif import heic
from kayan_workers.demo.samples import picture, psd
from kayan_workers.ffmpeg import Ffmpeg
from PIL import Image, ImageDraw

SHAPE = (240, 180)
ORIENTATION = 0x0112
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip
"""How a camera held that way stores an upright scene."""


def make() -> Files:
    return {
        **_jpeg(), **_png(), **_webp(), **_gif(), **_tiff(), **_heif(), **_svg(), **_others(), **_orientations(), **_strangers(),
    }  # fmt: skip


@cache
def scene(size: tuple[int, int] = SHAPE) -> Image.Image:
    return picture(size)


def logo(size: tuple[int, int] = SHAPE) -> Image.Image:
    """A disc on nothing."""
    image = Image.new("RGBA", size, (255, 255, 255, 0))
    ImageDraw.Draw(image).ellipse((20, 20, size[0] - 20, size[1] - 20), fill=(200, 30, 60, 255))
    return image


def vips(image: Image.Image) -> Any:
    return pyvips.Image.new_from_memory(image.tobytes(), *image.size, len(image.getbands()), "uchar").copy(interpretation="srgb")


def _jpeg() -> Files:
    photo = scene()
    plain = saved(photo, "JPEG", quality=85)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x013B] = "Apple", "iPhone 15 Pro", "منى"
    exif.get_ifd(0x8769).update({0x9003: "2025:11:24 10:05:07", 0x8827: 64, 0xA434: "iPhone 15 Pro back camera 6.765mm f/1.78"})
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 52.0, 4.0), 3: "W", 4: (70.0, 30.0, 0.0)})
    colours = vips(photo)
    return {
        "photo.jpg": plain,
        "progressive.jpg": saved(photo, "JPEG", progressive=True),
        "grey.jpg": saved(photo.convert("L"), "JPEG"),
        "restarts.jpg": saved(photo, "JPEG", restart_marker_blocks=4),
        "full-chroma.jpg": saved(photo, "JPEG", subsampling=0, quality=95),
        "cmyk.jpg": saved(photo.convert("CMYK"), "JPEG"),
        "cmyk-profile.jpg": bytes(colours.icc_transform("cmyk", input_profile="srgb").jpegsave_buffer()),
        "display-p3.jpg": bytes(colours.icc_transform("p3", input_profile="srgb").jpegsave_buffer()),
        "broken-profile.jpg": saved(photo, "JPEG", icc_profile=b"no profile at all" * 20),
        "camera.jpg": saved(photo, "JPEG", exif=exif),
        "broken-exif.jpg": saved(photo, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xee" * 40),
        "huge-exif.jpg": saved(photo, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + b"\0" * 65_000),
        "stereo.mpo": saved(photo, "MPO", save_all=True, append_images=[photo.rotate(2)]),
        "trailing.jpg": plain + b"\0" * 5000 + b"left over by a broken camera",
        "leading.jpg": b"\n\n" + plain,
        "one-pixel.jpg": saved(Image.new("RGB", (1, 1), (200, 30, 60)), "JPEG"),
        "needle.jpg": saved(scene((1, 8000)), "JPEG"),
        "thread.jpg": saved(scene((8000, 1)), "JPEG"),
    }


def _png() -> Files:
    photo = scene()
    deep = vips(photo).cast("ushort") * 257
    frames = [photo.rotate(angle) for angle in (0, 90, 180)]
    return {
        "photo.png": saved(photo, "PNG"),
        "interlaced.png": bytes(vips(photo).pngsave_buffer(interlace=True)),
        "deep.png": bytes(deep.cast("ushort").copy(interpretation="rgb16").pngsave_buffer()),
        "deep-grey.png": saved(photo.convert("L").convert("I;16"), "PNG"),
        "grey.png": saved(photo.convert("L"), "PNG"),
        "grey-alpha.png": saved(logo().convert("LA"), "PNG"),
        "logo.png": saved(logo(), "PNG"),
        "palette.png": saved(photo.convert("P", palette=Image.Palette.ADAPTIVE), "PNG"),
        "palette-transparent.png": saved(logo().convert("P"), "PNG", transparency=0),
        "black-and-white.png": saved(photo.convert("1"), "PNG"),
        "moving.apng": saved(frames[0], "PNG", save_all=True, append_images=frames[1:], duration=100),
        "one-pixel.png": saved(Image.new("RGBA", (1, 1)), "PNG"),
        "all-transparent.png": saved(Image.new("RGBA", SHAPE), "PNG"),
        "trailing.png": saved(photo, "PNG") + b"<script>alert(1)</script>",
        "bad-checksum.png": _with_bad_checksum(saved(photo, "PNG")),
    }


def _with_bad_checksum(png: bytes) -> bytes:
    """One bit of a checksum inside the pixels wrong."""
    at = png.index(b"IDAT") - 4
    end = at + 8 + int.from_bytes(png[at : at + 4], "big")
    return png[:end] + bytes([png[end] ^ 1]) + png[end + 1 :]


def png(width: int, height: int, rows: bytes, *, colour: int = 2, depth: int = 8) -> bytes:
    """A PNG whose header says what you like; ``rows`` is its compressed data."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _webp() -> Files:
    photo = scene()
    frames = [photo.rotate(angle) for angle in (0, 90, 180)]
    return {
        "photo.webp": saved(photo, "WEBP", quality=80),
        "lossless.webp": saved(photo.resize((120, 90)), "WEBP", lossless=True),
        "logo.webp": saved(logo(), "WEBP"),
        "moving.webp": saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=100),
    }


def _gif() -> Files:
    photo = scene()
    blank = Image.new("RGB", SHAPE, (255, 255, 255))
    frames = [photo.rotate(angle) for angle in (0, 90, 180)]
    still = saved(photo, "GIF")
    return {
        "photo.gif": still,
        "old.gif": b"GIF87a" + still[6:],
        "logo.gif": saved(logo(), "GIF"),
        "moving.gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100, loop=0),
        "blank-first.gif": saved(blank, "GIF", save_all=True, append_images=frames, duration=100),
        "one-pixel.gif": saved(Image.new("P", (1, 1)), "GIF"),
    }


def _tiff() -> Files:
    photo = scene()
    pages = [photo, photo.resize((120, 160)), photo.convert("L")]
    colours = vips(photo)
    bilevel = photo.convert("1")
    return {
        "plain.tif": saved(photo, "TIFF"),
        "lzw.tif": saved(photo, "TIFF", compression="tiff_lzw", dpi=(300, 300)),
        "deflate.tif": saved(photo, "TIFF", compression="tiff_adobe_deflate"),
        "packbits.tif": saved(photo, "TIFF", compression="packbits"),
        "jpeg.tif": bytes(colours.tiffsave_buffer(compression="jpeg")),
        "fax.tif": saved(bilevel, "TIFF", compression="group4"),
        "pages.tif": saved(pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw"),
        "deep.tif": bytes((colours.cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16").tiffsave_buffer(compression="lzw")),
        "float.tif": bytes((colours.cast("float") / 255).copy(interpretation="scrgb").tiffsave_buffer(compression="deflate")),
        "cmyk.tif": saved(photo.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        "tiled.tif": bytes(colours.tiffsave_buffer(tile=True, tile_width=64, tile_height=64, compression="deflate")),
        "pyramid.tif": bytes(colours.tiffsave_buffer(tile=True, pyramid=True, tile_width=64, tile_height=64, compression="deflate")),
        "big.tif": bytes(colours.tiffsave_buffer(bigtiff=True, compression="lzw")),
        "motorola.tif": saved(photo.convert("I;16B"), "TIFF"),
        "alpha.tif": saved(logo(), "TIFF", compression="tiff_lzw"),
    }


def _heif() -> Files:
    photo = scene()
    frames = [photo.rotate(angle) for angle in (0, 90, 180)]
    return {
        "photo.avif": saved(photo, "AVIF", speed=10),
        "logo.avif": saved(logo(), "AVIF", speed=10),
        "deep.avif": bytes(vips(photo).heifsave_buffer(compression="av1", bitdepth=10, effort=0)),
        "moving.avif": _undated(saved(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=100, speed=10)),
        "phone.heic": heic(photo, Ffmpeg()),
        "held.heic": heic(photo.transpose(Image.Transpose.ROTATE_90), Ffmpeg(), quarter_turns=3),
    }


def _undated(film: bytes) -> bytes:
    """Without the moments at which it and its track were made, so that the file is the same each time."""
    for header in (b"mvhd", b"tkhd", b"mdhd"):
        at = film.index(header) + 8
        film = film[:at] + bytes(16) + film[at + 16 :]
    return film


def _svg() -> Files:
    drawing = '<g id="walls"><rect x="20" y="20" width="200" height="140" fill="none" stroke="#123" stroke-width="6"/></g>'
    space = 'xmlns="http://www.w3.org/2000/svg"'
    plain = f'<svg {space} width="240" height="180" viewBox="0 0 240 180">{drawing}</svg>'
    doctype = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">'
    layer = 'inkscape:groupmode="layer" inkscape:label'
    return {
        "plan.svg": plain.encode(),
        "marked.svg": "\ufeff".encode() + plain.encode(),
        "declared.svg": f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}\n{plain}'.encode(),
        "millimetres.svg": f'<svg {space} width="120mm" height="90mm" viewBox="0 0 240 180">{drawing}</svg>'.encode(),
        "viewbox-only.svg": f'<svg {space} viewBox="0 0 240 180">{drawing}</svg>'.encode(),
        "sizeless.svg": f"<svg {space}>{drawing}</svg>".encode(),
        "wide-encoding.svg": f'<?xml version="1.0" encoding="UTF-16"?>{plain}'.encode("utf-16"),
        "layers.svg": (
            f'<svg {space} xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape" width="240" height="180">'
            f'<g {layer}="Walls">{drawing}</g><g {layer}="أثاث"><circle cx="120" cy="90" r="30" fill="#c81e3c"/></g></svg>'
        ).encode(),
        "text.svg": f'<svg {space} width="240" height="180"><text x="20" y="90" font-size="24">كيان Live</text></svg>'.encode(),
    }


def _others() -> Files:
    photo = scene()
    palette = photo.convert("P", palette=Image.Palette.ADAPTIVE)
    return {
        "photo.bmp": saved(photo, "BMP"),
        "palette.bmp": saved(palette, "BMP"),
        "bilevel.bmp": saved(photo.convert("1"), "BMP"),
        "alpha.bmp": saved(logo(), "BMP"),
        "top-down.bmp": _top_down(saved(photo, "BMP")),
        "favicon.ico": saved(logo((256, 256)), "ICO", sizes=[(16, 16), (32, 32), (256, 256)]),
        "old-favicon.ico": saved(logo((48, 48)), "ICO", sizes=[(48, 48)], bitmap_format="bmp"),
        "photo.jp2": saved(photo, "JPEG2000"),
        "grey.jp2": saved(photo.convert("L"), "JPEG2000"),
        "poster.psd": psd(photo, layers=2),
        "stage.psb": psb(photo),
    }


def _top_down(bmp: bytes) -> bytes:
    """A negative height says that the first row is the upper one."""
    height = struct.unpack_from("<i", bmp, 22)[0]
    return bmp[:22] + struct.pack("<i", -height) + bmp[26:]


def psb(image: Image.Image) -> bytes:
    """Photoshop's format for large pictures, of a small one without layers."""
    header = b"8BPS" + struct.pack(">H6xHIIHH", 2, 3, image.height, image.width, 8, 3)
    return header + struct.pack(">IIQH", 0, 0, 0, 0) + b"".join(band.tobytes() for band in image.convert("RGB").split())


def _orientations() -> Files:
    files: Files = {}
    for kind, orientations in (("jpg", range(1, 9)), ("png", (3, 5, 8)), ("webp", (2, 6)), ("tif", range(1, 9))):
        for orientation in orientations:
            exif = Image.Exif()
            exif[ORIENTATION] = orientation
            held = scene().transpose(_UNDO[orientation]) if orientation in _UNDO else scene()
            format_name = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF"}[kind]
            files[f"held-{orientation}.{kind}"] = saved(held, format_name, exif=exif)
    return files


def _strangers() -> Files:
    """Pictures of formats that are not opened here."""
    photo = scene((60, 45))
    with tempfile.TemporaryDirectory() as folder:
        still, made = Path(folder, "still.png"), Path(folder, "made.jxl")
        photo.save(still)
        run_ffmpeg("-i", still, "-c:v", "libjxl", made)
        jxl = made.read_bytes()
    return {
        "photo.jxl": jxl,
        "photo.tga": saved(photo, "TGA"),
        "photo.ppm": saved(photo, "PPM"),
        "photo.qoi": saved(photo, "QOI"),
        "photo.pcx": saved(photo, "PCX"),
        "photo.dds": saved(photo, "DDS"),
        "photo.eps": saved(photo, "EPS"),
        "photo.icns": saved(logo((128, 128)), "ICNS"),
        "photo.dng": b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0xC612, 1, 4, 0x0401) + bytes(100),
        "sky.hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 2\n" + bytes([128] * 16),
        "sky.exr": b"v/1\1\2\0\0\0channels\0chlist\0" + bytes(100),
        "clip.wmf": b"\xd7\xcd\xc6\x9a\0\0" + bytes(100),
        "clip.emf": struct.pack("<II32x4s", 1, 108, b" EMF") + bytes(100),
        "layers.xcf": b"gimp xcf v011\0" + bytes(100),
        "scan.dcm": bytes(128) + b"DICM\2\0\0\0UL\4\0" + bytes(100),
        "leaflet.djvu": b"AT&TFORM\0\0\1\0DJVUINFO" + bytes(100),
        "sign.cdr": zipped({
            "mimetype": "application/x-vnd.corel.zcf.draw.document+zip", "content/root.dat": b"RIFF",
            "previews/thumbnail.png": saved(scene(), "PNG"),
        }, stored=True),
        "old-sign.cdr": b"RIFF\0\1\0\0CDR8vrsn" + bytes(250),
    }  # fmt: skip
