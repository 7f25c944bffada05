"""The copies that are wanted of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kayan_workers.media.geometry import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One wanted picture: a JPEG at ``to`` that fits inside ``box`` (pixels) at ``quality`` (1-95)."""

    to: Path
    box: Size
    quality: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcode:
    """One wanted film: an MP4 at ``to`` inside ``box`` (pixels), with ``bit_rate`` in ffmpeg's notation (``1500k``)."""

    to: Path
    box: Size
    bit_rate: str


@dataclass(frozen=True, slots=True)
class FilmSizes:
    """What became of a video: the sizes (width, height) of its films and of its stills, each in the order asked for."""

    films: list[Size]
    stills: list[Size]
