"""Draws a model: one camera, two lights, and a soft shadow on the ground.

Every pixel first finds out which triangle it shows; only what is seen is shaded. Then come the creases that little light reaches,
and the shadow. The picture is made at twice its size, for smooth edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kayan_workers.media.geometry import Size
from kayan_workers.media.models.camera import Camera, centred
from kayan_workers.media.models.raster import Raster, effort
from kayan_workers.media.models.shape import Bytes, Floats, Indices, Part, finite

_OVERSAMPLING = 2
_MOST_EFFORT = 60_000_000
"""Pixels and rows of all triangles, seen or not: some seconds' work. A model with more is drawn at half the size, then thinned out."""
_FAR_AWAY = np.float32(1e8)
"""A point that cannot even be multiplied by this is so far away (3e30) that nothing can be computed with it."""
_SHADED_A_BATCH = 200_000
_NEARLY_LEVEL = float(np.cos(np.radians(48)))
"""Faces that meet at less than this angle are shaded as one curve."""
_SHADOW_GRID = 192
_SHADOW_REACH = 1.5
"""How far the map of the shadow reaches from the middle, in lengths of the model."""
_FACES_IN_SHADOW = 200_000
_WHITEST = 0.88
"""Of the light that falls on a white surface, what it sends back: it is to be told from the paper."""
_KEY, _FILL = np.array([-0.45, 0.65, 0.6]), np.array([0.8, 0.1, 0.45])
"""Where the lights are, seen from the camera: right, up, back."""


@dataclass(slots=True)
class _Piece:
    """A part in the room and in the picture. Its triangles, or points, are numbered from ``first``."""

    part: Part
    first: int
    at: Floats
    near: Floats

    @property
    def points(self) -> Floats:
        return self.part.points

    def draw(self, raster: Raster, every: int) -> None:
        if self.part.triangles is None:
            raster.scatter(self.at, self.near, self.first, _point_width(len(self.at), raster.size))
        else:
            raster.fill(self.at, self.near, self.part.triangles, self.first, grown=self.part.grown, every=every)


