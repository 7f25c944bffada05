"""Pictures, films and sound that promise, or unpack to, more than any machine has; or that lead a reader in circles."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping

from corpus.files import Files, box, chunk, saved
from corpus.films import synchsafe
from corpus.images import png, png_chunk, psb, scene
from kayan_workers.demo.samples import psd

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="240" height="180">{}</svg>'


def make(whole: Mapping[str, bytes]) -> Files:
    return {**_png(), **_jpeg(whole), **_other_pictures(whole), **_gif(), **_tiff(whole), **_svg(), **_films(whole), **_sounds(whole)}


def zeros(size: int) -> bytes:
    """``size`` NULs as zlib packs them, a thousandth of that."""
    return b"\x78\x9c" + deflated(b"", b"\0", size) + struct.pack(">HH", size % 65_521, 1)


def deflated(beginning: bytes, filler: bytes, size: int) -> bytes:
    """``beginning`` and ``size`` times ``filler`` as a deflate stream, written down without counting through it all."""
    million = filler * 1_000_000
    packer = zlib.compressobj(9, wbits=-15)
    first = packer.compress(beginning) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(million) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + block * (size // 1_000_000) + packer.compress(million[: size % 1_000_000]) + packer.flush()


def _png() -> Files:
    small = zlib.compress(bytes(100))
    plain = saved(scene(), "PNG")
    head, rest = plain[:33], plain[33:]
    return {
        "bomb-header.png": png(65_535, 65_535, small),
        "bomb-two-billion.png": png(2**31 - 1, 1, small),
        "bomb-no-area.png": png(0, 100, small),
        "bomb-packed.png": png(16_000, 16_000, zeros(16_001 * 16_000), colour=0),
        "bomb-packed-deep.png": png(4000, 4000, zeros((4000 * 8 + 1) * 4000), colour=6, depth=16),
        "bomb-interlaced.png": interlaced(8000, 8000),
        "bomb-text.png": head + png_chunk(b"zTXt", b"Comment\0\0" + zeros(200_000_000)) + rest,
        "bomb-profile.png": head + png_chunk(b"iCCP", b"icc\0\0" + zeros(100_000_000)) + rest,
        "many-chunks.png": head + png_chunk(b"tEXt", b"a\0b") * 50_000 + rest,
        "long-chunk.png": head + struct.pack(">I", 2**31 - 1) + b"tEXt" + rest,
    }


def interlaced(width: int, height: int) -> bytes:
    """A grey PNG of nothing that stands in memory whole while it is decoded, a byte a pixel."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    rows = zeros(width * height + 3 * height)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")


