"""OLE containers, which Office wrote before 2007 and still wraps around files with a password: which streams they hold."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_HEADER = 512
_END = 0xFFFFFFFA
"""Sector numbers from here on are no sectors."""
_MAX_SECTORS = 2000
_WHAT = {
    "encryptedpackage": "encrypted", "worddocument": "DOC", "workbook": "XLS", "book": "XLS", "powerpoint document": "PPT",
    "__properties_version1.0": "MSG", "visiodocument": "VSD", "quill": "PUB",
}  # fmt: skip


def ole_kind(source: Path) -> str | None:
    """DOC, XLS, PPT, MSG, VSD or PUB; ``encrypted`` for a modern file under a password; None when it is none of these, or damaged."""
    try:
        with source.open("rb") as file:
            names = _stream_names(file)
    except (struct.error, ValueError, OverflowError):
        return None
    return next((kind for stream, kind in _WHAT.items() if stream in names), None)


def _stream_names(file: BinaryIO) -> set[str]:
    header = file.read(_HEADER)
    (shift,) = struct.unpack_from("<H", header, 30)
    if shift not in (9, 12):
        raise ValueError("a sector of no known size")
    size = 1 << shift
    sector = struct.unpack_from("<I", header, 48)[0]
    table = struct.unpack_from("<109I", header, 76)
    names: set[str] = set()
    for _ in range(_MAX_SECTORS):
        if sector >= _END:
            return names
        directory = _sector(file, sector, size)
        for entry in range(0, len(directory) - 127, 128):
            length = min(64, struct.unpack_from("<H", directory, entry + 64)[0])
            names.add(directory[entry : entry + max(0, length - 2)].decode("utf-16-le", "replace").lower())
        group, place = divmod(sector, size // 4)
        if group >= len(table) or table[group] >= _END:
            return names  # the chain goes on in a part of the table that only very large files have
        sector = struct.unpack_from("<I", _sector(file, table[group], size), place * 4)[0]
    return names


def _sector(file: BinaryIO, number: int, size: int) -> bytes:
    file.seek((number + 1) * size)
    return file.read(size)
