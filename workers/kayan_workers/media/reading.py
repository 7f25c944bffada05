"""Bytes that a file promises."""

from __future__ import annotations

from typing import BinaryIO

from kayan_workers.errors import PermanentError


def exactly(file: BinaryIO, size: int, breaks_off: str) -> bytes:
    """The next ``size`` bytes. Raises PermanentError with the sentence ``breaks_off`` when the file ends before."""
    data = file.read(size)
    if len(data) != size:
        raise PermanentError(breaks_off)
    return data
