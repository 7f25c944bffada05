"""What is inside a video or audio file, without ffprobe.

ffmpeg's banner on stderr is made for people and changes with its version, so it is not read. Three of its outputs have a
format made for programs, and those are what we ask for:

* ``framecrc`` of the copied packets: one line a packet with time, duration and size, after a header that names codec,
  sample rate and channel layout. Durations and bit rates come out exact, even where the container's header lies or is missing.
* ``framecrc`` of the first decoded picture: its size after rotation and its pixel aspect ratio. It proves, too, that the
  picture can be decoded at all.
* ``ffmetadata``: the tags.

The arguments and the parsing are pure; ``probe`` only runs them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.geometry import Size

_BYTES_PER_SECOND = 4_000_000
"""The slowest disk we are patient with: sets the time limit of a probe, which reads the file once."""
_DISCARDED = 0x4
_DURATION_LIMIT_SECONDS = 2**31 - 1
_HDR_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}


@dataclass(slots=True)
class Stream:
    """One copied stream. Times are in seconds from the start of the file, sizes in bytes."""

    kind: str
    codec: str = "unknown"
    header: dict[str, str] = field(default_factory=dict)
    time_base: Fraction = Fraction(1)
    packets: int = 0
    size: int = 0
    first: int | None = None
    end: int = 0

    @property
    def seconds(self) -> float:
        return float((self.end - (self.first or 0)) * self.time_base)

    @property
    def bit_rate(self) -> int | None:
        """Bits per second."""
        return round(self.size * 8 / self.seconds) if self.seconds > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The first decoded picture of a video: its size as a viewer sees it (pixels), and how its colours are coded."""

    size: Size
    pixel_format: str | None = None
    hdr: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A whole file. ``duration`` is in seconds, ``bit_rate`` in bits per second."""

    duration: float
    bit_rate: int | None
    video: Stream | None
    audio: Stream | None
    picture: Picture | None
    tags: dict[str, str]


def probe(ffmpeg: Ffmpeg, source: Path) -> Probe:
    """Read a video or audio file once, and decode its first picture.

    Raises PermanentError when the file holds neither video nor audio, or its first picture cannot be decoded.
    """
    size = source.stat().st_size
    time_limit = 60 + size / _BYTES_PER_SECOND
    packets = PacketReader()
    ffmpeg.run(source, packet_arguments(), time_limit_seconds=time_limit, on_output=packets.take)
    video, audio = packets.stream("video"), packets.stream("audio")
    if video is None and audio is None:
        raise PermanentError("it holds neither video nor sound: it is damaged, or a file of another kind")
    picture = None
    if video is not None:
        header: list[str] = []
        log = ffmpeg.run(
            source, picture_arguments(), time_limit_seconds=60, on_output=header.append, log_level="info"
        )
        picture = read_picture(header, log)
    tags: list[str] = []
    ffmpeg.run(source, tag_arguments(), time_limit_seconds=60, on_output=tags.append)
    duration = min(packets.seconds, _DURATION_LIMIT_SECONDS)
    bit_rate = round(size * 8 / duration) if duration > 0 else None
    return Probe(duration=duration, bit_rate=bit_rate, video=video, audio=audio, picture=picture, tags=read_tags(tags))


def packet_arguments() -> list[str]:
    """Copy the packets of the first video stream (``V``: no cover picture) and the first audio stream into a listing."""
    return ["-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy", "-f", "framecrc", "pipe:1"]


def picture_arguments() -> list[str]:
    """Decode one picture; ``showinfo`` adds its colours to the log."""
    return ["-map", "0:V:0", "-frames:v", "1", "-vf", "showinfo=checksum=0", "-c:v", "rawvideo", "-f", "framecrc", "pipe:1"]


def tag_arguments() -> list[str]:
    return ["-f", "ffmetadata", "pipe:1"]


class PacketReader:
    """Reads ``framecrc`` line by line: ``#codec_id 0: h264`` headers, then ``stream, dts, pts, duration, size, crc, …``."""

    def __init__(self) -> None:
        self._streams: dict[int, Stream] = {}

    def take(self, line: str) -> None:
        if line.startswith("#"):
            self._header(line)
        elif line:
            self._packet(line)

    def stream(self, kind: str) -> Stream | None:
        """The stream of that kind, if the file has one with anything in it."""
        return next((stream for stream in self._streams.values() if stream.kind == kind and stream.packets), None)

    @property
    def seconds(self) -> float:
        """From the first to the last moment of any stream."""
        spans = [(float((s.first or 0) * s.time_base), float(s.end * s.time_base)) for s in self._streams.values() if s.packets]
        return max((end for _, end in spans), default=0.0) - min((start for start, _ in spans), default=0.0)

    def _header(self, line: str) -> None:
        name, _, value = line[1:].partition(": ")
        field_name, _, index = name.rpartition(" ")
        if not index.isdigit():
            return
        stream = self._streams.setdefault(int(index), Stream("unknown"))
        value = value.strip()
        if field_name == "media_type":
            stream.kind = value
        elif field_name == "codec_id":
            stream.codec = value
        elif field_name == "tb" and (base := _ratio(value, "/")):
            stream.time_base = base
        else:
            stream.header[field_name] = value

    def _packet(self, line: str) -> None:
        parts = line.split(",")
        try:
            index, dts, pts, duration, size = (int(part) for part in parts[:5])
        except ValueError:
            return
        stream = self._streams.get(index)
        if stream is None:
            return
        stream.packets += 1
        stream.size += size
        if _is_discarded(parts[6:]):  # the encoder's run-in, which no player plays
            return
        moment = pts if abs(pts) < 2**62 else dts
        if abs(moment) >= 2**62:
            return
        stream.first = moment if stream.first is None else min(stream.first, moment)
        stream.end = max(stream.end, moment + max(duration, 0))