def _jpeg(whole: Mapping[str, bytes]) -> Files:
    plain, progressive = whole["photo.jpg"], whole["progressive.jpg"]
    scans = progressive.index(b"\xff\xda")
    last = progressive.rindex(b"\xff\xda")
    many = _resized(progressive, 4000, 4000)
    return {
        "bomb-header.jpg": _resized(plain, 65_535, 65_535),
        "bomb-large.jpg": _resized(plain, 16_000, 16_000),
        "bomb-progressive.jpg": _resized(progressive, 16_000, 16_000),
        "bomb-scans.jpg": many[:scans] + many[last:-2] * 500 + many[-2:],
        "bomb-no-area.jpg": _resized(plain, 0, 0),
        "bomb-profile.jpg": plain[:2] + b"\xff\xe2\xff\xffICC_PROFILE\0\x01\xff" + bytes(65_535 - 16) + plain[2:],
        "bomb-exif-circle.jpg": saved(
            scene(), "JPEG", exif=b"Exif\0\0MM\0*" + struct.pack(">IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)
        ),
        "bomb-exif-count.jpg": saved(
            scene(), "JPEG", exif=b"Exif\0\0MM\0*" + struct.pack(">IHHHII8x", 8, 1, 0x010F, 2, 2**32 - 1, 26)
        ),
    }  # fmt: skip


def _resized(jpeg: bytes, width: int, height: int) -> bytes:
    """The same file with another size in its header."""
    at = next(jpeg.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in jpeg)
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


def _other_pictures(whole: Mapping[str, bytes]) -> Files:
    jp2 = whole["photo.jp2"]
    size = struct.pack(">II", 180, 240)
    siz = jp2.index(b"\xff\x51")
    large = jp2.replace(size, struct.pack(">II", 60_000, 60_000), 1)
    large = large[: siz + 6] + struct.pack(">II", 60_000, 60_000) + large[siz + 14 :]
    webp, lossless = whole["photo.webp"], whole["lossless.webp"]
    canvas = chunk(b"VP8X", b"\x10\0\0\0" + b"\xff\xff\xff" * 2) + webp[12:]
    lossless_at = lossless.index(b"VP8L") + 9
    avif, ispe = whole["photo.avif"], b"ispe" + bytes(4)
    at = avif.index(ispe) + len(ispe)
    heic, heic_at = whole["phone.heic"], whole["phone.heic"].index(ispe) + len(ispe)
    huge = struct.pack(">II", 60_000, 60_000)
    bmp = whole["photo.bmp"]
    giant = png(60_000, 60_000, zlib.compress(bytes(100)))
    return {
        "bomb-header.jp2": large,
        "bomb-canvas.webp": b"RIFF" + struct.pack("<I", len(canvas) + 4) + b"WEBP" + canvas,
        "bomb-lossless.webp": lossless[:lossless_at] + b"\xff\xff\xff\x0f" + lossless[lossless_at + 4 :],
        "bomb-header.avif": avif[:at] + huge + avif[at + 8 :],
        "bomb-header.heic": heic[:heic_at] + huge + heic[heic_at + 8 :],
        "bomb-header.bmp": bmp[:18] + struct.pack("<ii", 60_000, 60_000) + bmp[26:],
        "bomb-lowest.bmp": bmp[:18] + struct.pack("<ii", 240, -(2**31)) + bmp[26:],
        "bomb-inside.ico": struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(giant), 22) + giant,
        "bomb-count.ico": struct.pack("<HHH", 0, 1, 65_535) + bytes(200),
        "bomb-header.psd": psd(scene((16, 16)), layers=0)[:14] + struct.pack(">II", 300_000, 300_000) + psd(scene((16, 16)), layers=0)[22:],
        "bomb-header.psb": psb(scene((16, 16)))[:14] + struct.pack(">II", 300_000, 300_000) + psb(scene((16, 16)))[22:],
        "bomb-layers.psd": whole["poster.psd"][:34] + struct.pack(">IIh", 60, 52, -32_768) + bytes(50),
        "bomb-sections.psd": whole["poster.psd"][:26] + struct.pack(">II", 0xFFFFFFF0, 0xFFFFFFF0) + bytes(50),
    }


def _gif() -> Files:
    tiny = b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\2\2\x4c\1\0"
    wait = b"\x21\xf9\4\0" + struct.pack("<H", 65_535) + b"\0\0"

    def screen(width: int, height: int) -> bytes:
        return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + b"\0\0\0\xff\xff\xff"

    return {
        "bomb-screen.gif": screen(65_535, 65_535) + tiny + b";",
        "bomb-frames.gif": screen(1000, 1000) + tiny * 20_000 + b";",
        "bomb-patience.gif": screen(100, 100) + (wait + tiny) * 5000 + b";",
        "bomb-frame-outside.gif": screen(10, 10) + b"\x2c" + struct.pack("<4HB", 65_535, 65_535, 65_535, 65_535, 0) + b"\2\2\x4c\1\0;",
        "bomb-comment.gif": screen(10, 10) + b"\x21\xfe" + (b"\xff" + b"x" * 255) * 5000 + b"\0" + tiny + b";",
    }


