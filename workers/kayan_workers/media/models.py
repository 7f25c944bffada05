"""3D models: vertices, faces and bounds of GLB, glTF, OBJ, STL and PLY files."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from kayan_workers.errors import PermanentError
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.sniff import Kind, sniff

Point = tuple[float, float, float]
Matrix = tuple[float, ...]
"""Sixteen numbers, column by column, as glTF writes them."""

_IDENTITY: Matrix = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)
_MAX_JSON_BYTES = 64_000_000
_MAX_LINE = 4096
_MAX_NODES = 100_000
_TRIANGLES, _STRIP, _FAN = 4, 5, 6


@dataclass(slots=True)
class Mesh:
    """What a model adds up to. ``low`` and ``high`` are opposite corners of its bounding box, in the file's own unit."""

    vertices: int = 0
    faces: int = 0
    low: list[float] = field(default_factory=lambda: [math.inf] * 3)
    high: list[float] = field(default_factory=lambda: [-math.inf] * 3)
    more: dict[str, object] = field(default_factory=dict)

    def reach(self, points: Iterable[Iterable[float]]) -> None:
        """Grow the bounds until they hold ``points``."""
        for point in points:
            for axis, value in enumerate(point):
                if math.isfinite(value):
                    self.low[axis] = min(self.low[axis], value)
                    self.high[axis] = max(self.high[axis], value)


def can_read(source: Path) -> bool:
    """Whether the file's name or content is of a format whose shape we can tell."""
    return format_of(source, sniff(source)) is not None


def format_of(source: Path, kind: Kind) -> str | None:
    """GLB, glTF, PLY by content; STL and OBJ, which have no signature, by content or by name."""
    if kind.name in ("GLB", "glTF", "PLY"):
        return kind.name
    with source.open("rb") as file:
        head = file.read(1024)
    if len(head) >= 84 and source.stat().st_size == 84 + 50 * int.from_bytes(head[80:84], "little"):
        return "STL"
    if kind.family == "text":
        if head.lstrip().startswith(b"solid") and b"facet" in head:
            return "STL"
        if source.suffix.lower() == ".obj" or any(line.startswith((b"v ", b"mtllib ")) for line in head.splitlines()):
            return "OBJ"
    return None


def describe(source: Path) -> Facts:
    """Raises PermanentError when the file is damaged or of no format we read."""
    kind = sniff(source)
    name = format_of(source, kind)
    readers = {"GLB": _read_glb, "glTF": _read_gltf, "OBJ": _read_obj, "STL": _read_stl, "PLY": _read_ply}
    if name is None:
        raise PermanentError(f"it is not a 3D model we can read (GLB, glTF, OBJ, STL, PLY): its content is {kind}")
    try:
        mesh = readers[name](source)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, OverflowError, RecursionError) as error:
        raise PermanentError(f"the {name} model is damaged: {error}") from error
    bounds = {"min": mesh.low, "max": mesh.high} if all(map(math.isfinite, [*mesh.low, *mesh.high])) else None
    metadata = present({"format": name, "vertices": mesh.vertices, "faces": mesh.faces, "bounds": bounds, **mesh.more})
    return Facts(metadata=metadata, custom=dict(metadata))


def _read_glb(source: Path) -> Mesh:
    with source.open("rb") as file:
        _, version, length = struct.unpack("<4sII", _exactly(file, 12))
        size, chunk = struct.unpack("<I4s", _exactly(file, 8))
        if version == 2 and chunk != b"JSON":
            raise PermanentError("the GLB model is damaged: it does not begin with its JSON part")
        if version != 2:
            raise PermanentError(f"the GLB model is of version {version}; version 2 is what can be read")
        if length > os.fstat(file.fileno()).st_size:
            raise PermanentError("the GLB model breaks off: it is shorter than its header says")
        if size > _MAX_JSON_BYTES:
            raise PermanentError(f"the GLB model's description has more than the {_MAX_JSON_BYTES // 1_000_000} MB that are read here")
        return _read_scene(json.loads(_exactly(file, size)))


