"""Video and sound described without ffprobe, over every container and codec the app's users send."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import pytest
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.films import audio, video
from kayan_workers.media.films.poster import poster
from kayan_workers.media.films.probe import PacketReader, Stream, channels, frame_rate, probe, read_picture, read_tags
from unit.media.conftest import Make

FAST = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
FILMS = {
    "a.mp4": (FAST, "h264", "aac"), "a.mov": (FAST, "h264", "aac"), "a.mkv": (FAST, "h264", "aac"), "a.ts": (FAST, "h264", "aac"),
    "a.flv": (FAST, "h264", "aac"), "a.3gp": (FAST, "h264", "aac"),
    "a.webm": (["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "-4", "-c:a", "libopus"], "vp8", "opus"),
    "vp9.webm": (["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libvorbis"], "vp9", "vorbis"),
    "a.avi": (["-c:v", "mpeg4", "-c:a", "libmp3lame"], "mpeg4", "mp3"), "a.wmv": (["-c:v", "wmv2", "-c:a", "wmav2"], "wmv2", "wmav2"),
    "a.mpg": (["-c:v", "mpeg2video", "-c:a", "mp2"], "mpeg2video", "mp2"),
    "a.ogv": (["-c:v", "libtheora", "-b:v", "500k", "-c:a", "libvorbis"], "theora", "vorbis"),
    "a.mxf": (["-c:v", "mpeg2video", "-c:a", "pcm_s16le", "-ar", "48000"], "mpeg2video", "pcm_s16le"),
    "a.vob": (["-c:v", "mpeg2video", "-c:a", "mp2"], "mpeg2video", "mp2"),
    "live.webm": (["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "-4", "-c:a", "libopus", "-live", "1"], "vp8", "opus"),
    "hevc.mp4": (["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-c:a", "aac"], "hevc", "aac"),
}  # fmt: skip
SOUNDS = {
    "s.mp3": ([], "mp3"), "s.wav": ([], "pcm_s16le"), "s.flac": ([], "flac"), "s.ogg": (["-c:a", "libvorbis"], "vorbis"),
    "s.opus": (["-c:a", "libopus"], "opus"), "s.m4a": (["-c:a", "aac"], "aac"), "s.aac": (["-c:a", "aac"], "aac"),
    "s.aiff": ([], "pcm_s16be"), "s.wma": (["-c:a", "wmav2"], "wmav2"), "bare.mp3": (["-write_xing", "0"], "mp3"),
    "s.m4b": (["-c:a", "aac"], "aac"), "s.caf": ([], "pcm_s16be"), "s.amr": (["-c:a", "libopencore_amrnb", "-ar", "8000"], "amr_nb"),
    "s.au": ([], "pcm_s16be"), "s.dts": (["-c:a", "dca", "-strict", "-2"], "dts"), "s.thd": (["-c:a", "truehd", "-strict", "-2"], "truehd"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "how"), FILMS.items(), ids=list(FILMS))
def test_every_container_tells_length_size_rate_and_codecs(ffmpeg: Ffmpeg, make: Make, name: str, how: tuple[list[str], str, str]) -> None:
    options, codec, sound = how

    facts = video.describe(probe(ffmpeg, make(name, options=options)))

    assert facts.duration_seconds == pytest.approx(2.0, abs=0.09)
    assert (facts.width, facts.height) == (320, 240)
    assert facts.metadata["codec"] == codec
    assert facts.details["frameRate"] == pytest.approx(25, abs=0.7)
    rate = 48000 if sound == "opus" or name == "a.mxf" else 8000 if sound == "amr_nb" else 44100
    assert facts.metadata["audio"] == {"codec": sound, "channels": 1, "layout": "mono", "sampleRate": rate}
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
    assert facts.metadata["sampleRate"] == {"opus": 48000, "amr_nb": 8000}.get(codec, 44100)
    assert facts.width is None


def test_a_clip_shorter_than_a_second_keeps_its_milliseconds(ffmpeg: Ffmpeg, make: Make) -> None:
    facts = video.describe(probe(ffmpeg, make("blink.mp4", seconds=0.4, options=FAST)))

    assert facts.metadata["durationMs"] == 400


@pytest.mark.parametrize("claim", [b"\xff\xff\xff\xff", b"\0\0\0\0"])
def test_a_wav_whose_header_knows_no_length_has_one(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, claim: bytes) -> None:
    wav = bytearray(make("s.wav", size=None).read_bytes())
    for at in (4, wav.index(b"data") + 4):
        wav[at : at + 4] = claim
    (tmp_path / "live.wav").write_bytes(wav)

    assert audio.describe(probe(ffmpeg, tmp_path / "live.wav")).metadata["durationMs"] == 2000


@pytest.mark.parametrize("name", ["film.gif", "film.h264", "film.m2v"])
def test_streams_without_a_container_have_a_length_too(ffmpeg: Ffmpeg, make: Make, name: str) -> None:
    options = {"film.gif": [], "film.h264": FAST[:6], "film.m2v": ["-c:v", "mpeg2video"]}[name]

    assert video.describe(probe(ffmpeg, make(name, sound=False, options=options))).metadata["durationMs"] == 2000


def test_a_single_picture_is_a_film_of_its_own_length(ffmpeg: Ffmpeg, make: Make) -> None:
    facts = video.describe(probe(ffmpeg, make("one.mp4", sound=False, options=[*FAST[:6], "-frames:v", "1"])))

    assert facts.metadata["durationMs"] == 40


@pytest.mark.parametrize("flip", ["-display_hflip", "-display_vflip"])
def test_a_mirrored_and_turned_film_has_the_size_a_viewer_sees(ffmpeg: Ffmpeg, make: Make, remade: Make, flip: str) -> None:
    turned = remade(make("a.mp4", options=FAST), f"mirrored{flip}.mp4", before=["-display_rotation", "90", flip])

    facts = video.describe(probe(ffmpeg, turned))

    assert (facts.width, facts.height) == (240, 320)


@pytest.mark.parametrize("name", ["uneven.mp4", "uneven.mkv"])
def test_a_film_of_changing_pace_says_so_and_an_even_one_does_not(ffmpeg: Ffmpeg, make: Make, name: str) -> None:
    slower = ["-vf", "select='if(lt(t,2),1,not(mod(n,5)))'", "-fps_mode", "vfr", *FAST[:6]]

    uneven = video.describe(probe(ffmpeg, make(name, seconds=4, sound=False, options=slower))).metadata
    even = video.describe(probe(ffmpeg, make("rounded.mkv", rate="30000/1001", sound=False, options=FAST[:6]))).metadata

    assert uneven["variableFrameRate"] is True
    assert uneven["frameRate"] == pytest.approx(15.6, abs=0.1)
    assert "variableFrameRate" not in even
    assert even["frameRate"] == pytest.approx(29.97, abs=0.05)


def test_what_an_edit_cut_away_counts_neither_as_time_nor_as_pictures(ffmpeg: Ffmpeg, make: Make, remade: Make) -> None:
    cut = remade(make("a.mp4", options=FAST), "cut.mp4", before=["-ss", "0.9"])

    facts = video.describe(probe(ffmpeg, cut))

    assert facts.duration_seconds == pytest.approx(1.1, abs=0.05)
    assert facts.metadata["frameRate"] == pytest.approx(25, abs=0.1)


def test_a_broadcast_that_starts_late_is_no_longer_for_it(ffmpeg: Ffmpeg, make: Make, remade: Make) -> None:
    late = remade(make("a.ts", options=FAST), "late.ts", after=["-c", "copy", "-output_ts_offset", "1000"])

    assert video.describe(probe(ffmpeg, late)).duration_seconds == pytest.approx(2.0, abs=0.09)


def test_interlaced_film_is_noticed(ffmpeg: Ffmpeg, make: Make) -> None:
    woven = make("woven.ts", options=["-flags", "+ilme+ildct", "-vf", "setfield=tff", "-c:v", "mpeg2video", "-c:a", "mp2"])

    assert video.describe(probe(ffmpeg, woven)).metadata["interlaced"] is True
    assert "interlaced" not in video.describe(probe(ffmpeg, make("a.mp4", options=FAST))).metadata


def test_tracks_subtitles_and_chapters_are_counted(ffmpeg: Ffmpeg, make: Make, remade: Make, tmp_path: Path) -> None:
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:09:00,000\nWelcome\n")
    (tmp_path / "chapters.txt").write_text(
        ";FFMETADATA1\ncomment=a\\\n[CHAPTER]\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=900\nEND=2000\n"
    )
    film = remade(make("a.mkv", options=FAST), "tracks.mkv", after=[
        "-i", str(tmp_path / "words.srt"), "-i", str(tmp_path / "chapters.txt"),
        "-map", "0", "-map", "0:a", "-map", "1", "-map_metadata", "2", "-c", "copy",
    ])  # fmt: skip

    facts = video.describe(probe(ffmpeg, film))

    assert [facts.metadata[name] for name in ("audioTracks", "subtitles", "chapters")] == [2, 1, 2]
    assert facts.duration_seconds == pytest.approx(2.0, abs=0.09)  # the words stay on for nine minutes


def test_a_phone_tells_its_make_the_moment_and_the_place(ffmpeg: Ffmpeg, make: Make, remade: Make) -> None:
    filmed = remade(make("a.mov", options=FAST), "phone.mov", after=[
        "-c", "copy", "-movflags", "use_metadata_tags", "-metadata", "com.apple.quicktime.make=Apple",
        "-metadata", "com.apple.quicktime.model=iPhone 15 Pro", "-metadata", "com.apple.quicktime.creationdate=2025-11-24T13:05:07+0300",
        "-metadata", "com.apple.quicktime.location.ISO6709=+24.7136+046.6753+612.000/",
    ])  # fmt: skip

    facts = video.describe(probe(ffmpeg, filmed))

    assert facts.details["camera"] == "Apple iPhone 15 Pro"
    assert (facts.details["gpsLat"], facts.details["gpsLng"]) == (24.7136, 46.6753)
    assert facts.custom["takenAt"] == "2025-11-24T13:05:07+0300"


def test_any_mp4_tells_when_it_was_made_unless_its_clock_was_never_set(ffmpeg: Ffmpeg, make: Make, remade: Make) -> None:
    for moment, told in [("2025-11-24T10:05:07Z", "2025-11-24T10:05:07.000000Z"), ("1970-01-01T00:00:00Z", None)]:
        film = remade(make("a.mp4", options=FAST), f"made{moment[:4]}.mp4", after=["-c", "copy", "-metadata", f"creation_time={moment}"])
        assert video.describe(probe(ffmpeg, film)).custom.get("takenAt") == told


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
    facts = audio.describe(found, audio.cover_size(ffmpeg, song))
    assert facts.metadata["tags"] == {"title": "كيان=live; #1", "artist": "Mona\nand band"}
    assert facts.metadata["cover"] == {"width": 90, "height": 60}
    assert Image.open(tmp_path / "found").size == (90, 60)


def test_a_song_without_a_cover_says_so(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    assert audio.cover_size(ffmpeg, make("s.wav", size=None)) is None
    with pytest.raises(PermanentError, match="carries no cover"):
        audio.cover(ffmpeg, make("s.wav", size=None), tmp_path / "cover")


@pytest.mark.parametrize(("name", "options"), [("c.m4a", ["-c:a", "aac"]), ("c.flac", []), ("c.ogg", ["-c:a", "libvorbis"]), ("c.mp3", [])])
def test_covers_are_found_in_every_format_that_has_them(
    ffmpeg: Ffmpeg, make: Make, remade: Make, tmp_path: Path, name: str, options: list[str]
) -> None:
    from PIL import Image

    Image.new("RGB", (90, 60), (200, 0, 0)).save(tmp_path / "cover.png")
    song = make(name, size=None, options=options)
    if name.endswith(".ogg"):
        picture = (tmp_path / "cover.png").read_bytes()
        block = b"".join([
            struct.pack(">II", 3, 9), b"image/png", struct.pack(">IIIIII", 0, 90, 60, 24, 0, len(picture)), picture,
        ])  # fmt: skip
        after = ["-c", "copy", "-metadata:s:a", f"METADATA_BLOCK_PICTURE={base64.b64encode(block).decode()}"]
    else:
        after = ["-i", str(tmp_path / "cover.png"), "-map", "0", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic"]

    assert audio.cover_size(ffmpeg, remade(song, f"covered-{name}", after=after)) == (90, 60)


ARABIC = "حفل الافتتاح 2025"


@pytest.mark.parametrize(
    ("frame", "title"),
    [
        (b"\x00" + ARABIC.encode("cp1256"), ARABIC),
        (b"\x01" + ARABIC.encode("utf-16"), ARABIC),
        (b"\x00" + "Café Motörhead".encode("latin-1"), "Café Motörhead"),
        (b"\x00" + "Mona منى".encode("cp1256"), "Mona منى"),
    ],
)
def test_tags_are_read_in_the_letters_they_were_written_in(
    ffmpeg: Ffmpeg, make: Make, tmp_path: Path, frame: bytes, title: str
) -> None:
    tagged = b"TIT2" + struct.pack(">IH", len(frame), 0) + frame
    sound = make("untagged.mp3", size=None, options=["-id3v2_version", "0", "-write_xing", "0"]).read_bytes()
    (tmp_path / "song.mp3").write_bytes(b"ID3\x03\0\0" + struct.pack(">I", len(tagged)) + tagged + sound)

    assert audio.describe(probe(ffmpeg, tmp_path / "song.mp3")).metadata["tags"] == {"title": title}


def test_the_oldest_tags_of_mp3_are_read_too(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    sound = make("untagged.mp3", size=None, options=["-id3v2_version", "0", "-write_xing", "0"]).read_bytes()
    tag = b"TAG" + ARABIC.encode("cp1256").ljust(30, b"\0") + b"\0" * 60 + b"2024" + b"\0" * 28 + b"\0\x03\x11"
    (tmp_path / "song.mp3").write_bytes(sound + tag)

    tags = audio.describe(probe(ffmpeg, tmp_path / "song.mp3")).metadata["tags"]

    assert tags == {"title": ARABIC, "date": "2024", "track": "3", "genre": "Rock"}


@pytest.mark.parametrize(("name", "codec"), [("tagged.ogg", "libvorbis"), ("tagged.opus", "libopus"), ("flac.ogg", "flac")])
def test_ogg_keeps_its_tags_with_its_streams(ffmpeg: Ffmpeg, make: Make, name: str, codec: str) -> None:
    tags = ["-metadata", f"title={ARABIC}", "-metadata", "artist=Mona", "-metadata", "album=LEAP", "-metadata", "date=2025"]

    facts = audio.describe(probe(ffmpeg, make(name, size=None, options=["-c:a", codec, *tags])))

    assert facts.metadata["tags"] == {"title": ARABIC, "artist": "Mona", "album": "LEAP", "date": "2025"}


def test_a_film_in_ogg_has_the_title_of_its_pictures(ffmpeg: Ffmpeg, make: Make) -> None:
    options = ["-c:v", "libtheora", "-c:a", "libvorbis", "-metadata:s:v", f"title={ARABIC}", "-metadata:s:a", "title=Sound"]

    tags = video.describe(probe(ffmpeg, make("titled.ogv", options=options))).custom["tags"]

    assert isinstance(tags, dict)
    assert tags["title"] == ARABIC


def test_the_name_of_a_track_is_not_taken_for_the_files(ffmpeg: Ffmpeg, make: Make) -> None:
    found = probe(ffmpeg, make("track.mka", size=None, options=["-c:a", "libopus", "-metadata:s:a", "title=English"]))

    assert "title" not in found.tags


def test_the_program_that_made_a_film_is_its_own_and_not_the_one_that_reads_it(ffmpeg: Ffmpeg, make: Make, remade: Make) -> None:
    camera = ["-fflags", "+bitexact", "-metadata", "encoding_tool=Camera 7"]
    film = remade(make("a.mp4", options=FAST), "filmed.mp4", after=["-c", "copy", *camera])

    assert video.describe(probe(ffmpeg, film)).custom["tags"] == {"encoder": "Camera 7"}


@pytest.mark.parametrize("content", [b"", b"x" * 10_000, b"\0" * 10_000])
def test_what_is_no_video_at_all_is_a_permanent_error(ffmpeg: Ffmpeg, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)

    with pytest.raises(PermanentError, match="neither video nor sound"):
        probe(ffmpeg, path)


def test_an_upload_that_lost_the_index_at_its_end_is_said_to_be_incomplete(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    whole = make("a.mp4", options=FAST).read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(PermanentError, match=r"not complete.*upload the whole file again"):
        probe(ffmpeg, tmp_path / "half.mp4")


@pytest.mark.parametrize("name", ["lossless-first.mp4", "lossless.mkv"])
def test_a_film_that_breaks_off_before_its_first_picture_is_no_sound_file(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, name: str) -> None:
    options = ["-movflags", "+faststart"] if name.endswith("mp4") else ["-c:a", "libopus"]
    whole = make(name, options=[*FAST, "-crf", "0", *options]).read_bytes()
    broken = tmp_path / name
    broken.write_bytes(whole[: len(whole) // 50])

    with pytest.raises(PermanentError, match=r"damaged or breaks off.*not one of its pictures; upload the whole file again"):
        video.describe(probe(ffmpeg, broken))
    with pytest.raises(PermanentError, match=r"not one picture .* damaged, or breaks off; upload the whole file again"):
        poster(ffmpeg, broken, tmp_path / "poster.png")
    assert audio.describe(probe(ffmpeg, broken)).metadata["channels"] == 1  # the sound that is left is there for who asks for sound


@pytest.mark.parametrize("side", [11_000, 60_000])
def test_pictures_larger_than_any_screen_are_refused_before_they_are_decoded(ffmpeg: Ffmpeg, tmp_path: Path, side: int) -> None:
    edges = struct.pack("<HH", side, side)
    (tmp_path / "bomb.gif").write_bytes(b"GIF89a" + edges + b"\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0" + edges + b"\0\2\2L\1\0;")

    with pytest.raises(PermanentError, match="larger than 35 million pixels"):
        probe(ffmpeg, tmp_path / "bomb.gif")


@pytest.mark.parametrize("name", ["a.mkv", "index-first.mp4"])
def test_a_video_that_breaks_off_in_the_middle_is_as_long_as_what_is_left(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, name: str) -> None:
    whole = make(name, options=[*FAST, *(["-movflags", "+faststart"] if name.endswith("mp4") else [])]).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])

    assert 0.5 < probe(ffmpeg, tmp_path / name).duration < 1.5


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


def test_dolby_vision_is_noticed_above_the_picture_it_builds_on() -> None:
    header = ["#dimensions 0: 320x240", "#sar 0: 1/1", "0, 0, 0, 1, 115200, 0x1"]
    log = [
        "[Parsed_showinfo_0 @ 0x1] [info] n: 0 fmt:yuv420p10le cl:left sar:1/1 s:320x240 i:P iskey:1 type:I",
        "[Parsed_showinfo_0 @ 0x1] [info]   side data - Dolby Vision RPU Data: unregistered",
        "[Parsed_showinfo_0 @ 0x1] [info] color_range:tv color_space:bt2020nc color_primaries:bt2020 color_trc:arib-std-b67",
    ]

    found = read_picture(header, log)

    assert found.is_dolby_vision
    assert found.hdr == "HLG"
    assert found.matrix == "bt2020nc"


DOVI = "[info]       DOVI configuration record: version: 1.0, profile: {}, level: 6, rpu flag: 1, el flag: 0, compatibility id: {}"


@pytest.mark.parametrize(
    ("profile", "base", "named", "is_alone"),
    [(5, 0, "5", True), (8, 1, "8.1", False), (8, 4, "8.4", False), (8, 0, "8.0", False), (10, 0, "10.0", True), (10, 4, "10.4", False)],
)
def test_the_profile_of_dolby_vision_says_whether_there_is_a_picture_below_it(profile: int, base: int, named: str, is_alone: bool) -> None:
    log = ["[info]   Stream #0:0[0x1](und): Video: hevc (Main 10) (dvh1 / 0x31687664)", "[info]     Metadata:",
           "[info]       handler_name    : VideoHandler", "[info]     Side data:", "[info]       cpb: bitrate max/min/avg: 0/0/0",
           DOVI.format(profile, base), "[info] Stream mapping:"]  # fmt: skip

    found = read_picture(["#dimensions 0: 320x240", "0, 0, 0, 1, 115200, 0x1"], log)

    assert (found.is_dolby_vision, found.dolby_vision_profile, found.is_dolby_vision_alone) == (True, named, is_alone)


def test_a_tag_cannot_pretend_to_be_dolby_vision() -> None:
    log = ["[info]   Metadata:", "[info]     Side data:      : x", DOVI.format(5, 0), "[info]     title           : Side data:",
           "[info]                     : DOVI configuration record: profile: 5, compatibility id: 0"]  # fmt: skip

    assert not read_picture(["#dimensions 0: 320x240", "0, 0, 0, 1, 115200, 0x1"], log).is_dolby_vision


def test_dolby_vision_alone_is_recorded_with_its_profile(ffmpeg: Ffmpeg, dolby_vision: Path) -> None:
    facts = video.describe(probe(ffmpeg, dolby_vision))

    assert (facts.metadata["hdr"], facts.metadata["dolbyVisionProfile"]) == ("Dolby Vision", "5")


LISTING = [
    ";FFMETADATA1", "encoder=the reader's", "[STREAM]", "Title=a\\=b\\;c", "comment=two\\", "[lines]", "[STREAM]", "title=second",
    "artist=Mona", "[CHAPTER]", "title=One", "genre=Chapter",
]  # fmt: skip


def test_tags_are_those_of_the_first_stream_to_which_the_files_own_were_copied() -> None:
    assert read_tags(LISTING) == {"title": "a=b;c", "comment": "two\n[lines]"}


def test_tags_of_every_stream_count_where_a_file_has_no_others_and_the_first_streams_first() -> None:
    assert read_tags(LISTING, are_of_streams=True) == {"title": "a=b;c", "comment": "two\n[lines]", "artist": "Mona"}


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
