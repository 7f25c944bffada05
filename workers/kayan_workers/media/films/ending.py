"""Whether a film or a recording ends before it should: what is left of one that was cut on its way here still plays.

Only what its format makes certain counts. MPEG-TS and FLV tell no length, and live recordings leave theirs open: they count as whole.
Few bytes are read of a file, whatever its size, and nothing in them is believed further than one step.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from kayan_workers.media.films import chunks, counts
from kayan_workers.media.reading import read_at, size_of, tail

_MAX_STEPS = 100_000
"""Boxes of one file. A broadcast of ten hours in fragments of a second has 72,000."""
_BOXES = {
    b"ftyp", b"styp", b"pdin", b"moov", b"moof", b"mdat", b"mfra", b"sidx", b"ssix", b"emsg", b"prft", b"free", b"skip", b"wide", b"pnot",
    b"udta", b"meta", b"uuid",
}  # fmt: skip
"""Those that stand beside each other in a film. Some cameras append what is no box at all, and its length would mean nothing."""
_MAX_ELEMENTS = 100
_SEGMENT = b"\x18\x53\x80\x67"
_LONGEST_PAGE = 27 + 255 + 255 * 255
_PAGE_HEAD = 27


def breaks_off(source: Path, format_name: str, *, packets: int, samples: int) -> bool:
    """``format_name`` is the file's kind by content; ``packets`` and ``samples`` are how many its first sound has, as far as it goes."""
    with source.open("rb") as file:
        size = size_of(file)
        match format_name:
            case "MP4" | "QuickTime" | "M4A":
                return _ends_within_a_box(file, size)
            case "Matroska":
                return _ends_within_the_segment(file, size)
            case "AVI" | "WAV" | "AIFF":
                return chunks.breaks_off(file, size)
            case "Ogg":
                return _ends_within_a_page(file)
            case "FLAC" | "MP3":  # both may begin with the same tags
                return samples < counts.flac_samples(file) or counts.lacks_frames(file, size, packets)
    return False


def _ends_within_a_box(file: BinaryIO, size: int) -> bool:
    """MP4, MOV, M4A: boxes follow each other to the end. One without a length goes on to wherever the end is."""
    at = 0
    for _ in range(_MAX_STEPS):
        head = read_at(file, at, 16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:], "big")
        if length < 8:
            return False
        at += length
        if at > size:
            return head[4:8] in _BOXES
    return False


def _ends_within_the_segment(file: BinaryIO, size: int) -> bool:
    """Matroska, WebM: all of a film stands in one segment. Who records live writes its length as unknown: all ones."""
    at = 0
    for _ in range(_MAX_ELEMENTS):
        head = read_at(file, at, 12)
        name_bytes = _width(head[:1])
        length_bytes = _width(head[name_bytes : name_bytes + 1])
        if name_bytes > 4 or length_bytes > 8:
            return False
        unknown = (1 << 7 * length_bytes) - 1
        length = int.from_bytes(head[name_bytes : name_bytes + length_bytes], "big") & unknown
        at += name_bytes + length_bytes + length
        if head[:name_bytes] == _SEGMENT:
            return length != unknown and at > size
        if at > size:
            return False
    return False


def _width(first: bytes) -> int:
    """How many bytes a number of EBML takes: as many as it has zeros before its first one, and one. More than 8 are none."""
    return 9 - int.from_bytes(first, "big").bit_length()


def _ends_within_a_page(file: BinaryIO) -> bool:
    """Ogg: a page says how long it is. That the last one says it is the last proves nothing: many recorders never write it."""
    end = tail(file, _LONGEST_PAGE)
    start = end.rfind(b"OggS\0")
    page = end[start:]
    pieces = page[_PAGE_HEAD - 1] if len(page) >= _PAGE_HEAD else 0
    body = sum(page[_PAGE_HEAD : _PAGE_HEAD + pieces])
    return start >= 0 and len(page) < _PAGE_HEAD + pieces + body
