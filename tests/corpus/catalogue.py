"""All generated files together."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from corpus import bombs, damaged, disguised, documents, films, images, models, traps
from corpus.files import Files


@cache
def families() -> dict[str, Files]:
    """Every file of the corpus by family and name; the same bytes each time. Takes a few seconds of ffmpeg."""
    whole = {"images": images.make(), "films": films.make(), "documents": documents.make(), "models": models.make()}
    sources = {name: data for files in whole.values() for name, data in files.items()}
    hostile = {
        "damaged": damaged.make(sources), "disguised": disguised.make(sources), "bombs": bombs.make(sources), "traps": traps.make(sources),
    }  # fmt: skip
    return whole | hostile


def everything() -> Files:
    return {name: data for files in families().values() for name, data in files.items()}


def write(folder: Path) -> int:
    """Write every file into a folder of its family, for a look or for another program; returns how many."""
    for family, files in families().items():
        (folder / family).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / family / name).write_bytes(data)
    return len(everything())
