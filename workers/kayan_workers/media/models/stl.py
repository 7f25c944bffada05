"""STL: loose triangles, as bytes or as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kayan_workers.errors import PermanentError
from kayan_workers.media.models import ending
from kayan_workers.media.models.binary_stl import HEAD_BYTES, is_binary_stl
from kayan_workers.media.models.lines import blocks, numbers
from kayan_workers.media.models.shape import MAX_DRAWN, Floats, Part, Survey, sample

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_TRIANGLES_A_BLOCK = 100_000


def survey(source: Path) -> Survey:
    found = Survey()
    for corners in _triangles(source):
        found.faces += len(corners)
        found.reach(corners.reshape(-1, 3))
    found.vertices = found.faces * 3
    if not found.faces:
        raise PermanentError("the STL model has no faces")
    with source.open("rb") as file:
        if not is_binary_stl(source, file.read(HEAD_BYTES)) and ending.within_a_facet(file):
            found.more["damaged"] = True
    return found


def parts(source: Path) -> list[Part]:
    step = -(-survey(source).faces // MAX_DRAWN)
    points = np.concatenate([corners[sample(len(corners), step)] for corners in _triangles(source)]).reshape(-1, 3)
    return [Part(points=points, triangles=np.arange(len(points), dtype=np.int32).reshape(-1, 3), flat=True, step=step)]


def _triangles(source: Path) -> Iterator[Floats]:
    """The corners (n, 3, 3) of all triangles, a block at a time."""
    with source.open("rb") as file:
        if is_binary_stl(source, file.read(HEAD_BYTES)):
            while block := file.read(_TRIANGLE.itemsize * _TRIANGLES_A_BLOCK):
                yield np.ascontiguousarray(np.frombuffer(block, _TRIANGLE)["corners"])
            return
        file.seek(0)
        loose: list[bytes] = []
        for lines in blocks(file):
            loose += [line[6:] for line in map(bytes.strip, lines) if line.startswith(b"vertex")]
            whole = len(loose) - len(loose) % 3
            if whole:
                yield numbers(loose[:whole], 3).astype(np.float32).reshape(-1, 3, 3)
            del loose[:whole]
