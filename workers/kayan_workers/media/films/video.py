"""Videos: what they are, and smaller copies made in one decode."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.facts import Facts, camera_name, present
from kayan_workers.media.films import cpus, film_colours
from kayan_workers.media.films.poster import poster
from kayan_workers.media.films.probe import (
    WHOLE,
    OnlySoundError,
    Picture,
    Probe,
    Stream,
    channels,
    decoding,
    frame_rate,
    layout,
    probe,
    sample_rate,
)
from kayan_workers.media.geometry import Size, fit_even
from kayan_workers.media.images import images
from kayan_workers.media.rendition import FilmSizes, Rendition, Transcode

_LONGEST_TRANSCODE_SECONDS = 6 * 3600.0
_PLAIN_TAGS = ("title", "artist", "album", "date", "genre", "comment", "encoder")
_QUICKTIME = "com.apple.quicktime."
_MOST_PICTURES_A_SECOND = 60
_SECONDS_BETWEEN_KEYFRAMES = 2
"""How far a player has to go back when somebody jumps into the film."""
_FRUGAL = {"hevc", "av1", "vp9", "vvc"}
"""Codecs that say in half the bits what H.264 says."""
_LEAST_KBIT = 100
_MOST_THREADS = 2
"""Of one encoder. Copies are encoded side by side, and films too; each thread holds pictures in memory."""
_FORESIGHT = 10
"""Pictures that an encoder holds back to plan ahead: each costs 7 MB at 1920x1080, and the preset's own 30 save few bits."""


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
        "variableFrameRate": True if not video.is_steady else None,
        "interlaced": True if picture.is_interlaced else None,
        "hdr": picture.hdr,
        "dolbyVision": True if picture.is_dolby_vision else None,
        "dolbyVisionProfile": picture.dolby_vision_profile,
        "hasAudio": probe.audio is not None,
        "audio": _sound(probe),
        "audioTracks": probe.audio_tracks if probe.audio_tracks > 1 else None,
        "subtitles": probe.subtitles or None,
        "chapters": probe.chapters or None,
        "damaged": True if probe.breaks_off else None,
    })  # fmt: skip
    latitude, longitude = _place(probe.tags)
    return Facts(
        width=picture.size[0],
        height=picture.size[1],
        duration_seconds=probe.duration,
        metadata=metadata,
        details={
            "codec": video.codec,
            "frameRate": frame_rate(video),
            "bitRate": probe.bit_rate,
            "colorSpace": picture.matrix or picture.pixel_format,
            "bitDepth": picture.bit_depth,
            "camera": camera_name(_told(probe.tags, "make", "manufacturer"), _told(probe.tags, "model")),
            "gpsLat": latitude,
            "gpsLng": longitude,
        },
        custom={**metadata, **present({
            "videoBitRate": video.bit_rate,
            "audioBitRate": probe.audio.bit_rate if probe.audio else None,
            "pixelFormat": picture.pixel_format,
            "takenAt": _taken_at(probe.tags),
            "tags": present({tag: probe.tags.get(tag) for tag in _PLAIN_TAGS}) or None,
        })},
    )  # fmt: skip


def moving(probe: Probe) -> tuple[Stream, Picture]:
    """The stream of moving pictures and the first of them. Raises PermanentError when there is only sound."""
    if probe.lacks_its_pictures:
        raise PermanentError("the film is damaged or breaks off: its sound can be read, but not one of its pictures", WHOLE)
    if probe.video is None or probe.picture is None:
        raise OnlySoundError
    return probe.video, probe.picture


