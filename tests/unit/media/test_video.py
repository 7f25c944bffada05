"""Posters and copies of videos: true shape, nothing enlarged, one decode."""

from __future__ import annotations

from pathlib import Path

import pytest
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media import images, video
from kayan_workers.media.probe import probe
from kayan_workers.media.rendition import Transcode
from kayan_workers.media.video import ProgressReader, poster_moment, transcode_arguments
from PIL import Image
from unit.media.conftest import Make

FAST = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]


@pytest.mark.parametrize(("duration", "moment"), [(0.0, 0.0), (0.4, 0.0), (1.0, 0.1), (8.0, 0.8), (20.0, 2.0), (7200.0, 2.0)])
def test_a_poster_is_taken_at_a_tenth_but_not_later_than_two_seconds(duration: float, moment: float) -> None:
    assert poster_moment(duration) == pytest.approx(moment)


@pytest.mark.parametrize("seconds", [0.04, 0.4, 2.0])
def test_every_clip_has_a_poster_however_short(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, seconds: float) -> None:
    clip = make(f"clip{seconds}.mp4", seconds=seconds, sound=False, options=FAST[:6])

    video.poster(ffmpeg, clip, tmp_path / "poster.png", seconds)

    assert images.describe(tmp_path / "poster.png").width == 320


def test_a_clip_shorter_than_it_claims_gives_its_first_picture(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    video.poster(ffmpeg, make("clip0.4.mp4", seconds=0.4, sound=False, options=FAST[:6]), tmp_path / "poster.png", duration=600)

    assert (tmp_path / "poster.png").stat().st_size > 0


def test_a_poster_is_upright_and_has_square_pixels(ffmpeg: Ffmpeg, make: Make, remade: Make, tmp_path: Path) -> None:
    wide = remade(make("a.mp4", options=FAST), "poster-wide.mp4", after=["-vf", "setsar=4/3", *FAST])
    turned = remade(wide, "poster-turned.mp4", before=["-display_rotation", "90"])

    video.poster(ffmpeg, turned, tmp_path / "poster.png", 2.0)

    with Image.open(tmp_path / "poster.png") as made:
        assert made.width == 240
        assert made.height in (426, 427)


def test_the_poster_shows_the_moment_it_is_said_to_show(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    """Ten seconds that turn from black to red after half a second: a tenth in, they are red."""
    graph = "color=black:s=64x48:d=0.5[a];color=red:s=64x48:d=9.5[b];[a][b]concat"
    film = tmp_path / "film.mp4"
    from unit.media.conftest import run

    run(ffmpeg, "-f", "lavfi", "-i", graph, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", film)

    video.poster(ffmpeg, film, tmp_path / "poster.png", 10.0)

    with Image.open(tmp_path / "poster.png") as made:
        red, green, _ = made.convert("RGB").getpixel((32, 24))  # type: ignore[misc]
    assert red > 150 > green


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


def test_one_run_decodes_once_for_all_copies() -> None:
    wanted = [Transcode(to=Path(f"/x/{n}.mp4"), box=(640, 480), bit_rate="500k") for n in range(3)]

    arguments = transcode_arguments(wanted, [(640, 360)] * 3, sound=True)

    [graph] = [arguments[at + 1] for at, argument in enumerate(arguments) if argument == "-filter_complex"]
    assert graph.startswith("[0:V:0]split=3[s0][s1][s2];")
    assert graph.count("scale=") == 3
    assert arguments.count("libx264") == 3


def test_progress_is_told_in_whole_per_cents_once_each() -> None:
    told: list[float] = []
    reader = ProgressReader(10.0, told.append)

    for line in ["out_time_us=N/A", "out_time_us=0", "frame=3", "out_time_us=1000000", "out_time_us=1049999", "out_time_us=99000000"]:
        reader.take(line)

    assert told == [0, 10, 99]


def test_a_file_without_pictures_has_no_poster(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="not one picture"):
        video.poster(ffmpeg, make("s.mp3", size=None), tmp_path / "poster.png", 2.0)
