"""glTF and GLB: meshes as often as the scene shows them, each where it stands."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kayan_workers.errors import PermanentError
from kayan_workers.media.images import images
from kayan_workers.media.models.gltf_data import Data, unpacked
from kayan_workers.media.models.gltf_scene import Accessor, Node, Primitive, Scene, read_scene
from kayan_workers.media.models.shape import MAX_DRAWN, MAX_POINTS, Bytes, Floats, Part, Survey, extent, finite, sample, valid
from kayan_workers.media.rendition import Rendition

Matrix = NDArray[np.float64]
"""(4, 4); a point is a column."""

_MAX_NODES = 100_000
_POINTS, _TRIANGLES, _STRIP, _FAN = 0, 4, 5, 6
_TEXTURE_SIDE = 1024
_MAX_TEXTURES = 32


def survey(source: Path, *, binary: bool) -> Survey:
    """Add up every mesh as often as the scene shows it, moved to where it stands."""
    scene, own = read_scene(source, binary=binary)
    data = Data(source, scene, own)
    found = Survey(more={
        "meshes": len(scene.meshes), "materials": len(scene.materials), "animations": len(scene.animations),
        "generator": scene.asset.generator[:100],
    })  # fmt: skip
    for number, matrices in _shown(scene).items():
        for primitive in _placed_primitives(scene, number):
            position = scene.accessors[primitive.attributes["POSITION"]]
            _check(data, primitive)
            found.vertices += position.count * len(matrices)
            found.faces += _face_count(scene, primitive) * len(matrices)
            found.reach(_moved(_corners(data, primitive, position), matrices))
    return found


def parts(source: Path, *, binary: bool) -> list[Part]:
    """Raises PermanentError, in words that go after "no preview:", for shapes that stand elsewhere or are compressed."""
    scene, own = read_scene(source, binary=binary)
    data = Data(source, scene, own)
    shown = _shown(scene)
    used = [(primitive, matrices) for number, matrices in shown.items() for primitive in _placed_primitives(scene, number)]
    step = max(1, -(-sum(_face_count(scene, primitive) * len(matrices) for primitive, matrices in used) // MAX_DRAWN))
    textures = _Textures(source, scene, data)
    found, points = [], 0
    for primitive, matrices in used:
        if primitive.mode not in (_POINTS, _TRIANGLES, _STRIP, _FAN):
            continue  # lines
        if _is_draco(primitive):
            raise PermanentError("its shape is compressed with Draco, which cannot be drawn here", "export it without compression")
        part = _part(scene, data, primitive, matrices, step, textures)
        points += len(part.points)
        if points > MAX_POINTS:
            raise PermanentError(f"it has more than the {MAX_POINTS} vertices that are drawn")
        found.append(part)
    return found


def _part(scene: Scene, data: Data, primitive: Primitive, matrices: Matrix, step: int, textures: _Textures) -> Part:
    points = data.array(primitive.attributes["POSITION"]).astype(np.float32)
    triangles = None
    if primitive.mode != _POINTS:
        triangles = valid(_triangles(data, primitive, len(points)), len(points))
        triangles = triangles[sample(len(triangles), step)]
    once = Part(points=points, triangles=triangles, normals=_normals(data, primitive), colours=_colours(data, primitive), step=step)
    if primitive.material is not None:
        surface = scene.materials[primitive.material].pbr_metallic_roughness
        red, green, blue, _ = surface.base_color_factor
        once.base = (red, green, blue)
        use = surface.base_color_texture
        if use is not None and f"TEXCOORD_{use.tex_coord}" in primitive.attributes and (texture := textures.get(use.index)) is not None:
            once.texture = texture
            once.places = data.array(primitive.attributes[f"TEXCOORD_{use.tex_coord}"]).astype(np.float32)
    return _repeated(once, matrices[: max(1, MAX_POINTS // max(1, len(points)))])


def _repeated(part: Part, matrices: Matrix) -> Part:
    """The part at each of its places; a mirrored or squeezed one keeps its normals upright on its surface."""
    times, count = len(matrices), len(part.points)
    normals = None
    if part.normals is not None and len(part.normals) == count:
        turned = np.linalg.pinv(np.nan_to_num(matrices[:, :3, :3])).transpose(0, 2, 1).astype(np.float32)
        normals = np.einsum("kij,nj->kni", turned, part.normals).reshape(-1, 3).astype(np.float32)
    triangles = part.triangles
    if triangles is not None and times > 1:
        triangles = (triangles[None] + (np.arange(times) * count)[:, None, None]).reshape(-1, 3).astype(np.int32)
    return Part(
        points=_moved(part.points, matrices).astype(np.float32), triangles=triangles, normals=normals, base=part.base, texture=part.texture,
        colours=None if part.colours is None or len(part.colours) != count else np.tile(part.colours, (times, 1)),
        places=None if part.places is None or len(part.places) != count else np.tile(part.places, (times, 1)), step=part.step,
    )  # fmt: skip


def _moved(points: NDArray[Any], matrices: Matrix) -> NDArray[np.float64]:
    """Points (n, 3) at each of their places, (k n, 3)."""
    with np.errstate(invalid="ignore", over="ignore"):
        moved: NDArray[np.float64] = np.einsum("kij,nj->kni", matrices[:, :3, :3], points.astype(np.float64)) + matrices[:, None, :3, 3]
    return moved.reshape(-1, 3)


def _triangles(data: Data, primitive: Primitive, vertices: int) -> NDArray[np.int64]:
    order = np.arange(vertices) if primitive.indices is None else data.array(primitive.indices)[:, 0].astype(np.int64)
    if primitive.mode == _TRIANGLES:
        return order[: len(order) - len(order) % 3].reshape(-1, 3)
    if len(order) < 3:
        return np.empty((0, 3), np.int64)
    if primitive.mode == _FAN:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], axis=1)
    strip = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    strip[1::2] = strip[1::2, [1, 0, 2]]  # every second one is wound the other way round
    return strip


def _normals(data: Data, primitive: Primitive) -> Floats | None:
    return data.array(primitive.attributes["NORMAL"]).astype(np.float32) if "NORMAL" in primitive.attributes else None


def _colours(data: Data, primitive: Primitive) -> Bytes | None:
    """Colours of vertices; the format has them in linear light."""
    if "COLOR_0" not in primitive.attributes:
        return None
    linear = data.array(primitive.attributes["COLOR_0"])[:, :3].astype(np.float32)
    return (np.nan_to_num(linear).clip(0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def _corners(data: Data, primitive: Primitive, position: Accessor) -> NDArray[np.float64]:
    """The corners of a primitive's box: as the format requires them to be written down, or else from its vertices."""
    low, high = position.min, position.max
    if low is None or high is None:
        if _is_draco(primitive):
            return np.empty((0, 3))
        try:
            points = data.array(primitive.attributes["POSITION"]).astype(np.float64)
        except PermanentError:
            return np.empty((0, 3))  # they stand in another file, or are compressed
        low, high = (corner.tolist() for corner in extent(points[finite(points)]))
    return np.array([(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])


def _check(data: Data, primitive: Primitive) -> None:
    """Raises ValueError for more vertices or faces than there are bytes for. How many Draco packed is known to Draco alone."""
    if not _is_draco(primitive):
        data.check(primitive.attributes["POSITION"])
        if primitive.indices is not None:
            data.check(primitive.indices)


def _is_draco(primitive: Primitive) -> bool:
    return any("draco" in name for name in primitive.extensions)


def _face_count(scene: Scene, primitive: Primitive) -> int:
    count = scene.accessors[primitive.attributes["POSITION"] if primitive.indices is None else primitive.indices].count
    return count // 3 if primitive.mode == _TRIANGLES else max(0, count - 2) if primitive.mode in (_STRIP, _FAN) else 0


def _placed_primitives(scene: Scene, mesh: int) -> list[Primitive]:
    """Those of a mesh that have vertices; an extension may bring the others' along."""
    return [primitive for primitive in scene.meshes[mesh].primitives if "POSITION" in primitive.attributes]


def _shown(scene: Scene) -> dict[int, Matrix]:
    """The meshes that the scene shows, each with its transforms (k, 4, 4)."""
    if not scene.nodes:
        return {number: np.eye(4)[None] for number in range(len(scene.meshes))}
    places: dict[int, list[Matrix]] = {}
    for number, matrix in _placed(scene):
        places.setdefault(number, []).append(matrix)
    return {number: np.stack(matrices) for number, matrices in places.items()}


def _placed(scene: Scene) -> Iterator[tuple[int, Matrix]]:
    """Every (mesh, transform) the scene shows. A graph that shows one node more often than it may is refused, not followed for ever."""
    roots = scene.scenes[scene.scene].nodes if scene.scenes else range(len(scene.nodes))
    waiting = [(root, np.eye(4)) for root in roots]
    seen = 0
    while waiting:
        number, above = waiting.pop()
        seen += 1
        if seen + len(waiting) > _MAX_NODES:
            raise PermanentError(f"the model's scene has more than {_MAX_NODES} nodes, or runs in a circle")
        node = scene.nodes[number]
        matrix = above @ _local(node)
        waiting += [(child, matrix) for child in node.children]
        if node.mesh is not None:
            yield node.mesh, matrix


def _local(node: Node) -> Matrix:
    if node.matrix is not None:
        return np.array(node.matrix, np.float64).reshape(4, 4).T
    x, y, z, w = node.rotation
    turn = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array(node.scale)
    matrix[:3, 3] = node.translation
    return matrix


class _Textures:
    """Pictures on surfaces, each opened once and small; one that cannot be read is left away."""

    def __init__(self, source: Path, scene: Scene, data: Data) -> None:
        self._source = source
        self._scene = scene
        self._data = data
        self._opened: dict[int, Bytes | None] = {}

    def get(self, texture: int) -> Bytes | None:
        number = self._scene.textures[texture].source
        if number is None:
            return None  # in a format of an extension
        if number not in self._opened and len(self._opened) < _MAX_TEXTURES:
            self._opened[number] = self._open(number)
        return self._opened.get(number)

    def _open(self, number: int) -> Bytes | None:
        picture = self._scene.images[number]
        packed, small = self._source.with_name("texture"), self._source.with_name("texture.jpg")
        try:
            packed.write_bytes(self._data.bytes_of(picture.buffer_view) if picture.buffer_view is not None else unpacked(picture.uri or ""))
            images.render(packed, [Rendition(to=small, box=(_TEXTURE_SIDE, _TEXTURE_SIDE), quality=90)])
            with Image.open(small) as opened:
                return np.asarray(opened.convert("RGB"))
        except (PermanentError, ValueError, IndexError, struct.error):
            return None
        finally:
            packed.unlink(missing_ok=True)
            small.unlink(missing_ok=True)
