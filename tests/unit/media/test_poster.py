"""The picture that stands for a video: early, upright, in true shape and everyday colours, and not a black one if there is another."""

from __future__ import annotations

from pathlib import Path

import pytest
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.file_type import FileType
from kayan_workers.media.films.poster import poster, poster_moments
from kayan_workers.media.pictures import picture
from kayan_workers.media.rendition import Rendition
from PIL import Image, ImageChops, ImageStat
from unit.media.conftest import Make, run

FAST = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]


@pytest.mark.parametrize(("duration", "moment"), [(0.0, 0.0), (0.4, 0.0), (1.0, 0.1), (8.0, 0.8), (20.0, 2.0), (7200.0, 2.0)])
def test_a_poster_is_taken_at_a_tenth_but_not_later_than_two_seconds(duration: float, moment: float) -> None:
    first, *later = poster_moments(duration)

    assert first == pytest.approx(moment)
    assert len(later) == 4
    assert all(first <= one <= duration for one in later)


@pytest.mark.parametrize("seconds", [0.04, 0.4, 2.0])
def test_every_clip_has_a_poster_however_short(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, seconds: float) -> None:
    poster(ffmpeg, make(f"clip{seconds}.mp4", seconds=seconds, sound=False, options=FAST), tmp_path / "poster.png")

    assert Image.open(tmp_path / "poster.png").size == (320, 240)


@pytest.mark.parametrize("name", ["p.gif", "p.h264", "p.ts", "p.mpg", "p.mkv", "p.avi"])
def test_streams_without_an_index_have_a_poster(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, name: str) -> None:
    options = {"p.gif": [], "p.mpg": ["-c:v", "mpeg2video"], "p.avi": ["-c:v", "mpeg4"]}.get(name, FAST)

    poster(ffmpeg, make(name, sound=False, options=options), tmp_path / "poster.png")

    assert Image.open(tmp_path / "poster.png").size == (320, 240)


