"""Wavefront OBJ: vertices (with colours, as scanners write them) and faces of any number of corners."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kayan_workers.errors import PermanentError
from kayan_workers.media.models.faces import fans
from kayan_workers.media.models.lines import blocks, numbers
from kayan_workers.media.models.shape import MAX_DRAWN, MAX_POINTS, Floats, Indices, Part, Survey, sample, valid

_MAX_FACES = 10_000_000


def survey(source: Path) -> Survey:
    found = Survey()
    for vertices, faces in _blocks(source):
        found.vertices += len(vertices)
        found.faces += len(faces)
        if vertices:
            found.reach(_positions(vertices)[:, :3])
    if not found.vertices:
        raise PermanentError("the OBJ model has no vertices")
    return found


def parts(source: Path) -> list[Part]:
    rows: list[Floats] = []
    triangles: list[Indices] = []
    points = faces = 0
    for vertex_lines, face_lines in _blocks(source):
        points += len(vertex_lines)
        faces += len(face_lines)
        if points > MAX_POINTS or faces > _MAX_FACES:
            raise PermanentError(f"it has more than the {MAX_POINTS} vertices or {_MAX_FACES} faces that are drawn")
        if vertex_lines:
            with np.errstate(over="ignore"):
                rows.append(_positions(vertex_lines).astype(np.float32))
        if face_lines:
            triangles.append(valid(_triangles(face_lines, points), MAX_POINTS))
    if not rows:
        raise PermanentError("it has no vertices")
    coloured = all(block.shape[1] == 6 for block in rows)
    colours = np.concatenate([(np.nan_to_num(block[:, 3:]).clip(0, 1) * 255).astype(np.uint8) for block in rows]) if coloured else None
    placed = np.concatenate([block[:, :3] for block in rows])
    if not triangles:
        return [Part(points=placed, colours=colours)]
    cut = valid(np.concatenate(triangles), len(placed))
    step = max(1, -(-len(cut) // MAX_DRAWN))
    return [Part(points=placed, triangles=cut[sample(len(cut), step)], colours=colours, step=step)]


def _blocks(source: Path) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """The lines of vertices and of faces, a block at a time and without their first letter."""
    with source.open("rb") as file:
        for lines in blocks(file):
            stripped = [line.strip().replace(b"\t", b" ") for line in lines]
            yield [line[2:] for line in stripped if line.startswith(b"v ")], [line[2:] for line in stripped if line.startswith(b"f ")]


def _positions(lines: list[bytes]) -> NDArray[np.float64]:
    """x, y, z, and r, g, b where the first line has them."""
    columns = len(lines[0].split())
    return numbers(lines, 6 if columns >= 6 else 3)


def _triangles(faces: list[bytes], vertices: int) -> NDArray[np.int64]:
    """Corners as numbers from 0 among the ``vertices`` read so far, which a negative number counts back from."""
    corners = np.array([len(line.split()) for line in faces])
    text = b" ".join(faces)
    tokens, slashes = int(corners.sum()), text.count(b"/")
    if slashes == 0:
        values = np.fromstring(text, np.int64, sep=" ")
    elif slashes in (tokens, 2 * tokens):  # as in 1/2, 1/2/3 or 1//3
        values = np.fromstring(text.replace(b"//", b"/0/").replace(b"/", b" "), np.int64, sep=" ")
        values = values.reshape(tokens, -1)[:, 0]
    else:
        values = np.array([token.partition(b"/")[0] for token in text.split()], dtype=np.int64)
    if values.size != tokens:
        raise ValueError("a face has something else than numbers")
    return fans(np.where(values < 0, values + vertices, values - 1), corners)
