"""Video and sound described without ffprobe, over every container and codec the app's users send."""

from __future__ import annotations

from pathlib import Path

import pytest
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media import audio, video
from kayan_workers.media.probe import PacketReader, Stream, channels, frame_rate, probe, read_picture, read_tags
from unit.media.conftest import Make

FAST = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
FILMS = {
    "a.mp4": (FAST, "h264", "aac"), "a.mov": (FAST, "h264", "aac"), "a.mkv": (FAST, "h264", "aac"), "a.ts": (FAST, "h264", "aac"),
    "a.flv": (FAST, "h264", "aac"), "a.3gp": (FAST, "h264", "aac"),
    "a.webm": (["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"], "vp8", "opus"),
    "vp9.webm": (["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libvorbis"], "vp9", "vorbis"),
    "a.avi": (["-c:v", "mpeg4", "-c:a", "libmp3lame"], "mpeg4", "mp3"), "a.wmv": (["-c:v", "wmv2", "-c:a", "wmav2"], "wmv2", "wmav2"),
    "a.mpg": (["-c:v", "mpeg2video", "-c:a", "mp2"], "mpeg2video", "mp2"),
    "hevc.mp4": (["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-c:a", "aac"], "hevc", "aac"),
}  # fmt: skip
SOUNDS = {
    "s.mp3": ([], "mp3"), "s.wav": ([], "pcm_s16le"), "s.flac": ([], "flac"), "s.ogg": (["-c:a", "libvorbis"], "vorbis"),
    "s.opus": (["-c:a", "libopus"], "opus"), "s.m4a": (["-c:a", "aac"], "aac"), "s.aac": (["-c:a", "aac"], "aac"),
    "s.aiff": ([], "pcm_s16be"), "s.wma": (["-c:a", "wmav2"], "wmav2"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "how"), FILMS.items(), ids=list(FILMS))
def test_every_container_tells_length_size_rate_and_codecs(ffmpeg: Ffmpeg, make: Make, name: str, how: tuple[list[str], str, str]) -> None:
    options, codec, sound = how

    facts = video.describe(probe(ffmpeg, make(name, options=options)))

    assert facts.duration_seconds == pytest.approx(2.0, abs=0.09)
    assert (facts.width, facts.height) == (320, 240)
    assert facts.metadata["codec"] == codec
    assert facts.details["frameRate"] == pytest.approx(25, abs=0.7)
    assert facts.metadata["audio"] == {"codec": sound, "channels": 1, "sampleRate": 48000 if sound == "opus" else 44100}
    bit_rate = facts.metadata["bitrate"]
    assert isinstance(bit_rate, int)
    assert bit_rate == pytest.approx(make(name).stat().st_size * 8 / 2000, rel=0.06)


@pytest.mark.parametrize(("name", "how"), SOUNDS.items(), ids=list(SOUNDS))
def test_every_sound_format_tells_length_rate_and_channels(ffmpeg: Ffmpeg, make: Make, name: str, how: tuple[list[str], str]) -> None:
    options, codec = how

    facts = audio.describe(probe(ffmpeg, make(name, size=None, options=options)))

    assert facts.duration_seconds == pytest.approx(2.0, abs=0.06)
    assert facts.metadata["codec"] == codec
    assert facts.metadata["channels"] == 1
    assert facts.metadata["sampleRate"] == (48000 if codec == "opus" else 44100)
    assert facts.width is None


def test_a_clip_shorter_than_a_second_keeps_its_milliseconds(ffmpeg: Ffmpeg, make: Make) -> None:
    facts = video.describe(probe(ffmpeg, make("blink.mp4", seconds=0.4, options=FAST)))

    assert facts.metadata["durationMs"] == 400


@pytest.mark.parametrize(("degrees", "size"), [(90, (240, 320)), (180, (320, 240)), (270, (240, 320))])
def test_a_phone_video_has_the_size_a_viewer_sees(ffmpeg: Ffmpeg, make: Make, remade: Make, degrees: int, size: tuple[int, int]) -> None:
    turned = remade(make("a.mp4", options=FAST), f"turned{degrees}.mp4", before=["-display_rotation", str(degrees)])

    facts = video.describe(probe(ffmpeg, turned))

    assert (facts.width, facts.height) == size


def test_pixels_that_are_not_square_make_the_picture_wider_and_turn_with_it(ffmpeg: Ffmpeg, make: Make, remade: Make) -> None:
    wide = remade(make("a.mp4", options=FAST), "wide.mp4", after=["-vf", "setsar=4/3", *FAST])
    upright = remade(wide, "wide-turned.mp4", before=["-display_rotation", "90"])

    assert video.describe(probe(ffmpeg, wide)).width == 427
    facts = video.describe(probe(ffmpeg, upright))
    assert (facts.width, facts.height) == (240, 427)


