"""Copies of videos: true shape, nothing enlarged, one decode, playable everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.films import cpus, video
from kayan_workers.media.films.probe import Probe, Stream, probe
from kayan_workers.media.films.video import ProgressReader, kbit_ceiling, transcode_arguments
from kayan_workers.media.rendition import Rendition, Transcode
from PIL import Image, ImageChops, ImageStat
from unit.media.conftest import Make, run

FAST = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]


def test_copies_fit_their_boxes_keep_the_shape_and_play_everywhere(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    film = make("film720.mp4", size="1280x720", options=FAST)
    wanted = [
        Transcode(to=tmp_path / "web.mp4", box=(1920, 1080), bit_rate="3000k"),
        Transcode(to=tmp_path / "mobile.mp4", box=(640, 480), bit_rate="500k"),
    ]
    told: list[float] = []

    sizes = video.transcode(ffmpeg, film, probe(ffmpeg, film), wanted, on_progress=told.append)

    assert sizes == [(1280, 720), (640, 360)]
    for copy, size in zip(wanted, sizes, strict=True):
        made = probe(ffmpeg, copy.to)
        assert made.picture is not None
        assert made.picture.size == size
        assert made.picture.pixel_format == "yuv420p"
        assert made.video is not None
        assert made.video.codec == "h264"
        assert made.audio is not None
        assert made.audio.codec == "aac"
        assert made.duration == pytest.approx(2.0, abs=0.1)
        data = copy.to.read_bytes()
        assert data.index(b"moov") < data.index(b"mdat")
    assert told == sorted(told)
    assert told
    assert all(0 <= percent <= 99 for percent in told)


def test_an_upright_phone_video_stays_upright(ffmpeg: Ffmpeg, make: Make, remade: Make, tmp_path: Path) -> None:
    film = remade(make("a.mp4", options=FAST), "phone.mp4", before=["-display_rotation", "90"])

    [size] = video.transcode(ffmpeg, film, probe(ffmpeg, film), [Transcode(to=tmp_path / "m.mp4", box=(640, 200), bit_rate="500k")])

    made = probe(ffmpeg, tmp_path / "m.mp4")
    assert size == (150, 200)
    assert made.picture is not None
    assert made.picture.size == (150, 200)


def test_a_video_without_sound_gets_none(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    film = make("silent.mp4", sound=False, options=FAST[:6])

    video.transcode(ffmpeg, film, probe(ffmpeg, film), [Transcode(to=tmp_path / "m.mp4", box=(640, 480), bit_rate="500k")])

    assert probe(ffmpeg, tmp_path / "m.mp4").audio is None


def test_one_run_decodes_once_and_makes_each_copy_from_the_next_larger(ffmpeg: Ffmpeg, make: Make) -> None:
    found = probe(ffmpeg, make("film720.mp4", size="1280x720", options=FAST))
    wanted = [Transcode(to=Path(f"/x/{n}.mp4"), box=(640, 480), bit_rate="500k") for n in range(3)]

    arguments = transcode_arguments(found, wanted, [(640, 360), (1280, 720), (320, 180)])

    [graph] = [arguments[at + 1] for at, argument in enumerate(arguments) if argument == "-filter_complex"]
    first, second, third = graph.split(";")
    assert first.startswith("[0:V:0]scale=1280:720")
    assert first.endswith("split[v1][r0]")
    assert second == "[r0]scale=640:360,split[v0][r1]"
    assert third == "[r1]scale=320:180[v2]"
    assert arguments.count("libx264") == 3


def test_progress_is_told_in_whole_per_cents_once_each() -> None:
    told: list[float] = []
    reader = ProgressReader(10.0, told.append)

    for line in ["out_time_us=N/A", "out_time_us=0", "frame=3", "out_time_us=1000000", "out_time_us=1049999", "out_time_us=99000000"]:
        reader.take(line)

    assert told == [0, 10, 99]


def test_a_copy_never_has_more_bits_than_wanted_nor_than_the_source_has_to_tell() -> None:
    def ceiling(codec: str, kbit: int | None, wanted: str = "1500k") -> int:
        video = Stream("video", codec=codec, size=(kbit or 0) * 125, first=0, end=1 if kbit else 0)
        return kbit_ceiling(video, Transcode(to=Path("/x"), box=(1, 1), bit_rate=wanted))

    assert ceiling("h264", 20_000) == 1500
    assert ceiling("h264", 400) == 400
    assert ceiling("hevc", 400) == 800
    assert ceiling("h264", 5) == 100
    assert ceiling("h264", None) == 1500


def test_a_small_film_does_not_grow(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    film = make("lean.mp4", seconds=10, size="640x360", sound=False, options=[*FAST[:2], "-preset", "fast", "-b:v", "300k", *FAST[4:6]])

    copy(ffmpeg, film, tmp_path / "web.mp4")

    assert (tmp_path / "web.mp4").stat().st_size < 1.1 * film.stat().st_size


def test_what_phones_write_about_place_and_time_is_not_handed_on(ffmpeg: Ffmpeg, make: Make, remade: Make, tmp_path: Path) -> None:
    film = remade(make("a.mov", options=FAST), "located.mov", after=[
        "-c", "copy", "-metadata", "location=+24.7136+046.6753/", "-metadata", "title=Secret", "-metadata:s:a", "handler_name=Secret",
        "-metadata:s:a", "language=ara", "-metadata", "creation_time=2025-11-24T10:05:07Z",
    ])  # fmt: skip

    copy(ffmpeg, film, tmp_path / "web.mp4")

    data = (tmp_path / "web.mp4").read_bytes()
    assert b"24.7136" not in data
    assert b"Secret" not in data
    assert "takenAt" not in video.describe(probe(ffmpeg, tmp_path / "web.mp4")).custom


@pytest.mark.parametrize(
    ("rate", "became"), [("24", 24), ("30000/1001", 29.97), ("60", 60), ("120", 60), ("240", 60)]
)
def test_no_copy_has_more_than_sixty_pictures_a_second(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, rate: str, became: float) -> None:
    copy(ffmpeg, make(f"rate{rate.partition('/')[0]}.mp4", rate=rate, sound=False, options=FAST), tmp_path / "web.mp4")

    made = video.describe(probe(ffmpeg, tmp_path / "web.mp4"))
    assert made.details["frameRate"] == pytest.approx(became, abs=0.1)
    assert made.duration_seconds == pytest.approx(2.0, abs=0.06)


def test_a_film_of_changing_pace_keeps_it_and_stays_as_long(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    slower = ["-vf", "select='if(lt(t,2),1,not(mod(n,5)))'", "-fps_mode", "vfr", *FAST]

    copy(ffmpeg, make("uneven.mp4", seconds=4, options=slower), tmp_path / "web.mp4")

    made = probe(ffmpeg, tmp_path / "web.mp4")
    assert made.duration == pytest.approx(4.0, abs=0.2)
    assert made.video is not None
    assert made.video.shown == pytest.approx(60, abs=1)


def test_somebody_who_jumps_into_a_copy_waits_for_two_seconds_of_it_at_most(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    still = ["-vf", "loop=-1:1", *FAST]
    copy(ffmpeg, make("still.mp4", seconds=9, sound=False, options=still), tmp_path / "web.mp4")
    lines: list[str] = []

    ffmpeg.run(tmp_path / "web.mp4", ["-c", "copy", "-f", "framecrc", "pipe:1"], before_input=["-discard", "nokey"],
               time_limit_seconds=20, on_output=lines.append)  # fmt: skip

    assert len([line for line in lines if line[:1].isdigit()]) >= 4


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_high_dynamic_range_becomes_what_every_screen_shows(ffmpeg: Ffmpeg, hdr: Make, tmp_path: Path, transfer: str) -> None:
    copy(ffmpeg, hdr(f"{transfer}.mp4", transfer=transfer), tmp_path / "web.mp4")

    made = probe(ffmpeg, tmp_path / "web.mp4").picture
    assert made is not None
    assert (made.matrix, made.primaries, made.transfer, made.pixel_format) == ("bt709", "bt709", "bt709", "yuv420p")
    run(ffmpeg, "-i", tmp_path / "web.mp4", "-frames:v", "1", tmp_path / "seen.png")
    assert min(ImageStat.Stat(Image.open(tmp_path / "seen.png")).stddev[:3]) > 70  # 23 without tone mapping


def test_a_film_in_colours_that_cannot_be_told_has_no_copies_and_says_why(ffmpeg: Ffmpeg, dolby_vision: Path, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"Dolby Vision profile 5 alone.*export it in HDR10"):
        copy(ffmpeg, dolby_vision, tmp_path / "web.mp4")

    assert not (tmp_path / "web.mp4").exists()


ODD_SOURCES = {
    "ten bits": ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv422p10le"],
    "all colours": ["-c:v", "libx264rgb", "-preset", "ultrafast"],
    "transparent": ["-vf", "format=yuva444p10le", "-c:v", "prores_ks"],
    "full range": ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"],
    "wide colours": ["-vf", "setparams=color_primaries=bt2020:color_trc=bt709:colorspace=bt2020nc", *FAST],
    "display P3": ["-vf", "setparams=color_primaries=smpte432:color_trc=bt709", *FAST],
    "grey": ["-c:v", "ffv1", "-pix_fmt", "gray"],
}


@pytest.mark.parametrize("name", ODD_SOURCES)
def test_pictures_of_every_sort_become_ones_that_every_browser_plays(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, name: str) -> None:
    film = make(f"{name}.mov" if name != "grey" else "grey.mkv", seconds=0.4, sound=False, options=ODD_SOURCES[name])

    copy(ffmpeg, film, tmp_path / "web.mp4")

    made = probe(ffmpeg, tmp_path / "web.mp4").picture
    assert made is not None
    assert (made.size, made.pixel_format, made.is_interlaced, made.is_full_range) == ((320, 240), "yuv420p", False, False)


def test_interlaced_film_loses_its_combs(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """A white bar that moves on between the even lines and the odd ones has frayed edges where nobody weaves the lines together."""
    ground, bar = "color=black:s=320x240:r=50:d=0.6", "color=white:s=40x240:r=50:d=0.6"
    moving = f"{ground}[g];{bar}[b];[g][b]overlay=x=n*8,format=yuv420p,interlace=lowpass=off"
    run(ffmpeg, "-filter_complex", moving, "-flags", "+ilme+ildct", "-c:v", "mpeg2video", "-b:v", "20M", tmp_path / "woven.ts")

    copy(ffmpeg, tmp_path / "woven.ts", tmp_path / "web.mp4")

    assert frayed(ffmpeg, tmp_path / "web.mp4") < 0.2 * frayed(ffmpeg, tmp_path / "woven.ts")


def frayed(ffmpeg: Ffmpeg, film: Path) -> float:
    """How much each line of a picture differs from the next, on average."""
    seen = film.with_suffix(".png")
    run(ffmpeg, "-i", film, "-ss", "0.2", "-frames:v", "1", seen)
    with Image.open(seen) as picture:
        grey = picture.convert("L")
    return ImageStat.Stat(ImageChops.difference(grey, ImageChops.offset(grey, 0, 1))).mean[0]


@pytest.mark.parametrize("name", ["surround.mkv", "telephone.mkv", "studio.mkv"])
def test_sound_of_every_sort_becomes_stereo(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, name: str) -> None:
    how = {"surround.mkv": ["-ac", "6", "-c:a", "ac3", "-ar", "48000"], "telephone.mkv": ["-ar", "8000", "-c:a", "pcm_s16le"],
           "studio.mkv": ["-ar", "192000", "-c:a", "flac"]}[name]  # fmt: skip

    copy(ffmpeg, make(name, options=[*FAST[:6], *how]), tmp_path / "web.mp4")

    assert video.describe(probe(ffmpeg, tmp_path / "web.mp4")).metadata["audio"] == {
        "codec": "aac", "channels": 2, "layout": "stereo", "sampleRate": 48000,
    }  # fmt: skip


@pytest.mark.parametrize(("part", "shortest"), [("middle", 1.8), ("end", 0.9)])
def test_a_film_with_a_damaged_part_is_shown_without_it(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, part: str, shortest: float) -> None:
    film = bytearray(make("index-first.mp4", options=[*FAST, "-movflags", "+faststart"]).read_bytes())
    if part == "middle":
        for at in range(len(film) // 2, len(film) // 2 + 4000, 7):
            film[at] ^= 0x55
    else:
        del film[len(film) * 6 // 10 :]
    (tmp_path / "damaged.mp4").write_bytes(film)

    copy(ffmpeg, tmp_path / "damaged.mp4", tmp_path / "web.mp4")

    assert probe(ffmpeg, tmp_path / "web.mp4").duration > shortest


def test_films_and_their_poster_come_from_one_call_and_progress_is_told(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    source = tmp_path / "source.ts"
    source.write_bytes(make("a.ts", options=FAST).read_bytes())
    told: list[float] = []
    wanted = Transcode(to=tmp_path / "m.mp4", box=(200, 200), bit_rate="500k")

    made = video.films(source, [wanted], [Rendition(to=tmp_path / "t.jpg", box=(100, 100), quality=80)], ffmpeg, told.append)

    assert (made.films, made.stills) == ([(200, 150)], [(100, 75)])
    assert told
    assert max(told) <= 99


def test_no_more_threads_than_there_are_processors_to_run_them(ffmpeg: Ffmpeg, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    found = probe(ffmpeg, make("a.mp4", options=FAST))
    wanted = [Transcode(to=Path("/x"), box=(640, 480), bit_rate="500k")]
    for processors, threads in [(1, "1"), (2, "2"), (64, "2")]:
        monkeypatch.setattr(cpus, "usable_cpus", lambda count=processors: count)
        arguments = transcode_arguments(found, wanted, [(320, 240)])
        assert [arguments[at + 1] for at, argument in enumerate(arguments) if argument.endswith("threads")] == [threads, threads]


def copy(ffmpeg: Ffmpeg, film: Path, to: Path) -> None:
    found: Probe = probe(ffmpeg, film)
    video.transcode(ffmpeg, film, found, [Transcode(to=to, box=(1920, 1080), bit_rate="3000k")])
