"""A film or a recording that was cut on its way here still plays, as far as it goes, and is called damaged; a whole one never is."""

from __future__ import annotations

import io
import struct
import subprocess
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.examine import examine
from kayan_workers.media.facts import Facts
from kayan_workers.media.file_type import FileType
from kayan_workers.media.films import ending

PICTURES = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=10"]
SOUND = ["-f", "lavfi", "-i", "sine=440:r=44100"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10", "-c:a", "aac"]
VP8 = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "-4", "-c:a", "libvorbis"]
FRAGMENTS = ["-movflags", "frag_keyframe+empty_moov"]
SOUND_ENDINGS = {".mp3", ".m4a", ".flac", ".ogg", ".opus", ".wav", ".aiff", ".aifc", ".caf", ".mka"}

TOLD = [
    ("fast.mp4", [*H264, "-movflags", "+faststart"]),
    ("fragments.mp4", [*H264, *FRAGMENTS]),
    ("indexed.mp4", [*H264, "-movflags", "cmaf+global_sidx"]),
    ("fast.mov", [*H264, "-c:a", "pcm_s16le", "-movflags", "+faststart"]),
    ("fast.m4a", ["-movflags", "+faststart"]),
    ("film.mkv", H264),
    ("index-first.mkv", [*H264, "-reserve_index_space", "2000"]),
    ("sound.mka", ["-c:a", "libopus", "-ar", "48000"]),
    ("film.webm", VP8),
    ("film.avi", ["-c:v", "mpeg4", "-c:a", "libmp3lame"]),
    ("motion.avi", ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "pcm_s16le"]),
    ("film.ogv", ["-c:v", "libtheora", "-c:a", "libvorbis"]),
    ("sound.wav", ["-c:a", "pcm_s16le"]),
    ("packed.wav", ["-c:a", "adpcm_ms"]),
    ("broadcast.wav", ["-c:a", "pcm_s24le", "-write_bext", "1", "-metadata", "title=Hall"]),
    ("large.wav", ["-c:a", "pcm_s16le", "-rf64", "always"]),
    ("sound.aiff", ["-c:a", "pcm_s16be", "-write_id3v2", "1", "-metadata", "title=Hall"]),
    ("sound.aifc", ["-c:a", "pcm_s16le", "-f", "aiff"]),
    ("sound.flac", ["-c:a", "flac", "-metadata", "title=Hall"]),
    ("short-frames.flac", ["-c:a", "flac", "-frame_size", "1152", "-sample_fmt", "s32", "-ar", "96000"]),
    ("sound.mp3", ["-c:a", "libmp3lame", "-b:a", "64k", "-metadata", "title=Hall"]),
    ("variable.mp3", ["-c:a", "libmp3lame", "-q:a", "4", "-ar", "22050", "-write_id3v1", "1", "-metadata", "title=Hall"]),
    ("sound.ogg", ["-c:a", "libvorbis"]),
    ("sound.opus", ["-c:a", "libopus", "-ar", "48000", "-page_duration", "200000"]),
]  # fmt: skip
"""Files that say how long they are, and whose players do not need their end."""
UNTOLD = [
    ("plain.mp4", H264),
    ("plain.mov", [*H264, "-c:a", "pcm_s16le"]),
    ("plain.m4a", []),
    ("live.mkv", [*H264, "-live", "1"]),
    ("without-a-head.mp3", ["-c:a", "libmp3lame", "-write_xing", "0"]),
    ("odd.wav", ["-c:a", "pcm_u8", "-af", "atrim=end_sample=44101"]),
    ("sound.caf", ["-c:a", "pcm_s16be"]),
    ("film.ts", ["-c:v", "mpeg2video", "-r", "25", "-c:a", "mp2"]),
    ("film.flv", ["-c:v", "flv", "-c:a", "libmp3lame"]),
]
PIPED = [
    ("film.mkv", ["-f", "matroska", *H264]),
    ("film.webm", ["-f", "webm", *VP8]),
    ("film.avi", ["-f", "avi", "-c:v", "mpeg4", "-c:a", "libmp3lame"]),
    ("film.mp4", ["-f", "mp4", *H264, *FRAGMENTS]),
    ("sound.wav", ["-f", "wav"]),
    ("sound.flac", ["-f", "flac"]),
    ("sound.mp3", ["-f", "mp3"]),
    ("sound.ogg", ["-f", "ogg", "-c:a", "libvorbis"]),
    ("sound.caf", ["-f", "caf", "-c:a", "pcm_s16be"]),
]  # fmt: skip
"""Files whose writer could not go back to write how long they became, as of a live recording."""