def _tiff(whole: Mapping[str, bytes]) -> Files:
    def directory(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
        packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
        return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + struct.pack("<I", following)

    def picture(width: int, height: int, following: int = 0) -> bytes:
        return directory([(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
                          (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, width * height & 0xFFFFFFFF)], following)  # fmt: skip

    packed = zeros(16_000 * 16_000)
    real = directory([(256, 4, 1, 16_000), (257, 4, 1, 16_000), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 122),
                      (277, 3, 1, 1), (278, 4, 1, 16_000), (279, 4, 1, len(packed))])  # fmt: skip
    return {
        "bomb-header.tif": picture(60_000, 60_000),
        "bomb-large.tif": picture(16_000, 16_000),
        "bomb-packed.tif": real + packed,
        "bomb-circle.tif": picture(2, 2, following=8),
        "bomb-count.tif": directory([(256, 4, 1, 100), (257, 4, 1, 100), (273, 4, 2**32 - 1, 8), (279, 4, 2**32 - 1, 8)]),
        "bomb-no-directory.tif": b"II*\0\xff\xff\xff\x7f",
        "bomb-many-entries.tif": b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 256, 4, 1, 10) * 65_535 + bytes(4),
        "bomb-jpeg.tif": whole["jpeg.tif"].replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x10"),
    }


def _svg() -> Files:
    multiplied = "".join(f'<g id="g{n}">{f"<use xlink:href={chr(34)}#g{n - 1}{chr(34)}/>" * 10}</g>' for n in range(1, 9))
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    plain = _SVG.format('<rect width="240" height="180" fill="#c81e3c"/>')
    nested = plain
    for _ in range(3):
        nested = _SVG.format(
            f'<image width="240" height="180" xlink:href="data:image/svg+xml,{nested.replace("#", "%23").replace(chr(34), "%22")}"/>'
        )
    return {
        "bomb-use.svg": _SVG.format(f'<g id="g0"><rect width="2" height="2"/></g>{multiplied}<use xlink:href="#g8"/>').encode(),
        "bomb-laughs.svg": f'<!DOCTYPE svg [<!ENTITY l0 "lol">{laughs}]>{_SVG.format("<text>&l9;</text>")}'.encode(),
        "bomb-deep.svg": _SVG.format("<g>" * 50_000 + "</g>" * 50_000).encode(),
        "bomb-size.svg": plain.replace('width="240" height="180">', 'width="1000000000" height="1000000000">').encode(),
        "bomb-infinite.svg": plain.replace('width="240"', 'width="1e999"').encode(),
        "bomb-negative.svg": plain.replace('width="240" height="180">', 'width="-5" height="-5">').encode(),
        "bomb-blur.svg": _SVG.format(
            '<filter id="f" x="-10000%" y="-10000%" width="20000%" height="20000%"><feGaussianBlur stdDeviation="100000"/></filter>'
            '<rect width="240" height="180" filter="url(#f)"/>'
        ).encode(),
        "bomb-turbulence.svg": _SVG.format(
            '<filter id="f"><feTurbulence baseFrequency="0.9" numOctaves="2000000000"/></filter>'
            '<rect width="240" height="180" filter="url(#f)"/>'
        ).encode(),
        "bomb-pattern.svg": _SVG.format(
            '<pattern id="p" width="1" height="1"><rect width="9" height="9" fill="url(#p)"/></pattern>'
            '<rect width="240" height="180" fill="url(#p)"/>'
        ).encode(),
        "bomb-nested-images.svg": nested.encode(),
        "bomb-picture-inside.svg": _SVG.format('<image width="10" height="10" xlink:href="bomb-header.png"/>').encode(),
        "reads-file.svg": f'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>{_SVG.format("<text>&x;</text>")}'.encode(),
        "image-file.svg": _SVG.format('<image width="9" height="9" xlink:href="file:///etc/passwd"/><rect width="9" height="9"/>').encode(),
        "image-host.svg": _SVG.format('<image width="9" height="9" href="http://127.0.0.1:1/a.png"/><rect width="9" height="9"/>').encode(),
        "style-host.svg": ('<?xml-stylesheet href="http://127.0.0.1:1/a.css"?>' + _SVG.format(
            "<style>@import url(http://127.0.0.1:1/a.css); rect{fill:url(file:///etc/passwd#a)}</style>"
            "<rect width='9' height='9'/>")).encode(),
        "include-file.svg": _SVG.format(
            '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/><rect width="9" height="9"/>'
        ).encode(),
        "packed.svgz": gzip.compress(plain.encode(), mtime=0),
    }  # fmt: skip


