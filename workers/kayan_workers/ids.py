"""Ids of inserted rows, derived from what they stand for, so that a second run of the same job names the same row."""

from __future__ import annotations

import hashlib

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = [low + high for high in _DIGITS for low in _DIGITS]
"""All pairs of digits, the lower one first: two digits for one division, as every job derives an id or two."""
_LENGTH = 24


def derive_id(*parts: str | int) -> str:
    """Turn ``parts`` into a text shaped like Prisma's cuid: ``c`` and 24 characters of 0-9 a-z (124 bits of SHA-256).

    The same parts give the same id on every machine; ("ab", "c") and ("a", "bc") give different ones.
    """
    spelled = "".join([f"{len(text)}:{text}" for text in map(str, parts)])
    number = int.from_bytes(hashlib.sha256(spelled.encode("utf-8", "surrogatepass")).digest(), "big") % 36**_LENGTH
    characters = ["c"]
    for _ in range(_LENGTH // 2):
        number, pair = divmod(number, 36 * 36)
        characters.append(_PAIRS[pair])
    return "".join(characters)
