from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from corpus.films import with_dolby_vision
from kayan_workers.ffmpeg import Ffmpeg

Make = Callable[..., Path]


@pytest.fixture(scope="session")
def ffmpeg() -> Ffmpeg:
    return Ffmpeg()


@pytest.fixture(scope="session")
def make(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a test file with ffmpeg, once per name: ``make("a.mp4", seconds=2, size="320x240", sound=True, options=[…])``."""
    folder = tmp_path_factory.mktemp("films")

    def made(
        name: str,
        *,
        seconds: float = 2.0,
        size: str | None = "320x240",
        rate: str = "25",
        sound: bool = True,
        options: list[str] | None = None,
    ) -> Path:
        to = folder / name
        if not to.exists():
            inputs = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}"] if size else []
            inputs += ["-f", "lavfi", "-i", "sine=440:r=44100"] if sound else []
            run(ffmpeg, *inputs, "-t", str(seconds), *(options or []), to)
        return to

    return made


def run(ffmpeg: Ffmpeg, *arguments: str | Path) -> None:
    subprocess.run([ffmpeg.binary, "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def remade(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a file out of another: ``remade(source, "name", before=[…], after=[…])``."""
    folder = tmp_path_factory.mktemp("remade")

    def made(source: Path, name: str, *, before: list[str] | None = None, after: list[str] | None = None) -> Path:
        to = folder / name
        run(ffmpeg, *(before or []), "-i", source, *(after or ["-c", "copy"]), to)
        return to

    return made


@pytest.fixture(scope="session")
def hdr(make: Make) -> Make:
    """The moving test picture in high dynamic range, as white as paper where it is white: ``hdr("a.mp4", transfer="smpte2084")``."""

    def made(name: str, *, transfer: str, options: Sequence[str] = ()) -> Path:
        graph = ("scale=out_color_matrix=bt709,format=yuv444p,setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv,"
                 f"zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt2020:t={transfer}:m=bt2020nc:r=tv:npl=203,format=yuv420p10le")
        coding = f"log-level=none:transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc"
        encoder = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", coding]
        return make(name, seconds=1, sound=False, options=["-vf", graph, *encoder, *options])

    return made


@pytest.fixture
def dolby_vision(hdr: Make, tmp_path: Path) -> Path:
    """A film that says it is Dolby Vision of profile 5, which has no picture in ordinary colours below."""
    film = tmp_path / "profile-5.mp4"
    film.write_bytes(with_dolby_vision(hdr("below.mp4", transfer="smpte2084", options=["-tag:v", "hvc1"]).read_bytes(), profile=5, base=0))
    return film