def read_picture(header: list[str], log: list[str]) -> Picture:
    """The upright size of the first picture, with square pixels: wide pixels make it wider, tall ones taller."""
    fields = {name.rpartition(" ")[0]: value.strip() for name, _, value in (line[1:].partition(": ") for line in header if line[:1] == "#")}
    found = re.fullmatch(r"(\d+)x(\d+)", fields.get("dimensions", ""))
    if not found or not (int(found[1]) and int(found[2])) or not any(line[:1].isdigit() for line in header):
        raise PermanentError("not one picture of the video can be decoded")
    width, height = int(found[1]), int(found[2])
    aspect = _ratio(fields.get("sar", ""), "/")
    if aspect and Fraction(1, 20) <= aspect <= 20:
        width, height = (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
    colours = " ".join(line for line in log if line.startswith("[Parsed_showinfo"))
    pixel_format = re.search(r" fmt:(\w+)", colours)
    transfer = re.search(r" color_trc:([\w-]+)", colours)
    return Picture(
        size=(width, height),
        pixel_format=pixel_format[1] if pixel_format else None,
        hdr=_HDR_TRANSFERS.get(transfer[1]) if transfer else None,
    )


def read_tags(lines: list[str]) -> dict[str, str]:
    """The file's own tags from ``ffmetadata``, names in lower case; those of single streams and chapters are left out.

    A backslash frees the character after it, a line's end included, from its meaning.
    """
    tags: dict[str, str] = {}
    for entry in re.findall(r"(?:\\.|[^\\\n])+", "\n".join(lines), re.DOTALL):
        if entry.startswith("["):
            break
        found = re.match(r"((?:\\.|[^\\=])*)=(.*)", entry, re.DOTALL)
        if found and not entry.startswith(";"):
            name, value = (re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in found.groups())
            tags[name.strip().lower()] = value.strip()[:500]
    return tags


def frame_rate(video: Stream) -> float | None:
    """Pictures a second, on average."""
    return round(video.packets / video.seconds, 3) if video.seconds > 0 else None


def channels(audio: Stream) -> int | None:
    """How many channels a layout has, from its name (``stereo``, ``5.1(side)``, ``4 channels``)."""
    layout = audio.header.get("channel_layout_name", "")
    if found := re.match(r"(\d+) channels", layout):
        return int(found[1])
    named = {"mono": 1, "stereo": 2, "downmix": 2, "quad": 4, "quad(side)": 4, "hexagonal": 6, "octagonal": 8, "cube": 8}
    if layout in named:
        return named[layout]
    digits = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", layout)
    return sum(int(part) for part in digits.groups() if part) if digits else None


def sample_rate(audio: Stream) -> int | None:
    """Samples a second."""
    rate = audio.header.get("sample_rate", "")
    return int(rate) if rate.isdigit() and 0 < int(rate) < 2**31 else None


def _is_discarded(extras: list[str]) -> bool:
    flags = next((extra.strip() for extra in extras if extra.strip().startswith("F=")), "F=0x0")
    return bool(int(flags[2:], 16) & _DISCARDED)


def _ratio(text: str, sign: str) -> Fraction | None:
    numerator, _, denominator = text.partition(sign)
    if numerator.isdigit() and denominator.isdigit() and int(numerator) and int(denominator):
        return Fraction(int(numerator), int(denominator))
    return None
