"""The sizes of a picture come from one decode of it."""

from __future__ import annotations

import os
from pathlib import Path

from kayan_workers.media.images import images
from kayan_workers.media.rendition import Rendition
from PIL import Image


def bytes_read() -> int:
    """By this process, from files and whatever else."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_picture_is_read_once_however_many_sizes_are_made_of_it(tmp_path: Path) -> None:
    noise = tmp_path / "noise.png"
    Image.frombytes("RGB", (1200, 1200), os.urandom(1200 * 1200 * 3)).save(noise, compress_level=0)
    boxes = [(200, 200), (800, 600), (1920, 1080), (640, 480)]
    images.render(noise, [Rendition(to=tmp_path / "first.jpg", box=boxes[0], quality=80)])  # loads what is loaded once

    before = bytes_read()
    images.render(noise, [Rendition(to=tmp_path / f"{box[0]}.jpg", box=box, quality=80) for box in boxes])

    assert bytes_read() - before < 2 * noise.stat().st_size