def films(
    source: Path,
    wanted: Sequence[Transcode],
    stills: Sequence[Rendition],
    ffmpeg: Ffmpeg,
    on_progress: Callable[[float], None] | None = None,
) -> FilmSizes:
    """Write every wanted film, in one decode of the source, and every wanted still of its poster; returns their sizes."""
    films = transcode(ffmpeg, source, probe(ffmpeg, source), wanted, on_progress=on_progress) if wanted else []
    if not stills:
        return FilmSizes(films, [])
    frame = source.with_name("frame.png")
    poster(ffmpeg, source, frame)
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

    Pictures that are damaged are patched up or left out, as players do. ``on_progress`` receives per cent. Raises PermanentError when
    most of the source cannot be decoded, its colours cannot be told, or it takes longer than twenty times its length for each copy, or six
    hours.
    """
    _, picture = moving(probe)
    if picture.is_dolby_vision_alone:
        raise PermanentError(
            f"no copies are made of it: its colours are those of Dolby Vision profile {picture.dolby_vision_profile} alone, "
            "which only few players show, and a copy of it would be green and purple",
            "export it in HDR10, HLG or standard colours, and upload that",
        )
    sizes = [fit_even(picture.size, copy.box) for copy in wanted]
    ffmpeg.run(
        source,
        transcode_arguments(probe, wanted, sizes),
        before_input=decoding(),
        time_limit_seconds=min(120 + 20 * probe.duration * len(wanted), _LONGEST_TRANSCODE_SECONDS),
        on_output=ProgressReader(probe.duration, on_progress).take if on_progress else None,
    )
    return sizes


def transcode_arguments(probe: Probe, wanted: Sequence[Transcode], sizes: Sequence[Size]) -> list[str]:
    """H.264 and AAC in MP4 that starts playing before it is loaded. ffmpeg has turned the pictures upright before our filter sees them.

    Nothing of the source's tags is passed on: they may name a place.
    """
    video, picture = moving(probe)
    most = min(cpus.usable_cpus(), _MOST_THREADS)
    arguments = ["-progress", "pipe:1", "-filter_complex_threads", str(most), "-filter_complex", _graph(video, picture, sizes)]
    for n, copy in enumerate(wanted):
        threads = most if sizes[n] == max(sizes) else 1  # the largest is most of the work
        arguments += ["-map", f"[v{n}]", *encoding(video, copy), "-threads", str(threads)]
        arguments += ["-map", "0:a:0", "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"] if probe.audio else []
        arguments += ["-map_metadata", "-1", "-map_chapters", "-1", "-movflags", "+faststart", "-f", "mp4",
                      f"file:{copy.to}"]  # fmt: skip
    return arguments


def encoding(video: Stream, copy: Transcode) -> list[str]:
    """How pictures of ``video`` are encoded for ``copy``: as many bits as they need, up to its bit rate, and to what the source had."""
    kbit = kbit_ceiling(video, copy)
    rate = min(frame_rate(video) or 25, _MOST_PICTURES_A_SECOND)
    return ["-c:v", "libx264", "-preset", "fast", "-profile:v", "high", "-rc-lookahead", str(_FORESIGHT),
            "-crf", "23", "-maxrate", f"{kbit}k", "-bufsize", f"{2 * kbit}k",
            "-g", str(max(10, round(rate * _SECONDS_BETWEEN_KEYFRAMES)))]  # fmt: skip


def kbit_ceiling(video: Stream, copy: Transcode) -> int:
    """The most kbit/s a copy may have: what it is wanted at, but no more than the source has to tell."""
    ceiling = int(copy.bit_rate.removesuffix("k"))
    if not video.bit_rate:
        return ceiling
    told = video.bit_rate * (2 if video.codec in _FRUGAL else 1) // 1000
    return max(_LEAST_KBIT, min(ceiling, told))


def _graph(video: Stream, picture: Picture, sizes: Sequence[Size]) -> str:
    """One decode, each size made from the next larger one: the largest takes all the work on colours, the others are cheap."""
    order = sorted(range(len(sizes)), key=lambda n: sizes[n], reverse=True)
    slower = [f"fps={_MOST_PICTURES_A_SECOND}"] if (frame_rate(video) or 0) > _MOST_PICTURES_A_SECOND * 1.01 else []
    chain = ",".join([*slower, film_colours.shrunk(picture, sizes[order[0]])])
    parts = [f"[0:V:0]{chain}" + (f",split[v{order[0]}][r0]" if len(order) > 1 else f"[v{order[0]}]")]
    for step, n in enumerate(order[1:]):
        onward = f",split[v{n}][r{step + 1}]" if step + 2 < len(order) else f"[v{n}]"
        parts.append(f"[r{step}]scale={sizes[n][0]}:{sizes[n][1]}{onward}")
    return ";".join(parts)


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
    audio = probe.audio
    if audio is None:
        return None
    return present({"codec": audio.codec, "channels": channels(audio), "layout": layout(audio), "sampleRate": sample_rate(audio)})


def _told(tags: dict[str, str], *names: str) -> str | None:
    """A tag by any of its names, plain or as Apple and Android write them."""
    return next((tags[prefix + name] for name in names for prefix in (_QUICKTIME, "com.android.", "") if tags.get(prefix + name)), None)


def _place(tags: dict[str, str]) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees out of ISO 6709 (``+24.7136+046.6753+612.000/``)."""
    found = re.match(r"([+-]\d{2}(?:\.\d+)?)([+-]\d{3}(?:\.\d+)?)", _told(tags, "location.iso6709", "location") or "")
    if not found or abs(float(found[1])) > 90 or abs(float(found[2])) > 180:
        return None, None
    return float(found[1]), float(found[2])


def _taken_at(tags: dict[str, str]) -> str | None:
    """When it was filmed, in ISO 8601; clocks that were never set say 1904 or 1970."""
    moment = _told(tags, "creationdate", "creation_time") or ""
    found = re.match(r"(\d{4})-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2})?", moment)
    return found[0] if found and int(found[1]) > 1970 else None