def _films(whole: Mapping[str, bytes]) -> Files:
    mp4, avi = whole["film.mp4"], whole["motion-jpeg.avi"]
    avi_size = avi.index(b"strf") + 12
    stts = mp4.index(b"stts")
    header = mp4.index(b"mvhd")
    y4m = whole["film.y4m"]
    line = y4m.index(b"\n")
    return {
        "bomb-size.avi": avi[:avi_size] + struct.pack("<ii", 16_384, 16_384) + avi[avi_size + 8 :],
        "bomb-size.y4m": b"YUV4MPEG2 W16384 H16384 F10:1" + y4m[line:],
        "bomb-beyond.y4m": b"YUV4MPEG2 W100000 H100000 F10:1" + y4m[line:],
        "bomb-times.mp4": mp4[: stts + 8] + struct.pack(">III", 1, 2**32 - 1, 2**31 - 1) + mp4[stts + 20 :],
        "bomb-duration.mp4": mp4[: header + 16] + struct.pack(">II", 1, 2**32 - 1) + mp4[header + 24 :],
        "bomb-boxes.mp4": box(b"ftyp", b"isom", bytes(4)) + _nested_boxes(500),
        "bomb-box-size.mp4": mp4[:32] + struct.pack(">I4sQ", 1, b"moov", 2**63 - 1) + mp4[40:],
        "outside.mp4": mp4.replace(b"url \0\0\0\1", b"url \0\0\0\0", 1),
        "bomb-element.mkv": whole["film.mkv"][:60] + b"\x01\xff\xff\xff\xff\xff\xff\xfe" + whole["film.mkv"][68:],
        "bomb-frame-of-nothing.gif": b"GIF89a" + struct.pack("<HHxxxB4Hx", 60_000, 60_000, 0x2C, 0, 0, 60_000, 60_000) + b"\2\2\x4c\1\0;",
    }  # fmt: skip


def _nested_boxes(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = box(b"moov", data)
    return data


def _sounds(whole: Mapping[str, bytes]) -> Files:
    mp3 = whole["headless.mp3"]
    giant = png(60_000, 60_000, zlib.compress(bytes(100)))
    picture = b"\0image/png\0\3\0" + giant
    frame = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    flac = whole["sound.flac"]
    wave = b"RIFF" + struct.pack("<I", 4000) + b"WAVE"
    form = struct.pack("<HHIIHH", 1, 65_535, 2**31 - 1, 2**31 - 1, 65_535, 16)
    return {
        "bomb-tag.mp3": b"ID3\3\0\0\x7f\x7f\x7f\x7f" + mp3,
        "bomb-frame.mp3": b"ID3\3\0\0" + synchsafe(1000) + b"TIT2" + struct.pack(">IH", 2**32 - 1, 0) + bytes(990) + mp3,
        "bomb-cover.mp3": b"ID3\3\0\0" + synchsafe(len(frame)) + frame + mp3,
        "bomb-channels.wav": wave + chunk(b"fmt ", form) + chunk(b"data", bytes(4000)),
        "bomb-no-channels.wav": wave + chunk(b"fmt ", b"\1" + bytes(15)) + chunk(b"data", bytes(4000)),
        "bomb-picture.flac": flac[:4] + b"\6\xff\xff\xff" + flac[4:],
        "many-tags.mp3": b"ID3\3\0\0" + synchsafe(20_000 * 13) + (b"TXXX" + struct.pack(">IH", 3, 0) + b"\0a\0") * 20_000 + mp3,
        "long-title.mp3": b"ID3\3\0\0" + synchsafe(1_000_011) + b"TIT2" + struct.pack(">IH", 1_000_001, 0) + b"\0" + b"t" * 1_000_000 + mp3,
    }  # fmt: skip
