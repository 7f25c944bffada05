"""Bytes that a file promises."""

from __future__ import annotations

from typing import BinaryIO

from kayan_workers.media.complaints import SHORT, breaks_off


def exactly(file: BinaryIO, size: int, what: str, why: str = SHORT) -> bytes:
    """The next ``size`` bytes. Raises PermanentError when the file ends before: see ``complaints.breaks_off``."""
    data = file.read(size)
    if len(data) != size:
        raise breaks_off(what, why)
    return data
