"""What tells a binary STL file, which has no signature. Free of numpy: it is asked of files of every kind."""

from __future__ import annotations

from pathlib import Path

HEAD_BYTES = 84
TRIANGLE_BYTES = 50


def is_binary_stl(source: Path, head: bytes) -> bool:
    """Whether the length is exactly what the count after an 80 byte header says: the only mark that binary STL has."""
    return len(head) >= HEAD_BYTES and source.stat().st_size == HEAD_BYTES + TRIANGLE_BYTES * int.from_bytes(head[80:HEAD_BYTES], "little")
