"""What is inside a video or audio file, without ffprobe.

ffmpeg's banner on stderr is made for people and changes with its version, so it is not read, but for one line that stands nowhere else:
the profile of Dolby Vision. Three of its outputs have a format made for programs, and those are what we ask for:

* ``framecrc`` of the copied packets: one line a packet with time, duration and size, after a header that names codec,
  sample rate and channel layout. Durations and bit rates come out exact, even where the container's header lies or is missing.
* ``framecrc`` of the first decoded picture: its size after rotation and its pixel aspect ratio. It proves, too, that the
  picture can be decoded at all.
* ``ffmetadata``: the tags and chapters.

The arguments and the parsing are pure; ``probe`` only runs them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import DECODES_NOTHING, Ffmpeg
from kayan_workers.media.films import ending
from kayan_workers.media.geometry import Size
from kayan_workers.media.sniff import sniff

MAX_PIXELS = 8192 * 4352
"""The largest picture of a film that is decoded: the largest of H.264 and HEVC at level 6, an 8K frame."""

_BYTES_PER_SECOND = 4_000_000
"""The slowest disk we are patient with: sets the time limit of a probe, which reads the file once."""
_DISCARDED = 0x4
_DURATION_LIMIT_SECONDS = 2**31 - 1
_HDR_TRANSFERS = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
_ALPHA_FORMATS = re.compile(r"yuva|gbrap|rgba|argb|bgra|abgr|ya\d|ayuv|vuya|pal8")
_DOVI_RECORD = re.compile(
    r"^\[info\] {5}Side data:\n(?:\[info\] {7}.*\n)*?"
    r"\[info\] {7}DOVI configuration record: .*?\bprofile: (?P<profile>\d+),.*?\bcompatibility id: (?P<base>\d+)", re.MULTILINE,
)  # fmt: skip
_STEADY_SHARE = 0.95
_DISTINCT_STEPS = 1000
_MAX_TAGS_BYTES = 4_000_000
_MAX_TAG_CHARACTERS = 500
NO_PICTURE = "not one picture of the video can be decoded: it is damaged, or breaks off"
WHOLE = "upload the whole file again"
_NOTHING_IN_IT = "it holds neither video nor sound: it is damaged, or a file of another kind"


class OnlySoundError(PermanentError):
    """There are no moving pictures, though perhaps a cover picture."""

    def __init__(self) -> None:
        super().__init__("it has no moving pictures, only sound", "upload it as an audio file")


@dataclass(slots=True)
class Stream:
    """One copied stream. Times are in seconds from the start of the file, sizes in bytes."""

    kind: str
    codec: str = "unknown"
    header: dict[str, str] = field(default_factory=dict)
    time_base: Fraction = Fraction(1)
    packets: int = 0
    shown: int = 0
    """Packets less those that are decoded but not played: an encoder's run-in, or what an edit cut away."""
    size: int = 0
    first: int | None = None
    end: int = 0
    steps: Counter[int] = field(default_factory=Counter)
    """How often each distance between two packets occurs, in units of ``time_base``."""
    last_decoded: int | None = None

    @property
    def seconds(self) -> float:
        return float((self.end - (self.first or 0)) * self.time_base)

    @property
    def bit_rate(self) -> int | None:
        """Bits per second."""
        return round(self.size * 8 / self.seconds) if self.seconds > 0 else None

    @property
    def is_steady(self) -> bool:
        """Whether the packets follow each other at one pace, but for what rounding to ``time_base`` does to it."""
        if not self.steps:
            return True
        usual = self.steps.most_common(1)[0][0]
        near = sum(count for step, count in self.steps.items() if abs(step - usual) <= max(1, usual // 20))
        return near >= self.steps.total() * _STEADY_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The first decoded picture of a video: its size as a viewer sees it (pixels), and how its colours are coded.

    ``matrix``, ``primaries`` and ``transfer`` are ffmpeg's names (``bt709``), None where the file does not say.
    """

    size: Size
    pixel_format: str | None = None
    matrix: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    is_full_range: bool = False
    is_interlaced: bool = False
    is_dolby_vision: bool = False
    dolby_vision_profile: str | None = None
    """``8.4`` and the like, None where the file does not say."""
    is_dolby_vision_alone: bool = False
    """Whether there is no picture in ordinary colours below it, as in profile 5."""

    @property
    def hdr(self) -> str | None:
        """``PQ``, ``HLG``, ``Dolby Vision`` where there is nothing else, or None for a picture of standard range."""
        return "Dolby Vision" if self.is_dolby_vision_alone else _HDR_TRANSFERS.get(self.transfer or "")

    @property
    def has_alpha(self) -> bool:
        return bool(_ALPHA_FORMATS.match(self.pixel_format or ""))

    @property
    def bit_depth(self) -> int | None:
        """``yuv420p10le`` has 10 bits a sample; a name without a number at that place has 8."""
        if not self.pixel_format:
            return None
        found = re.search(r"(?:p|gray)(\d{1,2})(?:le|be)$", self.pixel_format)
        return int(found[1]) if found else 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A whole file. ``duration`` is in seconds, ``bit_rate`` in bits per second; ``audio`` is the first of ``audio_tracks`` streams."""

    duration: float
    bit_rate: int | None
    video: Stream | None
    audio: Stream | None
    picture: Picture | None
    lacks_its_pictures: bool
    """Whether the file announces moving pictures and holds none: it breaks off, or is damaged, before the first."""
    breaks_off: bool
    """Whether it certainly ends before it should: see ``ending``."""
    audio_tracks: int
    subtitles: int
    chapters: int
    tags: dict[str, str]


def probe(ffmpeg: Ffmpeg, source: Path) -> Probe:
    """Read a video or audio file once, and decode its first picture.

    A file that breaks off is as long as what is left of it. Raises PermanentError when it holds neither video nor audio, or its
    first picture cannot be decoded.
    """
    size = source.stat().st_size
    packets = PacketReader()
    try:
        ffmpeg.run(source, packet_arguments(), time_limit_seconds=60 + size / _BYTES_PER_SECOND, on_output=packets.take)
    except PermanentError as error:
        raise _explained(error, source) from error
    video, audio = packets.stream("video"), packets.stream("audio")
    if video is None and audio is None:
        raise PermanentError(_NOTHING_IN_IT)
    picture = first_picture(ffmpeg, source) if video is not None else None
    format_name = sniff(source).name
    are_of_streams = format_name == "Ogg"  # it has no tags of the file, only of each stream
    listing = _metadata(ffmpeg, source, are_of_streams=are_of_streams)
    duration = min(packets.seconds, _DURATION_LIMIT_SECONDS)
    return Probe(
        duration=duration,
        bit_rate=round(size * 8 / duration) if duration > 0 else None,
        video=video,
        audio=audio,
        picture=picture,
        lacks_its_pictures=video is None and packets.count("video") > 0,
        breaks_off=ending.breaks_off(
            source, format_name, packets=audio.packets if audio else 0, samples=samples(audio) if audio else 0,
        ),
        audio_tracks=packets.count("audio"),
        subtitles=packets.count("subtitle"),
        chapters=chapters(listing),
        tags=read_tags(listing, are_of_streams=are_of_streams),
    )


def first_picture(ffmpeg: Ffmpeg, source: Path) -> Picture:
    """Decode the first picture of a video. Raises PermanentError when there is none, or it cannot be decoded."""
    header: list[str] = []
    try:
        log = ffmpeg.run(
            source, picture_arguments(), before_input=decoding(), time_limit_seconds=60, on_output=header.append, log_level="info"
        )
    except PermanentError as error:
        raise _explained(error, source) from error
    return read_picture(header, log)


def beginning(ffmpeg: Ffmpeg, source: Path, seconds: float) -> float:
    """How long the video is, in seconds, without reading more of it than its first ``seconds``."""
    packets = PacketReader()
    ffmpeg.run(
        source, ["-map", "0:V:0", "-c", "copy", "-f", "framecrc", "pipe:1"], before_input=["-t", f"{seconds:.3f}"],
        time_limit_seconds=60, on_output=packets.take,
    )  # fmt: skip
    return packets.seconds


def decoding() -> list[str]:
    """Options of an input that is decoded: no picture larger than we can hold, and no thread for every processor of the machine.

    Decoding is never what we wait for, and each further thread holds a picture or two, 25 MB each in a film of 4K and ten bits.
    """
    return ["-max_pixels", str(MAX_PIXELS), "-threads", "1"]


def packet_arguments() -> list[str]:
    """Copy the packets of the first video stream (``V``: no cover picture), of sound and of subtitles into a listing."""
    return ["-map", "0:V:0?", "-map", "0:a?", "-map", "0:s?", "-c", "copy", "-f", "framecrc", "pipe:1"]


def picture_arguments() -> list[str]:
    """Decode one picture; ``showinfo`` adds its colours to the log."""
    return ["-map", "0:V:0", "-frames:v", "1", "-vf", "showinfo=checksum=0", "-c:v", "rawvideo", "-f", "framecrc", "pipe:1"]


def tag_arguments(to: Path, *, are_of_streams: bool) -> list[str]:
    """Into a file, not a pipe: old tags are in no encoding that a pipe of text could carry.

    What the container says of the file is copied to the first stream, where ffmpeg does not write its own name over its program's.
    """
    streams = ["-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy", "-fflags", "+bitexact"]
    return [*streams, *([] if are_of_streams else ["-map_metadata:s:0", "0:g"]), "-f", "ffmetadata", f"file:{to}"]


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
        """The first stream of that kind that has anything in it, if the file has one."""
        return next((stream for stream in self._streams.values() if stream.kind == kind and stream.packets), None)

    def count(self, kind: str) -> int:
        return sum(stream.kind == kind for stream in self._streams.values())

    @property
    def seconds(self) -> float:
        """From the first to the last moment of any stream that is seen or heard."""
        played = [s for s in self._streams.values() if s.packets and s.kind != "subtitle"]
        spans = [(float((s.first or 0) * s.time_base), float(s.end * s.time_base)) for s in played]
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
        if _is_discarded(parts[6:]):  # no player plays it
            return
        moment = pts if abs(pts) < 2**62 else dts
        if abs(moment) >= 2**62:
            return
        stream.shown += 1
        stream.first = moment if stream.first is None else min(stream.first, moment)
        stream.end = max(stream.end, moment + max(duration, 0))
        if stream.kind == "video":
            _note_step(stream, dts)


def _note_step(stream: Stream, dts: int) -> None:
    if stream.last_decoded is not None and len(stream.steps) < _DISTINCT_STEPS:
        stream.steps[dts - stream.last_decoded] += 1
    stream.last_decoded = dts


def read_picture(header: list[str], log: list[str]) -> Picture:
    """The upright size of the first picture, with square pixels: wide pixels make it wider, tall ones taller."""
    fields = {name.rpartition(" ")[0]: value.strip() for name, _, value in (line[1:].partition(": ") for line in header if line[:1] == "#")}
    found = re.fullmatch(r"(\d+)x(\d+)", fields.get("dimensions", ""))
    if not found or not (int(found[1]) and int(found[2])) or not any(line[:1].isdigit() for line in header):
        raise PermanentError(NO_PICTURE, WHOLE)
    width, height = int(found[1]), int(found[2])
    aspect = _ratio(fields.get("sar", ""), "/")
    if aspect and Fraction(1, 20) <= aspect <= 20:
        width, height = (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
    said = " ".join(line for line in log if line.startswith("[Parsed_showinfo"))
    profile, is_alone = _dolby_vision(log)
    return Picture(
        size=(width, height),
        pixel_format=_word(said, "fmt"),
        matrix=_word(said, "color_space"),
        primaries=_word(said, "color_primaries"),
        transfer=_word(said, "color_trc"),
        is_full_range=_word(said, "color_range") == "pc",
        is_interlaced=_word(said, "i") in ("T", "B"),
        is_dolby_vision=profile is not None or "side data - Dolby Vision" in said,
        dolby_vision_profile=profile,
        is_dolby_vision_alone=is_alone,
    )


def _dolby_vision(log: list[str]) -> tuple[str | None, bool]:
    """Dolby Vision's profile out of the banner's side data, where no tag can stand, and whether no ordinary picture is below it.

    Only in these profiles can there be none; some programs forget to say which there is in the others.
    """
    found = _DOVI_RECORD.search("\n".join(log))
    if not found:
        return None, False
    profile, base = found["profile"], found["base"]
    return ("5", True) if profile == "5" else (f"{profile}.{base}", base == "0" and profile in ("10", "20"))


def read_tags(lines: Iterable[str], *, are_of_streams: bool = False) -> dict[str, str]:
    """The tags that ``ffmetadata`` lists of the first stream (of all: the first that has one); names in lower case.

    A backslash frees the character after it, a line's end included, from its meaning.
    """
    tags: dict[str, str] = {}
    streams = 0
    for entry in _entries(lines):
        streams += entry == "[STREAM]"
        if entry == "[CHAPTER]" or (streams > 1 and not are_of_streams):
            break
        found = re.match(r"((?:\\.|[^\\=])*)=(.*)", entry, re.DOTALL)
        if found and streams:
            name, value = (re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in found.groups())
            tags.setdefault(name.strip().lower(), in_its_letters(value.strip())[:_MAX_TAG_CHARACTERS])
    return tags


def chapters(lines: Iterable[str]) -> int:
    """How many chapters ``ffmetadata`` lists."""
    return _entries(lines).count("[CHAPTER]")


def _entries(lines: Iterable[str]) -> list[str]:
    return re.findall(r"(?:\\.|[^\\\n])+", "\n".join(lines), re.DOTALL)


def in_its_letters(text: str) -> str:
    """Arabic that an old tag editor wrote in its own code page, and ffmpeg took for Western letters, as Arabic.

    Words made of nothing but accented letters exist in no Western language, but are what Arabic in code page 1256 looks like.
    """
    words = re.findall(r"[^\W\d_]+", text)
    foreign = sum(len(word) for word in words if not re.search(r"[A-Za-z]", word))
    accented = sum(ord(letter) > 127 for letter in "".join(words))
    if foreign < 2 or foreign < accented * 0.8:
        return text
    with suppress(UnicodeError):
        return text.encode("latin-1").decode("cp1256")
    return text


def frame_rate(video: Stream) -> float | None:
    """Pictures a second, on average."""
    return round(video.shown / video.seconds, 3) if video.seconds > 0 else None


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


def layout(audio: Stream) -> str | None:
    """The name of the channels' arrangement."""
    return audio.header.get("channel_layout_name")


def sample_rate(audio: Stream) -> int | None:
    """Samples a second."""
    rate = audio.header.get("sample_rate", "")
    return int(rate) if rate.isdigit() and 0 < int(rate) < 2**31 else None


def samples(audio: Stream) -> int:
    """Of each channel, from the first that is played to the last."""
    return round(audio.seconds * (sample_rate(audio) or 0))


def _metadata(ffmpeg: Ffmpeg, source: Path, *, are_of_streams: bool) -> list[str]:
    """The lines of ``ffmetadata``."""
    listing = source.with_name("tags.txt")
    ffmpeg.run(source, tag_arguments(listing, are_of_streams=are_of_streams), before_input=["-t", "0"], time_limit_seconds=60)
    with listing.open("rb") as file:
        return [_decoded(line) for line in file.read(_MAX_TAGS_BYTES).split(b"\n")]


def _decoded(line: bytes) -> str:
    """ffmpeg writes UTF-8, except for the oldest tags of MP3 and AVI, which it passes on as they are."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _explained(error: PermanentError, source: Path) -> PermanentError:
    """What ffmpeg says of some common kinds of broken file, in words for whoever sent it."""
    said = str(error)
    if "moov atom not found" in said and sniff(source).family in ("video", "audio"):  # ffmpeg takes any rubbish named .mp4 for one
        return PermanentError("it is not complete: the index that an MP4 or MOV keeps at its end is missing", WHOLE)
    if "moov atom not found" in said or "not contain any stream" in said:
        return PermanentError(_NOTHING_IN_IT)
    if "matches no streams" in said:
        return OnlySoundError()
    if "Picture size" in said:
        return PermanentError(
            f"not one picture of the video can be decoded: each is damaged, or larger than {MAX_PIXELS // 1_000_000} million pixels"
        )
    if said.startswith(DECODES_NOTHING):
        return PermanentError(NO_PICTURE, WHOLE)
    return error


def _is_discarded(extras: list[str]) -> bool:
    flags = next((extra.strip() for extra in extras if extra.strip().startswith("F=")), "F=0x0")
    return bool(int(flags[2:], 16) & _DISCARDED)


def _word(said: str, name: str) -> str | None:
    """What ``showinfo`` says of one property; ``unknown`` is nothing said."""
    found = re.search(rf" {name}:([\w-]+)", said)
    return found[1] if found and found[1] not in ("unknown", "unspecified", "reserved") else None


def _ratio(text: str, sign: str) -> Fraction | None:
    numerator, _, denominator = text.partition(sign)
    if numerator.isdigit() and denominator.isdigit() and int(numerator) and int(denominator):
        return Fraction(int(numerator), int(denominator))
    return None
