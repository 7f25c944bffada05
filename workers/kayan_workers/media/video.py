"""Videos: what they are, one representative picture, and smaller copies made in one decode."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media import images
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.geometry import Size, fit_even
from kayan_workers.media.probe import Picture, Probe, Stream, channels, frame_rate, probe, sample_rate
from kayan_workers.media.rendition import FilmSizes, Rendition, Transcode

_POSTER_AT = 0.1
_POSTER_LATEST_SECONDS = 2.0
_POSTER_SHORTEST_SECONDS = 1.0
_LONGEST_TRANSCODE_SECONDS = 6 * 3600.0
_PLAIN_TAGS = ("title", "artist", "album", "date", "genre", "comment", "creation_time", "location", "encoder")


def describe(probe: Probe) -> Facts:
    """What the database keeps of a video. ``codec`` and ``bitrate`` (kbit/s) are the names the web app knows.

    Raises PermanentError when the file has no moving pictures.
    """
    video, picture = moving(probe)
    metadata = present({
        "codec": video.codec,
        "bitrate": round(probe.bit_rate / 1000) if probe.bit_rate else 0,
        "durationMs": round(probe.duration * 1000),
        "frameRate": frame_rate(video),
        "hdr": picture.hdr,
        "hasAudio": probe.audio is not None,
        "audio": _sound(probe),
    })  # fmt: skip
    return Facts(
        width=picture.size[0],
        height=picture.size[1],
        duration_seconds=probe.duration,
        metadata=metadata,
        details={
            "codec": video.codec,
            "frameRate": frame_rate(video),
            "bitRate": probe.bit_rate,
            "colorSpace": picture.pixel_format,
            "bitDepth": _bit_depth(picture.pixel_format),
        },
        custom={**metadata, **present({"videoBitRate": video.bit_rate, "tags": present({t: probe.tags.get(t) for t in _PLAIN_TAGS})})},
    )


def moving(probe: Probe) -> tuple[Stream, Picture]:
    """The stream of moving pictures and the first of them. Raises PermanentError when there is only sound."""
    if probe.video is None or probe.picture is None:
        raise PermanentError("it has no moving pictures, only sound; upload it as an audio file")
    return probe.video, probe.picture


def poster(ffmpeg: Ffmpeg, source: Path, to: Path, duration: float) -> None:
    """Write one representative picture, upright and with square pixels, as a lossless PNG at ``to``.

    It is taken at a tenth of ``duration`` (seconds), at most 2 s in; a clip too short for that, or broken there, gives its first.
    Raises PermanentError when no picture can be decoded.
    """
    for moment in dict.fromkeys((poster_moment(duration), 0.0)):
        with suppress(PermanentError):
            ffmpeg.run(source, poster_arguments(to), before_input=["-ss", f"{moment:.3f}"], time_limit_seconds=60)
        if to.exists() and to.stat().st_size:
            return
    raise PermanentError("not one picture of the video can be decoded")


def poster_moment(duration: float) -> float:
    """Seconds into the video at which its poster is taken."""
    return 0.0 if duration < _POSTER_SHORTEST_SECONDS else min(duration * _POSTER_AT, _POSTER_LATEST_SECONDS)


def poster_arguments(to: Path) -> list[str]:
    """Stretch the pixels square, but leave the size to the picture's own transform: it shrinks better."""
    square = "scale=w='if(gt(sar,1),iw*sar,iw)':h='if(gt(sar,1),ih,ih/if(sar,sar,1))',setsar=1"
    return ["-map", "0:V:0", "-frames:v", "1", "-an", "-vf", square, "-c:v", "png", "-compression_level", "1",
            "-f", "image2", "-update", "1", f"file:{to}"]  # fmt: skip


def films(
    source: Path,
    wanted: Sequence[Transcode],
    stills: Sequence[Rendition],
    ffmpeg: Ffmpeg,
    on_progress: Callable[[float], None] | None = None,
) -> FilmSizes:
    """Write every wanted film, in one decode of the source, and every wanted still of its poster; returns their sizes."""
    found = probe(ffmpeg, source)
    moving(found)
    films = transcode(ffmpeg, source, found, wanted, on_progress=on_progress) if wanted else []
    if not stills:
        return FilmSizes(films, [])
    frame = source.with_name("frame.png")
    poster(ffmpeg, source, frame, found.duration)
    return FilmSizes(films, images.render(frame, stills))


def transcode(
    ffmpeg: Ffmpeg,
    source: Path,
    probe: Probe,
    wanted: Sequence[Transcode],
    *,
    on_progress: Callable[[float], None] | None = None,
) -> list[Size]:
    """Write every wanted copy in one run of ffmpeg, which decodes the source once; returns their sizes (width, height).

    ``on_progress`` receives per cent. Raises PermanentError when the source cannot be decoded to its end, or takes longer than
    twenty times its length for each copy, or six hours.
    """
    _, picture = moving(probe)
    sizes = [fit_even(picture.size, copy.box) for copy in wanted]
    ffmpeg.run(
        source,
        transcode_arguments(wanted, sizes, sound=probe.audio is not None),
        time_limit_seconds=min(120 + 20 * probe.duration * len(wanted), _LONGEST_TRANSCODE_SECONDS),
        on_output=ProgressReader(probe.duration, on_progress).take if on_progress else None,
    )
    return sizes


def transcode_arguments(wanted: Sequence[Transcode], sizes: Sequence[Size], *, sound: bool) -> list[str]:
    """H.264 and AAC in MP4 that starts playing before it is loaded. ffmpeg has turned the pictures upright before our filter sees them."""
    pieces = "".join(f"[s{n}]" for n in range(len(wanted)))
    scaled = [f"[s{n}]scale={width}:{height},setsar=1,format=yuv420p[v{n}]" for n, (width, height) in enumerate(sizes)]
    arguments = ["-progress", "pipe:1", "-filter_complex", ";".join([f"[0:V:0]split={len(wanted)}{pieces}", *scaled])]
    for n, copy in enumerate(wanted):
        arguments += ["-map", f"[v{n}]", "-c:v", "libx264", "-preset", "fast", "-b:v", copy.bit_rate]
        arguments += ["-map", "0:a:0", "-c:a", "aac", "-b:a", "128k", "-ac", "2"] if sound else []
        arguments += ["-map_metadata", "-1", "-map_chapters", "-1", "-movflags", "+faststart", "-f", "mp4", f"file:{copy.to}"]
    return arguments


class ProgressReader:
    """Turns ``-progress`` lines (``out_time_us=1500000``) into per cent of ``duration`` seconds, each whole per cent once."""

    def __init__(self, duration: float, report: Callable[[float], None]) -> None:
        self._duration = duration
        self._report = report
        self._last = -1

    def take(self, line: str) -> None:
        name, _, value = line.partition("=")
        if name != "out_time_us" or not value.isdigit() or self._duration <= 0:
            return
        percent = min(99, int(int(value) / self._duration / 10_000))
        if percent > self._last:
            self._last = percent
            self._report(percent)


def _sound(probe: Probe) -> dict[str, object] | None:
    if probe.audio is None:
        return None
    return present({"codec": probe.audio.codec, "channels": channels(probe.audio), "sampleRate": sample_rate(probe.audio)})


def _bit_depth(pixel_format: str | None) -> int | None:
    """``yuv420p10le`` has 10 bits a sample; a name without a number at that place has 8."""
    if not pixel_format:
        return None
    found = re.search(r"p(\d{1,2})(?:le|be)$", pixel_format)
    return int(found[1]) if found else 8
