"""Models that are written as text: whole lines in blocks, so that numbers are read thousands at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from kayan_workers.media.complaints import damaged

_BLOCK = 4_000_000
_MAX_LINE = 64_000


def blocks(file: BinaryIO) -> Iterator[list[bytes]]:
    """The lines from here to the end, some megabytes at a time and however they end; a backslash joins a line to the next."""
    rest = b""
    while chunk := file.read(_BLOCK):
        chunk = rest + chunk
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        while end and chunk[:end].rstrip(b"\r\n").endswith(b"\\"):
            end = max(chunk.rfind(b"\n", 0, end - 1), chunk.rfind(b"\r", 0, end - 1)) + 1
        if len(chunk) - end > _MAX_LINE:
            raise damaged("the model", f"it has a line of more than {_MAX_LINE} bytes")
        rest = chunk[end:]
        yield _split(chunk[:end])
    if rest:
        yield _split(rest)


def _split(text: bytes) -> list[bytes]:
    return text.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ").splitlines()


def numbers(lines: list[bytes], columns: int) -> NDArray[np.float64]:
    """(n, columns) numbers out of lines that hold at least so many each. Raises ValueError when one does not."""
    text = b" ".join(lines)
    values = np.fromstring(text, sep=" ")
    if lines and values.size == len(lines) * columns:
        return values.reshape(-1, columns)
    rows = [line.split()[:columns] for line in lines]
    if any(len(row) < columns for row in rows):
        raise ValueError("a line has too few numbers")
    return np.array(rows, dtype=np.float64).reshape(-1, columns)
