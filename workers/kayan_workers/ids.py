"""Ids of inserted rows, derived from what they stand for, so that a second run of the same job names the same row."""

from __future__ import annotations

import hashlib

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTH = 24


def derive_id(*parts: str | int) -> str:
    """Turn ``parts`` into a text shaped like Prisma's cuid: ``c`` and 24 characters of 0-9 a-z (124 bits of SHA-256).

    The same parts give the same id on every machine; ("ab", "c") and ("a", "bc") give different ones.
    """
    spelled = "".join(f"{len(text)}:{text}" for text in map(str, parts))
    number = int.from_bytes(hashlib.sha256(spelled.encode("utf-8", "surrogatepass")).digest(), "big")
    characters = ["c"]
    for _ in range(_LENGTH):
        number, digit = divmod(number, 36)
        characters.append(_DIGITS[digit])
    return "".join(characters)
