"""What every generator of the corpus shares: files by name, and a few ways to build them."""

from __future__ import annotations

import io
import struct
import subprocess
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kayan_workers.ffmpeg import Ffmpeg
from PIL import Image

Files = dict[str, bytes]
"""Whole files by name."""


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """``image`` as a file of Pillow's format ``kind``."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def zipped(members: Mapping[str, Any] | Iterable[tuple[str, bytes | str]], *, stored: bool = False) -> bytes:
    """A ZIP file, the same each time: its members carry no date of today."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items() if isinstance(members, Mapping) else members:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a name may come twice on purpose
                archive.writestr(zipfile.ZipInfo(name), content, archive.compression)
    return out.getvalue()


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box of an ISO media file (MP4, MOV, HEIF, JPEG 2000)."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a RIFF file, padded to an even length."""
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def run_ffmpeg(*arguments: str | Path) -> None:
    command = [Ffmpeg().binary, "-nostdin", "-v", "error", "-y", "-fflags", "+bitexact", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)
