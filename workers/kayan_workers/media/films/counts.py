"""How much sound a file says it has: FLAC in its first block, MP3 in a first frame that holds nothing else (Xing's, Fraunhofer's)."""

from __future__ import annotations

from typing import BinaryIO

from kayan_workers.media.reading import read_at

_MAX_TAGS = 10
_FIRST_FRAME = 256
_FRAMES_FOLLOW, _BYTES_FOLLOW = 1, 2


def flac_samples(file: BinaryIO) -> int:
    """Samples of each channel; 0 when the encoder could not know."""
    head = read_at(file, _after_tags(file), 26)
    is_told = head.startswith(b"fLaC") and len(head) == 26 and head[4] & 0x7F == 0
    return int.from_bytes(head[21:], "big") & 0xFFFFFFFFF if is_told else 0


def lacks_frames(file: BinaryIO, size: int, frames: int) -> bool:
    """Whether an MP3 of ``size`` bytes with ``frames`` frames says it has more of both; where it says nothing, it has none too few.

    Either alone proves little: a tag may be counted among the bytes, and a frame lost in the middle.
    """
    start = _after_tags(file)
    told_frames, told_bytes = _told(read_at(file, start, _FIRST_FRAME))
    return told_frames > frames and start + told_bytes > size


def _told(frame: bytes) -> tuple[int, int]:
    """Frames and bytes, from the first frame on; 0 for what is not told."""
    if frame[:1] != b"\xff":
        return 0, 0
    if (at := frame.find(b"VBRI")) > 0:
        return int.from_bytes(frame[at + 14 : at + 18], "big"), int.from_bytes(frame[at + 10 : at + 14], "big")
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    if at < 0 or not flags & _FRAMES_FOLLOW or not flags & _BYTES_FOLLOW:
        return 0, 0
    return int.from_bytes(frame[at + 8 : at + 12], "big"), int.from_bytes(frame[at + 12 : at + 16], "big")


def _after_tags(file: BinaryIO) -> int:
    """Where the sound begins, after the tags (ID3v2) that stand before it."""
    at = 0
    for _ in range(_MAX_TAGS):
        head = read_at(file, at, 10)
        if not head.startswith(b"ID3") or len(head) < 10:
            break
        length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        at += 20 + length if head[5] & 0x10 else 10 + length
    return at
