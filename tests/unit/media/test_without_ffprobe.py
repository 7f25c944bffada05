"""Films and sound are read with the ffmpeg that comes along. There need be no ffprobe, nor anything else, on the machine's PATH."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.films.probe import probe


def test_a_film_is_read_on_a_machine_without_ffprobe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = tmp_path / "film.mp4"
    ffmpeg = Ffmpeg()
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=1", "-f", "lavfi", "-i", "sine=duration=1"]
    subprocess.run([ffmpeg.binary, "-loglevel", "error", *source, str(film)], check=True)
    monkeypatch.setenv("PATH", str(tmp_path))

    found = probe(Ffmpeg(ffmpeg.binary), film)

    assert found.picture is not None
    assert found.picture.size == (64, 48)
    assert found.audio is not None