def written(ffmpeg: Ffmpeg, name: str, options: list[str], to: str) -> bytes:
    inputs = SOUND if Path(name).suffix in SOUND_ENDINGS else [*PICTURES, *SOUND]
    command = [ffmpeg.binary, "-nostdin", "-v", "error", "-y", *inputs, "-t", "3", *options, to]
    return subprocess.run(command, check=True, capture_output=True).stdout


def told(ffmpeg: Ffmpeg, film: Path) -> Facts:
    return examine(film, FileType.AUDIO if film.suffix in SOUND_ENDINGS else FileType.VIDEO, ffmpeg).facts


@pytest.mark.parametrize(("name", "options"), [*TOLD, *UNTOLD], ids=[name for name, _ in [*TOLD, *UNTOLD]])
def test_a_whole_film_is_not_called_damaged(tmp_path: Path, ffmpeg: Ffmpeg, name: str, options: list[str]) -> None:
    film = tmp_path / name
    written(ffmpeg, name, options, str(film))

    facts = told(ffmpeg, film)

    assert facts.duration_seconds == pytest.approx(1 if name == "odd.wav" else 3, abs=0.2)
    assert "damaged" not in facts.metadata


@pytest.mark.parametrize(("name", "options"), PIPED, ids=[name for name, _ in PIPED])
def test_a_recording_that_could_not_know_its_length_is_not_called_damaged(
    tmp_path: Path, ffmpeg: Ffmpeg, name: str, options: list[str]
) -> None:
    film = tmp_path / name
    film.write_bytes(written(ffmpeg, name, options, "pipe:1"))

    assert "damaged" not in told(ffmpeg, film).metadata


@pytest.mark.parametrize(("name", "options"), TOLD, ids=[name for name, _ in TOLD])
def test_a_film_that_was_cut_is_told_as_far_as_it_goes_and_called_damaged(
    tmp_path: Path, ffmpeg: Ffmpeg, name: str, options: list[str]
) -> None:
    whole = tmp_path / name
    written(ffmpeg, name, options, str(whole))
    data = whole.read_bytes()
    for part in (0.7, 0.95):
        cut = tmp_path / f"cut{whole.suffix}"
        cut.write_bytes(data[: int(len(data) * part)])

        facts = told(ffmpeg, cut)

        assert (facts.metadata["damaged"], facts.custom["damaged"]) == (True, True)
        assert facts.metadata["codec"]
        assert 1 < (facts.duration_seconds or 0) <= 3.2


