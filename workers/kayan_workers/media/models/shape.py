"""The shape of a model: what it adds up to, and the pieces of surface that can be drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]
Bytes = NDArray[np.uint8]

MAX_DRAWN = 2_000_000
"""Triangles of one picture. Of a model with more, evenly chosen ones stand for their neighbours."""
MAX_POINTS = 6_000_000
"""Vertices that stand in memory for one picture: 72 MB of positions, and as much again for normals and for what the camera sees."""
LIGHT_GREY = (0.62, 0.62, 0.64)
"""The colour, in linear light, of a surface whose file does not name one."""


@dataclass(slots=True)
class Survey:
    """What a model adds up to. ``low`` and ``high`` are opposite corners of its bounding box, in the file's own unit."""

    vertices: int = 0
    faces: int = 0
    low: NDArray[np.float64] = field(default_factory=lambda: np.full(3, np.inf))
    high: NDArray[np.float64] = field(default_factory=lambda: np.full(3, -np.inf))
    more: dict[str, object] = field(default_factory=dict)

    def reach(self, points: NDArray[np.floating]) -> None:
        """Grow the bounds until they hold ``points`` (n, 3); what is not a number has no place."""
        there = finite(points)
        low, high = extent(points if there.all() else points[there])
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)

    def bounds(self) -> dict[str, list[float]] | None:
        if not np.isfinite([self.low, self.high]).all():
            return None
        return {"min": self.low.tolist(), "max": self.high.tolist()}


@dataclass(slots=True, kw_only=True)
class Part:
    """One piece of a model. ``triangles`` (m, 3) count into ``points`` (n, 3); without them it is a cloud of points.

    ``colours`` (n, 3) are bytes in sRGB, ``base`` is linear light, ``texture`` (height, width, 3) is looked up at ``places`` (n, 2).
    """

    points: Floats
    triangles: Indices | None = None
    normals: Floats | None = None
    colours: Bytes | None = None
    base: tuple[float, float, float] = LIGHT_GREY
    texture: Bytes | None = None
    places: Floats | None = None
    flat: bool = False
    """Whether each face keeps its edges; else neighbours that are nearly level are shaded as one curve."""
    step: int = 1
    """How many triangles each of these stands for."""

    @property
    def grown(self) -> float:
        """How much larger each is drawn, so that those chosen by chance cover all but a thousandth of what all would."""
        return 1.0 if self.step == 1 else 2.6 * self.step**0.5


def valid(triangles: NDArray[np.integer], points: int) -> Indices:
    """The triangles whose three corners are there; a damaged one is left out, as viewers do."""
    if triangles.size and (triangles.min() < 0 or triangles.max() >= points):
        triangles = triangles[((triangles >= 0) & (triangles < points)).all(axis=1)]
    return triangles.astype(np.int32, copy=False)


def finite(points: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which of ``points`` (n, 3) are somewhere."""
    there: NDArray[np.bool_] = np.isfinite(points[:, 0]) & np.isfinite(points[:, 1]) & np.isfinite(points[:, 2])
    return there


def extent(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Opposite corners of the box around ``points`` (n, 3); of none, infinitely far apart the wrong way round."""
    columns = points.T  # one by one: numpy is ten times slower along an axis of three
    low, high = [column.min(initial=np.inf) for column in columns], [column.max(initial=-np.inf) for column in columns]
    return np.array(low, np.float64), np.array(high, np.float64)


def sample(count: int, step: int) -> slice | NDArray[np.int64]:
    """One of each ``step`` things in a row, at no even distance: a regular grid would lose whole columns."""
    if step <= 1:
        return slice(None)
    starts = np.arange(0, count, step)
    chosen: NDArray[np.int64] = np.minimum(starts + np.random.default_rng(count).integers(0, step, len(starts)), count - 1)
    return chosen
