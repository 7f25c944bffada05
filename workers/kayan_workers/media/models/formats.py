"""How each format of 3D models is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kayan_workers.media.models import gltf, obj, ply, stl
from kayan_workers.media.models.shape import Part, Survey


class Format(NamedTuple):
    """Its two readers, and where it has its sky."""

    survey: Callable[[Path], Survey]
    parts: Callable[[Path], list[Part]]
    up: int
    """The axis that points to the sky: programs for printing and building, which write STL, mean the third."""


FORMATS = {
    "GLB": Format(partial(gltf.survey, binary=True), partial(gltf.parts, binary=True), up=1),
    "glTF": Format(partial(gltf.survey, binary=False), partial(gltf.parts, binary=False), up=1),
    "OBJ": Format(obj.survey, obj.parts, up=1),
    "STL": Format(stl.survey, stl.parts, up=2),
    "PLY": Format(ply.survey, ply.parts, up=1),
}