def test_sound_that_another_program_wrote_is_whole_until_it_is_cut(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(8000)
        writer.writeframes(bytes(16_000))
    sound = tmp_path / "sound.wav"

    sound.write_bytes(out.getvalue())
    whole = told(ffmpeg, sound)
    sound.write_bytes(out.getvalue()[:-1000])
    cut = told(ffmpeg, sound)

    assert (whole.metadata.get("damaged"), cut.metadata.get("damaged")) == (None, True)


def test_flac_behind_a_tag_of_mp3_is_called_damaged_when_it_was_cut(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    sound = tmp_path / "sound.flac"
    written(ffmpeg, "sound.flac", [], str(sound))
    data = b"ID3\3\0\0\0\0\0\x0a" + bytes(10) + sound.read_bytes()

    sound.write_bytes(data)
    whole = told(ffmpeg, sound)
    sound.write_bytes(data[: len(data) // 2])
    cut = told(ffmpeg, sound)

    assert (whole.metadata.get("damaged"), cut.metadata.get("damaged")) == (None, True)


def box(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">I4s", 8 + len(body) if length is None else length, kind) + body


def long_box(length: int) -> bytes:
    return struct.pack(">I4sQ", 1, b"mdat", length) + bytes(100)


def chunk(name: bytes, body: bytes, length: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if length is None else length) + body


def riff(*chunks: bytes, name: bytes = b"WAVE", length: int | None = None) -> bytes:
    return chunk(b"RIFF", name + b"".join(chunks), length)


def segment(length: bytes) -> bytes:
    return b"\x1aE\xdf\xa3\x84\x42\x86\x81\1\x18\x53\x80\x67" + length + bytes(100)


def page(pieces: bytes, body: int) -> bytes:
    return b"OggS\0\0" + bytes(20) + bytes([len(pieces)]) + pieces + bytes(body)


def mp3(frames: int, size: int, *, flags: int = 3) -> bytes:
    return b"\xff\xfb\x90\x64" + bytes(32) + b"Info" + struct.pack(">III", flags, frames, size) + bytes(948)


def vbri(frames: int, size: int) -> bytes:
    return b"\xff\xfb\x90\x64" + bytes(32) + b"VBRI" + struct.pack(">HHHII", 1, 0, 75, size, frames) + bytes(946)


TYPE = box(b"ftyp", b"isom\0\0\2\0")
FORM = chunk(b"fmt ", bytes(16))


@pytest.mark.parametrize(
    ("format_name", "content", "damaged"),
    [
        ("MP4", TYPE + box(b"moov", bytes(50)) + box(b"mdat", bytes(100)), False),
        ("MP4", TYPE + box(b"moov", bytes(50)) + box(b"mdat", bytes(99), 108), True),
        ("MP4", TYPE + box(b"mdat", bytes(99), 0), False),
        ("MP4", TYPE + long_box(116), False),
        ("MP4", TYPE + long_box(117), True),
        ("MP4", TYPE + long_box(2**64 - 1), True),
        ("MP4", TYPE + box(b"mdat", bytes(50), 7), False),
        ("MP4", TYPE + box(b"mdat", bytes(50)) + bytes(4), False),
        ("MP4", TYPE + box(b"mdat", bytes(50)) + b"SEFT, what a camera appends", False),
        ("MP4", box(b"free", b"") * 200_000 + box(b"mdat", b"", 100), False),
        ("Matroska", segment(b"\xe4"), False),
        ("Matroska", segment(b"\xe5"), True),
        ("Matroska", segment(b"\xff"), False),
        ("Matroska", segment(b"\1" + b"\xff" * 7), False),
        ("Matroska", segment(b"\1" + b"\xff" * 6 + b"\xfe"), True),
        ("Matroska", segment(b"\x80"), False),
        ("Matroska", b"\x1aE\xdf\xa3\x80" * 200 + segment(b"\xe5"), False),
        ("Matroska", b"\x1aE\xdf\xa3\1", False),
        ("WAV", riff(FORM, chunk(b"data", bytes(1000))), False),
        ("WAV", riff(FORM, chunk(b"data", bytes(1000), 2000), length=2036), True),
        ("WAV", riff(FORM, chunk(b"data", bytes(1000), 2000)), False),
        ("WAV", riff(FORM, chunk(b"data", bytes(1000)), length=2036), False),
        ("WAV", riff(FORM, chunk(b"data", bytes(1000), 1044), length=1080), False),
        ("WAV", riff(FORM, chunk(b"data", bytes(1000), 0), length=0), False),
        ("WAV", riff(FORM, chunk(b"data", bytes(1000), 0xFFFFFFFF), length=0xFFFFFFFF), False),
        ("WAV", riff(FORM, chunk(b"data", bytes(1000), 0x7FFFF000), length=0x7FFFF024), False),
        ("WAV", riff(FORM, chunk(b"data", bytes(1000), 3_000_000_000), length=3_000_000_036), True),
        ("WAV", riff(chunk(b"JUNK", b"ab") * 20_000, chunk(b"data", b"", 500), length=2**30), False),
        ("AVI", riff(chunk(b"LIST", bytes(500)), name=b"AVI ") + riff(chunk(b"LIST", bytes(500)), name=b"AVIX"), False),
        ("AVI", riff(chunk(b"LIST", bytes(500)), name=b"AVI ") + riff(chunk(b"LIST", bytes(500), 900), name=b"AVIX", length=912), True),
        ("AIFF", b"FORM\0\0\x02\0AIFFSSND\0\0\1\xf4" + bytes(100), True),
        ("AIFF", b"FORM\x7f\0\0\x2eAIFFSSND\x7f\0\0\0" + bytes(100), False),
        ("Ogg", page(b"\x0a", 10) + page(b"\xff\x10", 271), False),
        ("Ogg", page(b"\x0a", 10) + page(b"\xff\x10", 270), True),
        ("Ogg", page(b"\x0a", 10) + page(b"\xff\x10", 0)[:20], True),
        ("Ogg", page(b"\x0a", 10) + b"TAG of another program", False),
        ("MP3", mp3(100, 1000), False),
        ("MP3", mp3(101, 1001), True),
        ("MP3", mp3(101, 1000), False),
        ("MP3", mp3(100, 1001), False),
        ("MP3", mp3(101, 1001, flags=1), False),
        ("MP3", b"ID3\4\0\x10\0\0\0\5" + bytes(15) + mp3(101, 1001), True),
        ("MP3", vbri(100, 1000), False),
        ("MP3", vbri(101, 1001), True),
        ("FLAC", b"fLaC\0\0\0\x22" + bytes(10) + b"\x0a\xc4\x42\xf0" + struct.pack(">I", 4411), True),
        ("FLAC", b"fLaC\0\0\0\x22" + bytes(10) + b"\x0a\xc4\x42\xf0" + struct.pack(">I", 4410), False),
        ("FLAC", b"fLaC\0\0\0\x22" + bytes(10) + b"\x0a\xc4\x42\xf0" + bytes(4), False),
        ("MPEG-TS", b"\x47" + bytes(100), False),
    ],
)  # fmt: skip
def test_only_what_is_certain_counts(tmp_path: Path, format_name: str, content: bytes, damaged: bool) -> None:
    source = tmp_path / "film"
    source.write_bytes(content)

    assert ending.breaks_off(source, format_name, packets=100, samples=4410) is damaged


HEADS = [
    TYPE, TYPE + b"\0\0\0\1mdat", b"\x1aE\xdf\xa3", b"\x1aE\xdf\xa3\x80\x18\x53\x80\x67", b"RIFF\0\1\0\0WAVE",
    b"RF64\xff\xff\xff\xffWAVEds64", b"FORM\0\1\0\0AIFF", b"OggS\0", b"fLaC\0", b"ID3\4\0\0", b"\xff\xfb\x90\x64Xing",
    b"\xff\xfb\x90\x64VBRI",
]  # fmt: skip


@given(head=st.sampled_from(HEADS), content=st.binary(max_size=200))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, head: bytes, content: bytes) -> None:
    source = tmp_path_factory.getbasetemp() / "any-film"
    source.write_bytes(head + content)

    for format_name in ("MP4", "Matroska", "WAV", "Ogg", "FLAC"):
        assert ending.breaks_off(source, format_name, packets=1, samples=1) in (True, False)
