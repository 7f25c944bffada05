from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
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
