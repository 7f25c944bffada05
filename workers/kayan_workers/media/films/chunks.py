"""RIFF (WAV, AVI) and IFF (AIFF): a form of chunks, each with its length before it."""

from __future__ import annotations

from typing import BinaryIO, Literal

from kayan_workers.media.reading import read_at

_MAX_STEPS = 10_000
_ORDERS: dict[bytes, Literal["little", "big"]] = {b"RIFF": "little", b"RF64": "little", b"FORM": "big"}
_ELSEWHERE = 0xFFFFFFFF
_MISCOUNTED = 64
"""Bytes by which a careless program's lengths are too large: it counts a header that is not in them, or counts it twice."""


def breaks_off(file: BinaryIO, size: int) -> bool:
    """Whether the file ends within a chunk and its form, too, says that there should be more; AVI has several forms, a gigabyte each."""
    at = 0
    for _ in range(_MAX_STEPS):
        head = read_at(file, at, 12)
        order = _ORDERS.get(head[:4])
        if order is None:
            return False
        length, sound = int.from_bytes(head[4:8], order), _ELSEWHERE
        if head.startswith(b"RF64"):
            length, sound = _long_lengths(file, at + 12)
        if _is_open(length):
            return False
        end = at + 8 + length + length % 2
        if end > size:
            return _ends_within_a_chunk(file, at + 12, size, order, sound)
        at = end
    return False


def _ends_within_a_chunk(file: BinaryIO, at: int, size: int, order: Literal["little", "big"], sound: int) -> bool:
    for _ in range(_MAX_STEPS):
        head = read_at(file, at, 8)
        length = int.from_bytes(head[4:], order)
        if head.startswith(b"data") and length == _ELSEWHERE:
            length = sound
        if len(head) < 8 or _is_open(length):
            return False
        if at + 8 + length > size + _MISCOUNTED:
            return True
        at += 8 + length + length % 2
    return False


def _long_lengths(file: BinaryIO, at: int) -> tuple[int, int]:
    """Of the form and of the sound in it, where four bytes are not enough for them."""
    head = read_at(file, at, 24)
    return (int.from_bytes(head[8:16], "little"), int.from_bytes(head[16:], "little")) if head.startswith(b"ds64") else (0, 0)


def _is_open(length: int) -> bool:
    """Whether a recorder wrote it who did not know how long it would go on, and could not go back: nothing, or about all that fits."""
    return length == 0 or 0x7F000000 <= length <= 0x80000000 or 0xFF000000 <= length <= _ELSEWHERE
