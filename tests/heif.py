"""HEIC files as phones write them. No wheel encodes them, so ffmpeg encodes the picture, and the boxes around it are made here."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from pathlib import Path

from kayan_workers.ffmpeg import Ffmpeg
from PIL import Image

_PRIMARY, _EXIF = 1, 2
_ESSENTIAL = {1, 3}
"""The properties that no reader may ignore: the decoder's configuration and the turn."""


def heic(image: Image.Image, ffmpeg: Ffmpeg, *, quarter_turns: int = 0, colour: bytes = b"", exif: bytes = b"") -> bytes:
    """``image`` as one HEVC picture that is to be turned ``quarter_turns`` against the clock.

    ``colour`` is the body of a ``colr`` box (``b"prof"`` and an ICC profile, or ``nclx(…)``); ``exif`` is a TIFF block.
    """
    configuration, pixels = _hevc(image, ffmpeg)
    properties = [configuration, box(b"ispe", bytes(4), struct.pack(">II", *image.size)), box(b"irot", bytes([quarter_turns]))]
    properties += [box(b"colr", colour)] if colour else []
    numbers = bytes(n | 0x80 * (n in _ESSENTIAL) for n in range(1, len(properties) + 1))
    items = {_PRIMARY: pixels} | ({_EXIF: bytes(4) + exif} if exif else {})

    def meta(first: int) -> bytes:
        """``first`` is where in the file the items' data begins."""
        places, at = b"", first
        for item, data in items.items():
            places += struct.pack(">HHHII", item, 0, 1, at, len(data))
            at += len(data)
        names = {_PRIMARY: b"hvc1", _EXIF: b"Exif"}
        entries = b"".join(box(b"infe", struct.pack(">IHH", 2 << 24, item, 0), names[item], b"\0") for item in items)
        return box(
            b"meta", bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), struct.pack(">H", _PRIMARY)),
            box(b"iloc", bytes(4), struct.pack(">BBH", 0x44, 0, len(items)), places),
            box(b"iinf", bytes(4), struct.pack(">H", len(items)), entries),
            box(b"iref", bytes(4), box(b"cdsc", struct.pack(">HHH", _EXIF, 1, _PRIMARY))) if exif else b"",
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", struct.pack(">4xIHB", 1, _PRIMARY, len(properties)), numbers)),
        )  # fmt: skip

    head = box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", *items.values())


def nclx(primaries: int, transfer: int) -> bytes:
    """Colours by their numbers in ITU-T H.273, full range."""
    return b"nclx" + struct.pack(">HHHB", primaries, transfer, 6, 0x80)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _hevc(image: Image.Image, ffmpeg: Ffmpeg) -> tuple[bytes, bytes]:
    """The decoder's configuration as an ``hvcC`` box, and the encoded picture."""
    with tempfile.TemporaryDirectory() as folder:
        still, film = Path(folder, "still.png"), Path(folder, "still.mp4")
        image.save(still)
        subprocess.run(
            [ffmpeg.binary, "-nostdin", "-v", "error", "-i", still, "-frames:v", "1", "-c:v", "libx265", "-preset", "ultrafast",
             "-crf", "12", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none:pools=1:frame-threads=1", "-tag:v", "hvc1", film],
            check=True, capture_output=True,
        )  # fmt: skip
        data = film.read_bytes()
    at = data.index(b"hvcC") - 4
    configuration = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    at = data.index(b"mdat")
    return configuration, data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at], "big")]
