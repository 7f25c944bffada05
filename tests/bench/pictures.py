"""The pictures that both sides shrink, and the two sides as processes."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from bench.peers import SHARP, Obedient
from kayan_workers.processors.variant import IMAGE_RECIPES
from PIL import Image, ImageDraw, ImageFilter
from servers import BUILD
from wire import node_packages

PEER = "sharp 0.34.4"
SHAPE = (4000, 3000)
FOLDER = BUILD / "bench" / "pictures"
JOBS = {"thumbnail": ["THUMBNAIL"], "four variants": [str(variant) for variant in IMAGE_RECIPES]}
_FORMATS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 90}, "PNG": {"compress_level": 6}, "WebP": {"quality": 85},
    "progressive JPEG": {"quality": 90, "progressive": True},
}  # fmt: skip


def sources() -> dict[str, Path]:
    """The 12 MP picture in each format, made once a checkout."""
    paths = {name: FOLDER / f"{name.replace(' ', '-')}.{name.split()[-1].lower()}" for name in _FORMATS}
    if not all(path.exists() for path in paths.values()):
        FOLDER.mkdir(parents=True, exist_ok=True)
        made = photo(SHAPE)
        for name, how in _FORMATS.items():
            made.save(paths[name], name.split()[-1], **how)
    return paths


def wanted(job: str, side: str, folder: Path) -> list[dict[str, Any]]:
    """What a job asks for, with a name of its own for each side's files."""
    recipes = {str(variant): recipe for variant, recipe in IMAGE_RECIPES.items()}
    return [{"to": str(folder / f"{side}-{name}.jpg"), "box": recipes[name].box, "quality": recipes[name].quality} for name in JOBS[job]]


@contextmanager
def folder() -> Iterator[Path]:
    """Where the sides find and put their pictures; ours may reach no other."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as made:
        yield Path(made)


def side(name: str, place: Path) -> Obedient:
    """A process of either side: ``ours`` or ``sharp``."""
    if name == "ours":
        return Obedient(name, [sys.executable, "-m", "bench.picture_peer", str(place)], dict(os.environ))
    return Obedient(name, [node_packages.node(), str(SHARP / "sharp.js")], os.environ | {"NODE_ENV": "production"})


def photo(shape: tuple[int, int], seed: int = 1) -> Image.Image:
    """Detail of every size, falling off as in nature, with edges and text on it; softened by a lens, with the noise of a sensor.

    At 12 MP it takes 2.3 MB as JPEG, 19 MB as PNG and 0.9 MB as WebP.
    """
    width, height = shape
    random = np.random.default_rng(seed)
    light = np.zeros((height, width, 3), np.float32) + np.linspace(170, 80, height, dtype=np.float32)[:, None, None]
    cells = 2
    while cells < width:
        grid = random.normal(0, 90 / cells**0.62 if cells > 2 else 60, (cells * height // width + 2, cells + 2)).astype(np.float32)
        tint = (1 + 0.25 * random.normal(0, 1, 3)).astype(np.float32)
        light += np.asarray(Image.fromarray(grid).resize(shape, Image.Resampling.BICUBIC))[..., None] * tint
        cells *= 2
    scene = Image.fromarray(np.clip(light, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(scene)
    for number in range(180):
        x, y, side = (int(random.integers(0, limit)) for limit in (width, height, width // 12))
        if number % 3 == 2:
            draw.text((x, y), "Kayan Live stand", fill=(255,) * 3 if number % 2 else (10,) * 3, font_size=8 + side // 4)
        else:
            shape_of = draw.rectangle if number % 3 else draw.ellipse
            shape_of((x, y, x + side, y + side * 2 // 3), fill=tuple(int(value) for value in random.integers(0, 255, 3)))
    noise = np.clip(128 + random.normal(0, 7, (height, width, 3)), 0, 255).astype(np.uint8)
    grain = np.asarray(Image.fromarray(noise).filter(ImageFilter.GaussianBlur(0.6))).astype(np.int16) - 128
    seen = np.asarray(scene.filter(ImageFilter.GaussianBlur(0.7))).astype(np.int16) + grain
    return Image.fromarray(np.clip(seen, 0, 255).astype(np.uint8))
