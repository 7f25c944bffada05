"""PNG's chunks: what has to be known of a PNG before it is decoded, and what only an animated one says."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from kayan_workers.media.geometry import Size

_SIGNATURE_BYTES = 8
_MAX_CHUNKS = 100_000
_DEFAULT_TICKS = 100
"""A delay's denominator where the file says 0."""


@dataclass(frozen=True, slots=True)
class PngChunks:
    """``size`` as the header says, None where that is missing; ``delays_ms`` is empty for a PNG that does not move."""

    size: Size | None
    interlaced: bool
    delays_ms: list[int]


def read_chunks(source: Path) -> PngChunks:
    """Walk the chunks without their pixels. A file that breaks off says what it says until there; decoding it will tell."""
    size, interlaced, frames = None, False, 0
    delays: list[int] = []
    with source.open("rb") as file:
        file.seek(_SIGNATURE_BYTES)
        for _ in range(_MAX_CHUNKS):
            start = file.read(8)
            if len(start) < 8:
                break
            length, kind = struct.unpack(">I4s", start)
            known = file.read(26) if kind in (b"IHDR", b"acTL", b"fcTL") else b""
            if kind == b"IHDR" and len(known) >= 13:
                size, interlaced = struct.unpack(">II", known[:8]), known[12] != 0
            elif kind == b"acTL" and len(known) >= 4:
                frames = int.from_bytes(known[:4], "big")
            elif kind == b"fcTL" and len(known) >= 24:
                numerator, denominator = struct.unpack(">HH", known[20:24])
                delays.append(1000 * numerator // (denominator or _DEFAULT_TICKS))
            elif kind == b"IEND" or (kind == b"IDAT" and not frames):  # the count of frames stands before the pixels
                break
            file.seek(length + 4 - len(known), 1)
    return PngChunks(size, interlaced, delays[:frames])
