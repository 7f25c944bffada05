"""Archives are stored as they are. Where a format keeps its directory at the end, it still shows whether one was cut on its way here."""

from __future__ import annotations

import zipfile
from pathlib import Path

from kayan_workers.media.kinds import Kind

_HEAD_OF_7ZIP = 32


def breaks_off(source: Path, kind: Kind) -> bool:
    """Whether the end of an archive is missing. RAR and gzip do not tell without being unpacked, and count as whole."""
    with source.open("rb") as file:
        head = file.read(_HEAD_OF_7ZIP)
    if head.startswith(b"PK\x03\x04"):  # books and designs are packages too
        return not zipfile.is_zipfile(source)
    return kind.name == "7-Zip" and _cut_7zip(source, head)


def _cut_7zip(source: Path, head: bytes) -> bool:
    """Its head says how far after it the directory stands, and how many bytes it has."""
    offset, size = int.from_bytes(head[12:20], "little"), int.from_bytes(head[20:28], "little")
    return len(head) < _HEAD_OF_7ZIP or source.stat().st_size < _HEAD_OF_7ZIP + offset + size