def test_high_dynamic_range_and_ten_bits_are_noticed(ffmpeg: Ffmpeg, make: Make) -> None:
    options = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-an",
               "-x265-params", "log-level=none:transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc"]  # fmt: skip

    facts = video.describe(probe(ffmpeg, make("hdr.mp4", sound=False, options=options)))

    assert facts.metadata["hdr"] == "PQ"
    assert facts.details["bitDepth"] == 10


def test_a_silent_video_says_so(ffmpeg: Ffmpeg, make: Make) -> None:
    facts = video.describe(probe(ffmpeg, make("silent.mp4", sound=False, options=FAST[:6])))

    assert facts.metadata["hasAudio"] is False
    assert "audio" not in facts.metadata


def test_sound_without_pictures_is_no_video_and_a_silent_film_is_no_sound(ffmpeg: Ffmpeg, make: Make) -> None:
    with pytest.raises(PermanentError, match="no moving pictures"):
        video.describe(probe(ffmpeg, make("s.mp3", size=None)))
    with pytest.raises(PermanentError, match="no sound"):
        audio.describe(probe(ffmpeg, make("silent.mp4", sound=False, options=FAST[:6])))


def test_a_cover_picture_does_not_make_a_song_a_video(ffmpeg: Ffmpeg, make: Make, remade: Make, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (90, 60), (200, 0, 0)).save(tmp_path / "cover.png")
    song = remade(make("s.mp3", size=None), "covered.mp3", after=[
        "-i", str(tmp_path / "cover.png"), "-map", "0", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic",
        "-metadata", "title=كيان=live; #1", "-metadata", "artist=Mona\nand band",
    ])  # fmt: skip

    found = probe(ffmpeg, song)
    audio.cover(ffmpeg, song, tmp_path / "found")

    assert found.video is None
    assert audio.describe(found).metadata["tags"] == {"title": "كيان=live; #1", "artist": "Mona\nand band"}
    assert Image.open(tmp_path / "found").size == (90, 60)


def test_a_song_without_a_cover_says_so(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="carries no cover"):
        audio.cover(ffmpeg, make("s.wav", size=None), tmp_path / "cover")


@pytest.mark.parametrize("content", [b"", b"x" * 10_000, b"\0" * 10_000])
def test_what_is_no_video_at_all_is_a_permanent_error(ffmpeg: Ffmpeg, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)

    with pytest.raises(PermanentError):
        probe(ffmpeg, path)


def test_a_video_that_breaks_off_in_the_middle_is_as_long_as_what_is_left(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    whole = make("a.mkv", options=FAST).read_bytes()
    (tmp_path / "half.mkv").write_bytes(whole[: len(whole) // 2])

    assert 0.5 < probe(ffmpeg, tmp_path / "half.mkv").duration < 1.5


def test_packets_without_a_time_fall_back_to_when_they_are_decoded_and_run_in_is_not_counted() -> None:
    reader = PacketReader()
    for line in [
        "#tb 0: 1/1000", "#media_type 0: video", "#codec_id 0: h264",
        "0, -40, -40, 40, 10, 0x1, F=0x5", "0, 0, -9223372036854775808, 40, 100, 0x1", "0, 40, 40, 40, 100, 0x1, F=0x0", "broken line",
    ]:  # fmt: skip
        reader.take(line)

    stream = reader.stream("video")

    assert stream is not None
    assert reader.seconds == pytest.approx(0.08)
    assert stream.size == 210


def test_the_title_of_a_file_cannot_pretend_to_be_ffmpegs_own_words() -> None:
    header = ["#dimensions 0: 320x240", "#sar 0: 1/1", "0, 0, 0, 1, 115200, 0x1"]
    log = ["    title : [Parsed_showinfo_0 @ 0x1] n: 0 fmt:evil color_trc:smpte2084", "[Parsed_showinfo_0 @ 0x1] n: 0 fmt:yuv420p"]

    found = read_picture(header, log)

    assert found.pixel_format == "yuv420p"
    assert found.hdr is None


def test_tags_end_where_the_streams_own_begin() -> None:
    tags = read_tags([";FFMETADATA1", "Title=a\\=b\\;c", "comment=two\\", "[lines]", "[STREAM]", "title=of a stream"])

    assert tags["title"] == "a=b;c"
    assert tags["comment"] == "two\n[lines]"


@pytest.mark.parametrize(
    ("layout", "count"),
    [("mono", 1), ("stereo", 2), ("2.1", 3), ("5.1(side)", 6), ("7.1", 8), ("5.1.2", 8), ("quad", 4), ("12 channels (FL)", 12), ("", None)],
)
def test_a_channel_layout_is_counted(layout: str, count: int | None) -> None:
    assert channels(Stream("audio", header={"channel_layout_name": layout})) == count


def test_a_stream_without_length_has_no_rates() -> None:
    stream = Stream("video", packets=1, size=100, first=0, end=0)

    assert frame_rate(stream) is None
    assert stream.bit_rate is None