def _read_gltf(source: Path) -> Mesh:
    if source.stat().st_size > _MAX_JSON_BYTES:
        raise PermanentError(f"the glTF model's description has more than the {_MAX_JSON_BYTES // 1_000_000} MB that are read here")
    return _read_scene(json.loads(source.read_bytes()))


def _read_scene(scene: dict[str, Any]) -> Mesh:
    """Add up every mesh as often as the scene shows it, moved to where it stands. The format requires bounds of positions to be given."""
    mesh = Mesh()
    nodes, meshes, accessors = scene.get("nodes", []), scene.get("meshes", []), scene.get("accessors", [])
    for number, matrix in _placed(scene, nodes) if nodes else ((n, _IDENTITY) for n in range(len(meshes))):
        for primitive in meshes[number]["primitives"]:
            position = accessors[primitive["attributes"]["POSITION"]]
            mesh.vertices += position["count"]
            mesh.faces += _face_count(primitive, accessors, position["count"])
            if "min" in position and "max" in position:
                mesh.reach(_moved(corner, matrix) for corner in _corners(position["min"], position["max"]))
    mesh.more = {
        "meshes": len(meshes), "materials": len(scene.get("materials", [])), "animations": len(scene.get("animations", [])),
        "generator": str(scene.get("asset", {}).get("generator", ""))[:100],
    }  # fmt: skip
    return mesh


def _placed(scene: dict[str, Any], nodes: list[dict[str, Any]]) -> Iterator[tuple[int, Matrix]]:
    """Every (mesh, transform) the scene shows. A graph that shows one node more often than it may is refused, not followed for ever."""
    scenes = scene.get("scenes") or [{"nodes": range(len(nodes))}]
    waiting = [(root, _IDENTITY) for root in scenes[scene.get("scene", 0)].get("nodes", [])]
    seen = 0
    while waiting:
        number, above = waiting.pop()
        seen += 1
        if seen > _MAX_NODES:
            raise PermanentError(f"the model's scene has more than {_MAX_NODES} nodes, or runs in a circle")
        node = nodes[number]
        matrix = _multiplied(above, _local(node))
        waiting += [(child, matrix) for child in node.get("children", [])]
        if "mesh" in node:
            yield node["mesh"], matrix


def _local(node: dict[str, Any]) -> Matrix:
    if "matrix" in node:
        return tuple(node["matrix"])
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    a, b, c = node.get("scale", (1, 1, 1))
    tx, ty, tz = node.get("translation", (0, 0, 0))
    return (
        a * (1 - 2 * (y * y + z * z)), a * 2 * (x * y + z * w), a * 2 * (x * z - y * w), 0,
        b * 2 * (x * y - z * w), b * (1 - 2 * (x * x + z * z)), b * 2 * (y * z + x * w), 0,
        c * 2 * (x * z + y * w), c * 2 * (y * z - x * w), c * (1 - 2 * (x * x + y * y)), 0,
        tx, ty, tz, 1,
    )  # fmt: skip


def _multiplied(a: Matrix, b: Matrix) -> Matrix:
    return tuple(sum(a[row + 4 * k] * b[k + 4 * column] for k in range(4)) for column in range(4) for row in range(4))


def _moved(point: Point, m: Matrix) -> Point:
    x, y, z = point
    return (m[0] * x + m[4] * y + m[8] * z + m[12], m[1] * x + m[5] * y + m[9] * z + m[13], m[2] * x + m[6] * y + m[10] * z + m[14])


def _corners(low: list[float], high: list[float]) -> list[Point]:
    return [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]


