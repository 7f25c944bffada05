"""Where a model stands and how it is looked at: a three-quarter view from above, framed to what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kayan_workers.media.geometry import Size
from kayan_workers.media.models.shape import Floats, extent

_MARGIN = 0.1
"""Of the picture's shorter side, left free on each side."""
_POINTS_A_BATCH = 500_000
_FIELD_OF_VIEW = 28.0
_TURN, _TILT = 35.0, 20.0
"""Degrees: from the right of the front, and from above."""


def centred(clouds: Sequence[Floats], up: int) -> list[Floats]:
    """The same points in a room where the model's longest side is 1, its middle is 0 and the second axis points to the sky.

    ``up`` is the axis that does so in the file: 1, or 2 as in most programs for building and printing.
    """
    low, high = _around(clouds)
    longest = (high - low).max() or 1.0
    placed = [(cloud - ((low + high) / 2).astype(np.float32)) * np.float32(1 / longest) for cloud in clouds]
    return placed if up == 1 else [np.stack([cloud[:, 0], cloud[:, 2], -cloud[:, 1]], axis=1) for cloud in placed]


@dataclass(frozen=True, slots=True)
class Camera:
    """``axes`` are its right, up and back in the room, one a row. ``zoom`` is in pixels; ``middle`` is what the picture's middle shows."""

    axes: NDArray[np.float64]
    distance: float
    size: Size
    zoom: float
    middle: NDArray[np.float64]
    range: tuple[float, float]
    """1 / distance of what is farthest and nearest."""

    @classmethod
    def before(cls, clouds: Sequence[Floats], size: Size) -> Camera:
        """One that sees all of ``clouds``, as large as the margin allows."""
        turn, tilt = np.radians(_TURN), np.radians(_TILT)
        back = np.array([np.sin(turn) * np.cos(tilt), np.sin(tilt), np.cos(turn) * np.cos(tilt)])
        right = np.array([np.cos(turn), 0.0, -np.sin(turn)])
        axes = np.stack([right, np.cross(back, right), back])
        distance = 0.9 / np.sin(np.radians(_FIELD_OF_VIEW / 2))
        low, high = _around(seen for cloud in clouds for _, seen in _projected(cloud, axes, distance))
        room = np.array(size) - 2 * _MARGIN * min(size)
        zoom = min(room / np.maximum(high - low, 1e-6)[:2])
        return cls(axes, distance, size, float(zoom), (low + high)[:2] / 2, (float(low[2]), float(high[2])))

    def see(self, points: Floats) -> tuple[Floats, Floats]:
        """Where each point is in the picture, in pixels from the upper left (n, 2), and how near (n): 0 to 1, and linear along edges."""
        at, near = np.empty((len(points), 2), np.float32), np.empty(len(points), np.float32)
        low, high = self.range
        for some, seen in _projected(points, self.axes, self.distance):
            at[some, 0] = (seen[:, 0] - self.middle[0]) * self.zoom + self.size[0] / 2
            at[some, 1] = (self.middle[1] - seen[:, 1]) * self.zoom + self.size[1] / 2
            near[some] = (seen[:, 2] - low) / max(high - low, 1e-9)
        return at, near

    def away(self, near: Floats) -> Floats:
        """Distances in the room for nearness as ``see`` tells it."""
        low, high = self.range
        return (1 / (low + near * (high - low))).astype(np.float32)

    def ground(self, floor: float, every: int) -> NDArray[np.float64]:
        """The spot (height, width, 2) on the ground that each ``every``-th pixel shows; infinite above the horizon."""
        width, height = self.size
        x = (np.arange(every / 2, width, every) - width / 2) / self.zoom + self.middle[0]
        y = -(np.arange(every / 2, height, every) - height / 2) / self.zoom + self.middle[1]
        right, up, back = self.axes
        sight = x[None, :, None] * right + y[:, None, None] * up - back
        eye = back * self.distance
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(sight[..., 1] < -1e-6, (floor - eye[1]) / sight[..., 1], np.inf)
            return np.stack([eye[0] + far * sight[..., 0], eye[2] + far * sight[..., 2]], axis=-1)


def _projected(points: Floats, axes: NDArray[np.float64], distance: float) -> Iterator[tuple[slice, Floats]]:
    """Right and up as they are seen, and 1 / distance; some points at a time, with where they stand among all."""
    for start in range(0, len(points), _POINTS_A_BATCH):
        some = slice(start, start + _POINTS_A_BATCH)
        turned = np.einsum("nd,kd->nk", points[some], axes.astype(np.float32))
        near = 1 / (np.float32(distance) - turned[:, 2])
        yield some, np.column_stack([turned[:, 0] * near, turned[:, 1] * near, near])


def _around(clouds: Iterable[Floats]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    boxes = [extent(cloud) for cloud in clouds]
    return np.min([low for low, _ in boxes], axis=0), np.max([high for _, high in boxes], axis=0)