def test_a_clip_that_breaks_off_before_its_poster_gives_its_first_picture(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    film = make("long.mp4", seconds=30, rate="5", sound=False, options=[*FAST, "-movflags", "+faststart"]).read_bytes()
    start = film.index(b"mdat")
    (tmp_path / "broken.mp4").write_bytes(film[: start + (len(film) - start) // 50])

    poster(ffmpeg, tmp_path / "broken.mp4", tmp_path / "poster.png")

    assert Image.open(tmp_path / "poster.png").size == (320, 240)


def test_a_poster_is_upright_and_has_square_pixels(ffmpeg: Ffmpeg, make: Make, remade: Make, tmp_path: Path) -> None:
    wide = remade(make("flat.mp4", sound=False, options=FAST), "poster-wide.mp4", after=["-vf", "setsar=4/3", *FAST])
    turned = remade(wide, "poster-turned.mp4", before=["-display_rotation", "90"])

    poster(ffmpeg, turned, tmp_path / "poster.png")

    with Image.open(tmp_path / "poster.png") as made:
        assert made.width == 240
        assert made.height == 427


ODD = {
    "plain": ["format=yuv420p"],
    "hdr": ["format=yuv420p10le", "setparams=color_trc=smpte2084:color_primaries=bt2020:colorspace=bt2020nc"],
    "wide": ["format=yuv420p", "setparams=color_trc=bt709:color_primaries=smpte432"],
    "alpha": ["format=yuva420p"],
    "fields": ["format=yuv420p", "setfield=tff"],
}


@pytest.mark.parametrize("name", ODD)
def test_a_poster_of_odd_size_loses_no_line(ffmpeg: Ffmpeg, make: Make, tmp_path: Path, name: str) -> None:
    """A film wants even numbers, a picture does not."""
    graph = ",".join(["scale=121:67", "setsar=1", *ODD[name]])
    film = make(f"odd-{name}.mkv", seconds=0.4, size="242x134", sound=False, options=["-vf", graph, "-c:v", "ffv1"])

    poster(ffmpeg, film, tmp_path / "poster.png")

    assert Image.open(tmp_path / "poster.png").size == (121, 67)


def test_the_poster_shows_the_moment_it_is_said_to_show(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """Ten seconds that turn from blue to red bars after half a second: a tenth in, they are red."""
    film = bars(ffmpeg, tmp_path, ("blue", 0.5), ("red", 9.5))

    poster(ffmpeg, film, tmp_path / "poster.png")

    assert shown(tmp_path) == "red"


@pytest.mark.parametrize("blank", ["black", "white", "gray"])
def test_a_fade_in_is_passed_over_for_the_first_picture_that_shows_something(ffmpeg: Ffmpeg, tmp_path: Path, blank: str) -> None:
    film = plain_then(ffmpeg, tmp_path, blank, 3.0, ("red", 7.0))

    poster(ffmpeg, film, tmp_path / "poster.png")

    assert shown(tmp_path) == "red"


def test_a_film_that_is_black_throughout_has_a_black_poster(ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    run(ffmpeg, "-f", "lavfi", "-i", "color=black:s=64x48:d=3", *FAST, film)

    poster(ffmpeg, film, tmp_path / "poster.png")

    assert max(ImageStat.Stat(Image.open(tmp_path / "poster.png")).mean) < 5


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_high_dynamic_range_does_not_come_out_grey(ffmpeg: Ffmpeg, hdr: Make, make: Make, tmp_path: Path, transfer: str) -> None:
    plain = make("plain.mp4", seconds=1, sound=False, options=FAST)

    poster(ffmpeg, plain, tmp_path / "plain.png")
    poster(ffmpeg, hdr(f"{transfer}.mp4", transfer=transfer), tmp_path / "poster.png")

    was, became = ImageStat.Stat(Image.open(tmp_path / "plain.png")), ImageStat.Stat(Image.open(tmp_path / "poster.png"))
    assert became.mean == pytest.approx(was.mean, abs=25)
    assert min(became.stddev) > 0.7 * min(was.stddev)


def test_what_is_transparent_is_black(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    holed = ["-vf", "format=rgba,geq=r=255:g=255:b=255:a='255*lt(X,W/2)'", "-c:v", "qtrle"]

    poster(ffmpeg, make("holed.mov", seconds=0.2, sound=False, options=holed), tmp_path / "poster.png")

    with Image.open(tmp_path / "poster.png") as made:
        left, right = (made.convert("L").getpixel((at, 120)) for at in (40, 280))
    assert (left, right) == pytest.approx((255, 0), abs=3)


@pytest.mark.parametrize(("height", "matrix"), [(240, "smpte170m"), (720, "bt709")])
@pytest.mark.parametrize("said", [True, False])
def test_colours_come_out_as_they_went_in(ffmpeg: Ffmpeg, tmp_path: Path, height: int, matrix: str, said: bool) -> None:
    """Films that do not say how their colours are coded mean what others of their size mean."""
    film = tmp_path / "film.mp4"
    tags = f",setparams=colorspace={matrix}" if said else ",setparams=colorspace=unknown"
    run(ffmpeg, "-f", "lavfi", "-i", f"color=0x30a060:s=320x{height}:d=0.2",
        "-vf", f"format=gbrp,scale=out_color_matrix={matrix},format=yuv420p{tags}", *FAST, film)  # fmt: skip

    poster(ffmpeg, film, tmp_path / "poster.png")

    with Image.open(tmp_path / "poster.png") as made:
        assert made.getpixel((100, 100)) == pytest.approx((0x30, 0xA0, 0x60), abs=8)  # the wrong matrix is 17 off


def test_the_poster_of_a_long_film_takes_only_its_beginning(make: Make, ffmpeg: Ffmpeg, tmp_path: Path) -> None:
    """Everything after the first 30 of 40 seconds is rubbish, which a look at the whole file would trip over or count."""
    film = bytearray(make("forty.ts", seconds=40, rate="5", sound=False, options=FAST).read_bytes())
    film[len(film) * 3 // 4 :] = b"\xff" * (len(film) - len(film) * 3 // 4)
    (tmp_path / "film.ts").write_bytes(film)
    read = Listening(ffmpeg.binary)

    poster(read, tmp_path / "film.ts", tmp_path / "poster.png")

    assert len(read.packets) == pytest.approx(20 * 5, abs=2)


class Listening(Ffmpeg):
    """Keeps the lines of every listing of packets that it is asked for."""

    packets: list[str]

    def run(self, source, arguments, *, on_output=None, **options):  # type: ignore[no-untyped-def]
        if "copy" not in arguments:
            return super().run(source, arguments, on_output=on_output, **options)
        self.packets = []
        log = super().run(source, arguments, on_output=lambda line: (self.packets.append(line), on_output(line)), **options)
        self.packets = [line for line in self.packets if line[:1].isdigit()]
        return log


def test_a_file_without_pictures_has_no_poster(ffmpeg: Ffmpeg, make: Make, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no moving pictures, only sound"):
        poster(ffmpeg, make("s.mp3", size=None), tmp_path / "poster.png")


def test_a_recording_that_a_browser_calls_a_video_is_shown_by_its_cover(ffmpeg: Ffmpeg, make: Make, remade: Make, tmp_path: Path) -> None:
    Image.new("RGB", (90, 60), (200, 0, 0)).save(tmp_path / "cover.png")
    talk = remade(make("talk.mp4", size=None), "covered-talk.mp4", after=[
        "-i", str(tmp_path / "cover.png"), "-map", "0", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic",
    ])  # fmt: skip
    source = tmp_path / "source.mp4"
    source.write_bytes(talk.read_bytes())
    wanted = [Rendition(to=tmp_path / "thumbnail.jpg", box=(45, 45), quality=80)]

    for file_type in (FileType.VIDEO, FileType.AUDIO, FileType.OTHER):
        assert picture(source, file_type, wanted, ffmpeg) == [(45, 30)]


def bars(ffmpeg: Ffmpeg, folder: Path, *parts: tuple[str, float]) -> Path:
    """A film of coloured bars on black, one colour after the other for so many seconds."""
    return plain_then(ffmpeg, folder, "black", 0.0, *parts)


def plain_then(ffmpeg: Ffmpeg, folder: Path, blank: str, seconds: float, *parts: tuple[str, float]) -> Path:
    """A film of nothing but one colour, and then of bars."""
    pieces = [f"color={blank}:s=64x48:d={seconds},format=yuv420p[n]"] if seconds else []
    pieces += [f"color={c}:s=64x48:d={d},drawbox=w=32:color=black:t=fill,format=yuv420p[{c}]" for c, d in parts]
    names = ["[n]"] * bool(seconds) + [f"[{colour}]" for colour, _ in parts]
    film = folder / "film.mp4"
    graph = ";".join([*pieces, f"{''.join(names)}concat=n={len(names)}[v]"])
    run(ffmpeg, "-filter_complex", graph, "-map", "[v]", *FAST, film)
    return film


def shown(folder: Path) -> str:
    """The colour of the bar on the poster's right."""
    with Image.open(folder / "poster.png") as made:
        red, green, blue = made.convert("RGB").getpixel((48, 24))  # type: ignore[misc]
    return "red" if red > 150 > max(green, blue) else "blue" if blue > 150 > max(red, green) else "neither"


def test_a_film_in_colours_that_cannot_be_told_is_shown_in_shades_of_grey(ffmpeg: Ffmpeg, dolby_vision: Path, tmp_path: Path) -> None:
    poster(ffmpeg, dolby_vision, tmp_path / "poster.png")

    with Image.open(tmp_path / "poster.png") as made:
        red, green, blue = made.convert("RGB").split()
    assert max(band.getextrema()[1] for band in (ImageChops.difference(red, green), ImageChops.difference(green, blue))) <= 3
    assert ImageStat.Stat(green).stddev[0] > 40