def draw(parts: Sequence[Part], size: Size, *, up: int) -> Bytes | None:
    """A picture (height, width, 3) in sRGB; ``up`` (1 or 2) is the axis that points to the sky. None when there is nothing to be seen."""
    parts = [clean for part in parts if (clean := _cleaned(part)) is not None]
    if not parts:
        return None
    large = size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING
    points = centred([part.points for part in parts], up)
    parts = [replace(part, points=placed) for part, placed in zip(parts, points, strict=True)]
    camera = Camera.before(points, large)
    pieces = _pieces(parts, camera)
    work = _work(pieces, large)
    if work > _MOST_EFFORT:
        large, camera = size, Camera.before(points, size)
        pieces = _pieces(parts, camera)
        work = _work(pieces, large)
    raster = Raster(large)
    for piece in pieces:
        piece.draw(raster, every=max(1, round(work / _MOST_EFFORT)))
    if not raster.covered.any():  # seen edge on, or smaller than a pixel
        pieces = [replace(piece, part=replace(piece.part, triangles=None)) for piece in pieces]
        for piece in pieces:
            piece.draw(raster, every=1)
    picture = _backdrop(large)
    picture *= _enlarged(_shadow(pieces, camera))[..., None]
    seen = raster.covered.reshape(large[1], large[0])
    picture[seen] = _encoded(_shaded(pieces, raster, camera) * _enlarged(_creases(raster, camera))[seen][:, None])
    return _shrunk(picture, large[0] // size[0])


def _cleaned(part: Part) -> Part | None:
    """Without points that are nowhere, what hangs on them, and points that nothing uses; None when nothing is left."""
    with np.errstate(over="ignore"):
        there = finite(part.points * _FAR_AWAY)
    if part.triangles is not None:
        triangles = part.triangles if there.all() else part.triangles[there[part.triangles].all(axis=1)]
        used = np.zeros(len(there), bool)
        used[triangles] = True
        if used.all() or len(triangles) == 0:
            return replace(part, triangles=triangles) if len(triangles) else None
        moved = (np.cumsum(used) - 1).astype(np.int32)
        return _chosen(replace(part, triangles=moved[triangles]), used)
    return _chosen(part, there) if there.any() else None


def _chosen(part: Part, kept: NDArray[np.bool_]) -> Part:
    if kept.all():
        return part
    return replace(
        part, points=part.points[kept], normals=None if part.normals is None else part.normals[kept],
        colours=None if part.colours is None else part.colours[kept], places=None if part.places is None else part.places[kept],
    )  # fmt: skip


def _pieces(parts: Sequence[Part], camera: Camera) -> list[_Piece]:
    pieces, first = [], 0
    for part in parts:
        pieces.append(_Piece(part, first, *camera.see(part.points)))
        first += len(part.points if part.triangles is None else part.triangles)
    return pieces


def _work(pieces: Sequence[_Piece], size: Size) -> float:
    return sum(
        float(effort(piece.at, piece.part.triangles, size).sum()) * piece.part.step for piece in pieces if piece.part.triangles is not None
    )


def _point_width(points: int, size: Size) -> int:
    """In pixels: a few points are large, a dense scan is fine."""
    return int(np.clip(np.sqrt(size[0] * size[1] * 3 / points), 2, 32))


def _shaded(pieces: Sequence[_Piece], raster: Raster, camera: Camera) -> Floats:
    """The light (n, 3) that each covered pixel sends."""
    pixels = np.flatnonzero(raster.covered)
    numbers = raster.numbers[pixels]
    light = np.empty((len(pixels), 3), np.float32)
    for piece in pieces:
        triangles = piece.part.triangles
        mine = np.flatnonzero((numbers >= piece.first) & (numbers < piece.first + len(piece.points if triangles is None else triangles)))
        if triangles is None:
            light[mine] = _dots(piece, numbers[mine] - piece.first)
            continue
        normals = _normals(piece, triangles) if len(mine) else None
        for start in range(0, len(mine), _SHADED_A_BATCH):
            some = mine[start : start + _SHADED_A_BATCH]
            light[some] = _surface(piece, triangles[numbers[some] - piece.first], normals, pixels[some], camera)
    return light


def _dots(piece: _Piece, numbers: NDArray[np.int64]) -> Floats:
    """Points have no side that faces the light."""
    return _albedo(piece.part, numbers[:, None], np.ones((len(numbers), 1), np.float32))


def _surface(piece: _Piece, corners: Indices, normals: Floats | None, pixels: NDArray[np.int64], camera: Camera) -> Floats:
    weights = _weights(piece, corners, pixels, camera.size[0])
    face = _cross(piece.points[corners])
    normal = face if normals is None else _blended(normals[corners], face, weights, given=piece.part.normals is not None)
    normal = np.einsum("nd,kd->nk", normal, camera.axes.astype(np.float32))  # as the camera sees it: right, up, back
    normal *= np.where(_dot(face, camera.axes[2]) < 0, -1, 1)[:, None]  # both sides of a sheet are painted
    albedo = _albedo(piece.part, corners, weights)
    key, fill = _dot(normal, _unit(_KEY)).clip(0), _dot(normal, _unit(_FILL)).clip(0)
    gloss = _dot(normal, _unit(_unit(_KEY) + np.array([0, 0, 1]))).clip(0) ** 40
    sky = 0.5 + 0.5 * normal[:, 1]
    light: Floats = albedo * (0.22 + 0.2 * sky + 0.78 * key + 0.22 * fill)[:, None] + 0.06 * gloss[:, None]
    return light


def _weights(piece: _Piece, corners: Indices, pixels: NDArray[np.int64], width: int) -> Floats:
    """How much of each corner (n, 3) a pixel shows, perspective and all."""
    centre = np.stack([pixels % width, pixels // width], axis=1) + 0.5
    a, b, c = np.moveaxis(piece.at[corners].astype(np.float64), 1, 0)
    first, second, spot = b - a, c - a, centre - a
    area = first[:, 0] * second[:, 1] - second[:, 0] * first[:, 1]
    area = np.where(np.abs(area) < 1e-9, 1e-9, area)
    v = ((spot[:, 0] * second[:, 1] - second[:, 0] * spot[:, 1]) / area).clip(0, 1)
    w = ((first[:, 0] * spot[:, 1] - spot[:, 0] * first[:, 1]) / area).clip(0, 1)
    weights = np.stack([(1 - v - w).clip(0, 1), v, w], axis=1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _albedo(part: Part, corners: NDArray[np.integer], weights: Floats) -> Floats:
    """The colour of the surface in linear light."""
    albedo = np.broadcast_to(np.array(part.base, np.float32) * np.float32(_WHITEST), (len(corners), 3))
    if part.colours is not None:
        albedo = albedo * np.einsum("nc,ncd->nd", weights, _LINEAR[part.colours[corners]])
    if part.texture is not None and part.places is not None:
        place = np.einsum("nc,ncd->nd", weights, part.places[corners])
        height, width = part.texture.shape[:2]
        spot = (np.nan_to_num(place) % 1 * (width, height)).astype(np.int64)
        albedo = albedo * _LINEAR[part.texture[spot[:, 1].clip(0, height - 1), spot[:, 0].clip(0, width - 1)]]
    return albedo


def _normals(piece: _Piece, triangles: Indices) -> Floats | None:
    """One for each point: the file's own, or the mean of the faces around it; None where faces stay flat."""
    if piece.part.normals is not None:
        return piece.part.normals
    if piece.part.flat:
        return None
    total = np.zeros((len(piece.points), 3), np.float32)
    for start in range(0, len(triangles), _SHADED_A_BATCH):
        some = triangles[start : start + _SHADED_A_BATCH]
        faces = _cross(piece.points[some], unit=False)
        low, high = some.min(), some.max() + 1
        for axis in range(3):
            total[low:high, axis] += np.bincount(some.ravel() - low, np.repeat(faces[:, axis], 3), high - low)
    return _unit(total)


def _blended(normals: Floats, face: Floats, weights: Floats, *, given: bool) -> Floats:
    """Between the corners' (n, 3, 3); where a computed one leans far from the face, there is an edge and the face's own holds."""
    if not given:
        level = np.einsum("ncd,nd->nc", normals, face) > _NEARLY_LEVEL
        normals = np.where(level[..., None], normals, face[:, None])
    blended = _unit(np.einsum("nc,ncd->nd", weights, normals))
    facing = np.einsum("nd,nd->n", blended, face) < 0
    turned: Floats = np.where(facing[:, None], -blended, blended)
    return turned


def _dot(vectors: Floats, other: NDArray[np.floating]) -> Floats:
    """einsum, because BLAS takes ten times as long for so small a matrix, and threads of its own."""
    product: Floats = np.einsum("nd,d->n", vectors, other.astype(np.float32))
    return product


def _cross(corners: Floats, *, unit: bool = True) -> Floats:
    across: Floats = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return _unit(across) if unit else across


def _unit(vectors: NDArray[np.floating]) -> Floats:
    length = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    return np.asarray(vectors / np.maximum(length, 1e-20)[..., None], np.float32)


def _creases(raster: Raster, camera: Camera) -> Floats:
    """How much light reaches every second pixel: less where it lies deeper than what is around it."""
    covered = raster.covered.reshape(raster.size[::-1])[::2, ::2]
    away = np.where(covered, camera.away(raster.nearness.reshape(raster.size[::-1])[::2, ::2]), 0)
    height, width = away.shape
    reached = np.ones((height, width), np.float32)
    for radius, depth, strength in ((width // 160, 0.02, 0.35), (width // 40, 0.08, 0.4)):
        around = _blurred(away, radius) / np.maximum(_blurred(covered.astype(np.float32), radius), 1e-6)
        reached -= strength * ((away - around) / depth).clip(0, 1)
    return reached


def _shadow(pieces: Sequence[_Piece], camera: Camera) -> Floats:
    """How bright the ground is in every second pixel: darkest under what stands on it, fading with height and distance."""
    floor = min(float(piece.points[:, 1].min()) for piece in pieces)
    grid = Raster((_SHADOW_GRID, _SHADOW_GRID))
    for piece in pieces:
        dense = piece.part.triangles is None or len(piece.part.triangles) > _FACES_IN_SHADOW
        points = piece.points[:: len(piece.points) // _FACES_IN_SHADOW + 1] if dense else piece.points
        at = (points[:, ::2] / np.float32(_SHADOW_REACH) + 1) * np.float32(_SHADOW_GRID / 2)
        low = 1 - (points[:, 1] - floor).clip(0, 1)
        if piece.part.triangles is None or dense:
            grid.scatter(at, low, 0, 1)
        else:
            grid.fill(at, low, piece.part.triangles, 0, grown=piece.part.grown)
    under: Floats = np.where(grid.covered, np.exp((grid.nearness - 1) * 4), 0).reshape(_SHADOW_GRID, _SHADOW_GRID).astype(np.float32)
    dark = (_blurred(_blurred(under, 2), 2) + _blurred(_blurred(under, 6), 6)) / np.float32(2)
    spot = (camera.ground(floor, 2) / _SHADOW_REACH + 1) * (_SHADOW_GRID / 2) - 0.5
    x, y = np.moveaxis(spot, -1, 0)
    inside = (x >= 0) & (x < _SHADOW_GRID - 1) & (y >= 0) & (y < _SHADOW_GRID - 1)
    x, y = np.where(inside, x, 0), np.where(inside, y, 0)
    left, above = x.astype(np.int64), y.astype(np.int64)
    rows = [dark[row, left] + (dark[row, left + 1] - dark[row, left]) * (x - left) for row in (above, above + 1)]
    return (1 - 0.5 * np.where(inside, rows[0] + (rows[1] - rows[0]) * (y - above), 0)).astype(np.float32)


def _enlarged(picture: Floats) -> Floats:
    return picture.repeat(2, axis=0).repeat(2, axis=1)


def _blurred(picture: Floats, radius: int) -> Floats:
    """The mean of the square around each pixel; beyond the border is nothing."""
    for _ in range(2):
        sums = np.cumsum(np.pad(picture, ((radius + 1, radius), (0, 0))), axis=0, dtype=np.float64)
        picture = ((sums[2 * radius + 1 :] - sums[: -2 * radius - 1]) / (2 * radius + 1)).astype(np.float32).T
    return picture


def _backdrop(size: Size) -> Floats:
    """White above, light grey below."""
    shade = np.linspace(252, 232, size[1], dtype=np.float32)
    return np.broadcast_to(shade[:, None, None], (size[1], size[0], 3)).copy()


_LINEAR = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)
"""Light for each byte of sRGB, near enough."""


def _encoded(light: Floats) -> Floats:
    return np.asarray(light.clip(0, 1) ** (1 / 2.2) * 255, np.float32)


def _shrunk(picture: Floats, factor: int) -> Bytes:
    height, width = picture.shape[0] // factor, picture.shape[1] // factor
    return np.asarray(picture.reshape(height, factor, width, factor, 3).mean(axis=(1, 3)) + 0.5, np.uint8)
