"""How our four variants look beside sharp's, and how large they are.

SSIM by ffmpeg's filter of that name: between the two sides, and of each side to the ideal, the source reduced by Pillow's Lanczos filter
without any shortcut and kept without loss. Where sharp lets libwebp do all the reducing, a smaller likeness to it can mean a greater one to
the ideal.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

from bench import pictures
from bench.results import Goal, Row
from bench.stage import Stage
from kayan_workers.ffmpeg import Ffmpeg
from PIL import Image

PEER = pictures.PEER
_ALIKE = 0.98
_LARGER = 1.05


async def run(stage: Stage) -> list[Row]:
    rows = []
    with pictures.folder() as place:
        async with pictures.side("ours", place) as ours, pictures.side("sharp", place) as sharp:
            for name, source in pictures.sources().items():
                copy = shutil.copy(source, place)
                made = {}
                for peer in (ours, sharp):
                    wanted = pictures.wanted("four variants", peer.side, place)
                    await peer.ask("render", source=copy, wanted=wanted)
                    made[peer.side] = [Path(one["to"]) for one in wanted]
                ideals = [_ideal(source, path, place) for path in made["sharp"]]
                alike = [await _ssim(mine, theirs) for mine, theirs in zip(made["ours"], made["sharp"], strict=True)]
                true = {side: [await _ssim(path, ideal) for path, ideal in zip(paths, ideals, strict=True)] for side, paths in made.items()}
                sizes = {side: [path.stat().st_size / 1000 for path in paths] for side, paths in made.items()}
                rows.append(Row(f"{name}: SSIM of ours to sharp's", "", alike, goal=_alike()))
                rows.append(Row(f"{name}: SSIM to the ideal", "", true["ours"], true["sharp"]))
                rows.append(Row(f"{name}: size", "kB", sizes["ours"], sizes["sharp"], _each_hardly_larger()))
    return rows


def _alike() -> Goal:
    """The samples are the four variants."""
    return Goal(f"each ≥ {_ALIKE:g}", lambda ours, _: all(one >= _ALIKE for one in ours))


def _each_hardly_larger() -> Goal:
    return Goal(f"each ≤ {_LARGER:g}× sharp", lambda ours, peer: all(a <= _LARGER * b for a, b in zip(ours, peer, strict=True)))


def _ideal(source: Path, like: Path, place: Path) -> Path:
    with Image.open(source) as whole, Image.open(like) as small:
        path = place / f"ideal-{small.width}.png"
        whole.convert("RGB").resize(small.size, Image.Resampling.LANCZOS).save(path, compress_level=1)
    return path


async def _ssim(mine: Path, theirs: Path) -> float:
    """1 for the same picture."""
    process = await asyncio.create_subprocess_exec(
        Ffmpeg().binary, "-nostdin", "-hide_banner", "-i", mine, "-i", theirs, "-lavfi", "ssim", "-f", "null", "-",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said = (await process.communicate())[1].decode()
    found = re.search(r"SSIM .*All:([0-9.]+)", said)
    if found is None:
        raise RuntimeError(f"ffmpeg gave no SSIM: {said[-500:]}")
    return float(found[1])
