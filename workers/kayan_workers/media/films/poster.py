"""The one picture that stands for a video."""

from __future__ import annotations

import statistics
from contextlib import suppress
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.films import film_colours
from kayan_workers.media.films.probe import NO_PICTURE, WHOLE, Picture, beginning, decoding, first_picture
from kayan_workers.media.geometry import fit

_AT = 0.1
_LATEST_SECONDS = 2.0
_SHORTEST_SECONDS = 1.0
_LOOKED_AT_SECONDS = _LATEST_SECONDS / _AT
"""Of a longer video only this much is read: its length beyond changes nothing."""
_LATER = (0.15, 0.35, 0.6, 0.85)
"""Where to look further, in parts of the rest, when the picture shows nothing."""
_BLANK = 6.0
"""Standard deviation of brightness (0-255) below which a picture is as good as black, white or any one colour."""
_GLANCE = 32
_BOX = (1920, 1920)
"""A poster is made no larger: it is only ever shown small."""


def poster(ffmpeg: Ffmpeg, source: Path, to: Path) -> None:
    """Write one representative picture, upright, with square pixels and everyday colours, as a lossless PNG at ``to``.

    It is taken at a tenth of the video, at most 2 s in; if nothing is to be seen there, as in a fade from black, the fullest of a few
    later ones is taken. A clip too short for that, or broken there, gives its first. Reads the first 20 seconds at most. Raises
    PermanentError when the file has no moving pictures, or none that can be decoded.
    """
    picture = first_picture(ffmpeg, source)
    fullest = -1.0
    for moment in poster_moments(beginning(ffmpeg, source, _LOOKED_AT_SECONDS)):
        candidate = to.with_name("candidate.png")
        contrast = _take(ffmpeg, source, candidate, moment, picture)
        if contrast is None:
            break
        if contrast > fullest:
            fullest = contrast
            candidate.replace(to)
        if fullest >= _BLANK:
            return
    if fullest < 0 and _take(ffmpeg, source, to, 0.0, picture) is None:
        raise PermanentError(NO_PICTURE, WHOLE)


def poster_moments(length: float) -> list[float]:
    """Seconds into the video at which to look for its poster, best first. ``length`` is in seconds; more than 20 makes no difference."""
    length = min(length, _LOOKED_AT_SECONDS)
    first = 0.0 if length < _SHORTEST_SECONDS else length * _AT
    return [first, *(first + part * (length - first) for part in _LATER)]


def poster_arguments(picture: Picture, to: Path, glance: Path) -> list[str]:
    """One picture into ``to``, and the brightness of a tiny copy of it, a byte a pixel, into ``glance``."""
    shown = film_colours.shrunk(picture, fit(picture.size, _BOX), "yuv444p")
    graph = f"[0:V:0]{shown},split[p][g];[g]scale={_GLANCE}:{_GLANCE},format=gray[small]"
    return ["-filter_complex", graph, "-map", "[p]", "-frames:v", "1", "-pix_fmt", "rgb24", "-c:v", "png", "-compression_level", "1",
            "-f", "image2", "-update", "1", f"file:{to}",
            "-map", "[small]", "-frames:v", "1", "-c:v", "rawvideo", "-f", "rawvideo", f"file:{glance}"]  # fmt: skip


def _take(ffmpeg: Ffmpeg, source: Path, to: Path, moment: float, picture: Picture) -> float | None:
    """Write the picture at ``moment``; returns how much its brightness varies, None when there is no picture."""
    glance = to.with_name("glance.raw")
    for made in (to, glance):
        made.unlink(missing_ok=True)
    with suppress(PermanentError):
        seek = ["-ss", f"{moment:.3f}"] if moment else []  # to the beginning, even -ss 0 finds nothing in streams without an index
        ffmpeg.run(source, poster_arguments(picture, to, glance), before_input=[*decoding(), *seek], time_limit_seconds=60)
    if not (to.exists() and to.stat().st_size and glance.exists() and glance.stat().st_size):
        return None
    return statistics.pstdev(glance.read_bytes())
