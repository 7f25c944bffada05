"""Bytes of an open file: those that it promises, and those at a place."""

from __future__ import annotations

import os
from typing import BinaryIO

from kayan_workers.media.complaints import SHORT, breaks_off


def exactly(file: BinaryIO, size: int, what: str, why: str = SHORT) -> bytes:
    """The next ``size`` bytes. Raises PermanentError when the file ends before: see ``complaints.breaks_off``."""
    data = file.read(size)
    if len(data) != size:
        raise breaks_off(what, why)
    return data


def size_of(file: BinaryIO) -> int:
    """How many bytes the whole file has, wherever it is read."""
    return os.fstat(file.fileno()).st_size


def read_at(file: BinaryIO, at: int, size: int) -> bytes:
    """``size`` bytes from ``at`` on, or as many as there are."""
    file.seek(at)
    return file.read(size)


def tail(file: BinaryIO, size: int) -> bytes:
    """The last ``size`` bytes, or all there are."""
    return read_at(file, max(0, size_of(file) - size), size)
