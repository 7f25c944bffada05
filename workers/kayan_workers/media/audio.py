"""Sound: length, rate, channels and tags, and the cover picture some files carry."""

from __future__ import annotations

from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.probe import Probe, channels, sample_rate

_TAGS = ("title", "artist", "album", "album_artist", "composer", "date", "genre", "track", "disc", "comment", "copyright", "language")


def describe(probe: Probe) -> Facts:
    """What the database keeps of a sound file. ``codec``, ``bitrate`` (kbit/s), ``channels``, ``sampleRate`` are the web app's names.

    Raises PermanentError when the file has no sound.
    """
    audio = probe.audio
    if audio is None:
        raise PermanentError("it has no sound, only pictures; upload it as a video")
    bit_rate = audio.bit_rate or probe.bit_rate
    metadata = present({
        "codec": audio.codec,
        "bitrate": round(bit_rate / 1000) if bit_rate else 0,
        "channels": channels(audio) or 0,
        "sampleRate": sample_rate(audio) or 0,
        "durationMs": round(probe.duration * 1000),
    })  # fmt: skip
    tags = present({tag: probe.tags.get(tag) for tag in _TAGS})
    return Facts(
        duration_seconds=probe.duration,
        metadata={**metadata, **({"tags": tags} if tags else {})},
        details={"codec": audio.codec, "bitRate": bit_rate},
        custom={**metadata, "layout": audio.header.get("channel_layout_name"), "tags": tags},
    )


def cover(ffmpeg: Ffmpeg, source: Path, to: Path) -> None:
    """Write the file's cover picture, as it is, to ``to``. Raises PermanentError when it has none."""
    try:
        ffmpeg.run(source, cover_arguments(to), time_limit_seconds=60)
    except PermanentError as error:
        raise PermanentError("the sound file carries no cover picture") from error
    if not to.exists() or not to.stat().st_size:
        raise PermanentError("the sound file carries no cover picture")


def cover_arguments(to: Path) -> list[str]:
    return ["-map", "0:v:0", "-map", "-0:V?", "-frames:v", "1", "-c", "copy", "-f", "image2", "-update", "1", f"file:{to}"]
