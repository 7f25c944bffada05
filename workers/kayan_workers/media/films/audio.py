"""Sound: length, rate, channels and tags, and the cover picture some files carry."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.films.probe import Probe, channels, layout, sample_rate
from kayan_workers.media.geometry import Size

_TAGS = ("title", "artist", "album", "album_artist", "composer", "date", "genre", "track", "disc", "comment", "copyright", "language")
_NO_COVER = "the sound file carries no cover picture"
_COVER = ["-map", "0:v:0", "-map", "-0:V?", "-frames:v", "1", "-c", "copy"]


def describe(probe: Probe, cover: Size | None = None) -> Facts:
    """What the database keeps of a sound file. ``codec``, ``bitrate`` (kbit/s), ``channels``, ``sampleRate`` are the web app's names.

    Raises PermanentError when the file has no sound.
    """
    audio = probe.audio
    if audio is None:
        raise PermanentError("it has no sound, only pictures", "upload it as a video")
    bit_rate = audio.bit_rate or probe.bit_rate
    metadata = present({
        "codec": audio.codec,
        "bitrate": round(bit_rate / 1000) if bit_rate else 0,
        "channels": channels(audio) or 0,
        "sampleRate": sample_rate(audio) or 0,
        "durationMs": round(probe.duration * 1000),
        "audioTracks": probe.audio_tracks if probe.audio_tracks > 1 else None,
        "chapters": probe.chapters or None,
        "damaged": True if probe.breaks_off else None,
        "cover": {"width": cover[0], "height": cover[1]} if cover else None,
        "tags": present({tag: probe.tags.get(tag) for tag in _TAGS}) or None,
    })  # fmt: skip
    return Facts(
        duration_seconds=probe.duration,
        metadata=metadata,
        details={"codec": audio.codec, "bitRate": bit_rate},
        custom={**metadata, **present({"layout": layout(audio)})},
    )


def cover_size(ffmpeg: Ffmpeg, source: Path) -> Size | None:
    """Width and height of the file's cover picture; None when it has none."""
    listing: list[str] = []
    with suppress(PermanentError):
        ffmpeg.run(source, [*_COVER, "-f", "framecrc", "pipe:1"], time_limit_seconds=60, on_output=listing.append)
    sizes = [re.fullmatch(r"#dimensions 0: (\d+)x(\d+)", line) for line in listing]
    return next(((int(found[1]), int(found[2])) for found in sizes if found and found[1] != "0"), None)


def cover(ffmpeg: Ffmpeg, source: Path, to: Path) -> None:
    """Write the file's cover picture, as it is, to ``to``. Raises PermanentError when it has none."""
    try:
        ffmpeg.run(source, cover_arguments(to), time_limit_seconds=60)
    except PermanentError as error:
        raise PermanentError(_NO_COVER) from error
    if not to.exists() or not to.stat().st_size:
        raise PermanentError(_NO_COVER)


def cover_arguments(to: Path) -> list[str]:
    return [*_COVER, "-f", "image2", "-update", "1", f"file:{to}"]
