"""Codec processes at work, with an ffmpeg that does what a hostile file would make it do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kayan_workers.codecs.codecs import Codecs
from kayan_workers.ffmpeg import Ffmpeg
from PIL import Image

MakeCodecs = Callable[..., Codecs]


class Scene:
    """A folder as a job has it, and codecs that may write to it."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.folder = folder
        self._tools = tools
        self._made: list[Codecs] = []

    def codecs(self, ffmpeg: Ffmpeg | None = None, **options: float) -> Codecs:
        values = {"processes": 1, "memory_mb": 512, "threads": 2, **options}
        made = Codecs(self.folder, ffmpeg or Ffmpeg(), **values)  # type: ignore[arg-type]
        self._made.append(made)
        return made

    def possessed_by(self, script: str) -> Ffmpeg:
        """An ffmpeg that runs ``script`` (Python) instead: whatever it may do, a codec that a file took over may do as well."""
        self._tools.mkdir(exist_ok=True)
        binary = self._tools / "ffmpeg"
        binary.write_text(f"#!{sys.executable} -I\nimport os, signal, socket, sys, time\n{script}\n")
        binary.chmod(0o755)
        return Ffmpeg(str(binary))

    def film(self) -> Path:
        """A file that is handed to ffmpeg; what is in it does not matter to a possessed one."""
        path = self.folder / "film.mp4"
        path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(1000))
        return path

    def photo(self) -> Path:
        path = self.folder / "photo.jpg"
        if not path.exists():
            Image.effect_noise((320, 200), 50).convert("RGB").save(path)
        return path

    def close(self) -> None:
        for codecs in self._made:
            codecs.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    folder = tmp_path / "temp"
    folder.mkdir()
    scene = Scene(folder, tmp_path / "tools")
    yield scene
    scene.close()