def _face_count(primitive: dict[str, Any], accessors: list[dict[str, Any]], vertices: int) -> int:
    count = accessors[primitive["indices"]]["count"] if "indices" in primitive else vertices
    mode = primitive.get("mode", _TRIANGLES)
    return int(count // 3 if mode == _TRIANGLES else max(0, count - 2) if mode in (_STRIP, _FAN) else 0)


def _read_obj(source: Path) -> Mesh:
    mesh = Mesh()
    with source.open("rb") as file:
        for line in _lines(file):
            if line.startswith(b"v "):
                mesh.vertices += 1
                mesh.reach([[float(number) for number in line.split()[1:4]]])
            elif line.startswith(b"f "):
                mesh.faces += 1
    if not mesh.vertices:
        raise PermanentError("the OBJ model has no vertices")
    return mesh


def _read_stl(source: Path) -> Mesh:
    mesh = Mesh()
    with source.open("rb") as file:
        head = file.read(84)
        if len(head) == 84 and source.stat().st_size == 84 + 50 * int.from_bytes(head[80:84], "little"):
            while block := file.read(50 * 4096):
                for triangle in struct.iter_unpack("<12fH", block):
                    mesh.faces += 1
                    mesh.reach((triangle[3:6], triangle[6:9], triangle[9:12]))
            mesh.vertices = mesh.faces * 3
            return mesh
        file.seek(0)
        for line in _lines(file):
            words = line.split()
            if words[:1] == [b"vertex"]:
                mesh.vertices += 1
                mesh.reach([[float(number) for number in words[1:4]]])
            elif words[:1] == [b"endfacet"]:
                mesh.faces += 1
    if not mesh.faces:
        raise PermanentError("the STL model has no faces")
    return mesh


_PLY_TYPES = {
    "char": "b", "int8": "b", "uchar": "B", "uint8": "B", "short": "h", "int16": "h", "ushort": "H", "uint16": "H",
    "int": "i", "int32": "i", "uint": "I", "uint32": "I", "float": "f", "float32": "f", "double": "d", "float64": "d",
}  # fmt: skip


def _read_ply(source: Path) -> Mesh:
    mesh = Mesh()
    with source.open("rb") as file:
        encoding, elements = _ply_header(file)
        counts = {name: count for name, count, _ in elements}
        mesh.vertices, mesh.faces = counts.get("vertex", 0), counts.get("face", 0)
        first, count, properties = elements[0] if elements else ("", 0, [])
        names = [name for name, _ in properties]
        if first != "vertex" or not {"x", "y", "z"} <= set(names) or any(code is None for _, code in properties):
            return mesh
        axes = [names.index(axis) for axis in "xyz"]
        for values in _ply_rows(file, encoding, count, "".join(code or "" for _, code in properties)):
            mesh.reach([[float(values[axis]) for axis in axes]])
    return mesh


def _ply_header(file: BinaryIO) -> tuple[str, list[tuple[str, int, list[tuple[str, str | None]]]]]:
    """The encoding, and each element's name, count and properties with their ``struct`` code (None for a list)."""
    encoding = ""
    elements: list[tuple[str, int, list[tuple[str, str | None]]]] = []
    for line in _lines(file):
        words = line.decode("ascii", "replace").split()
        if words[:1] == ["format"]:
            encoding = words[1]
        elif words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][2].append((words[-1], None if words[1] == "list" else _PLY_TYPES[words[1]]))
        elif words[:1] == ["end_header"]:
            return encoding, elements
    raise PermanentError("the PLY model breaks off inside its header")


def _ply_rows(file: BinaryIO, encoding: str, count: int, codes: str) -> Iterator[Any]:
    if encoding == "ascii":
        lines = _lines(file)
        for _ in range(count):
            line = next(lines, None)
            if line is None:
                raise PermanentError("the PLY model breaks off: it has fewer vertices than its header says")
            yield line.split()
        return
    row = struct.Struct({"binary_little_endian": "<", "binary_big_endian": ">"}[encoding] + codes)
    for start in range(0, count, 4096):
        yield from row.iter_unpack(_exactly(file, row.size * min(4096, count - start)))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file, however it ends them; one without end is damage, not a reason to read on."""
    while line := file.readline(_MAX_LINE):
        if len(line) == _MAX_LINE and not line.startswith((b"#", b"f ", b"comment")):
            raise PermanentError(f"the model has a line of more than {_MAX_LINE} bytes")
        yield line


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise PermanentError("the model breaks off: it is shorter than its header says")
    return data
