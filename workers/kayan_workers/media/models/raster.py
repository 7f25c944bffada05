"""From triangles and points to pixels: which of them each pixel shows. All are handled at once, however many there are."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kayan_workers.media.geometry import Size
from kayan_workers.media.models.shape import Floats, Indices, sample

_A_BATCH = 500_000
"""Pixels, rows and a few for each triangle, or points, that are worked on at once: some 100 MB."""
_DEPTHS = float(2**31)
_NOTHING = np.uint64(2**64 - 1)


class Raster:
    """A picture whose pixels know the number of what they show, and how near it is (0 far, 1 near).

    Both stand in one 64 bit number, distance above number, so that the smallest one wins a pixel.
    """

    def __init__(self, size: Size) -> None:
        self.size = size
        self._keys = np.full(size[0] * size[1], _NOTHING)

    @property
    def covered(self) -> NDArray[np.bool_]:
        covered: NDArray[np.bool_] = self._keys != _NOTHING
        return covered

    @property
    def numbers(self) -> NDArray[np.int64]:
        """What each pixel shows; meaningless where nothing is."""
        return (self._keys & np.uint64(0xFFFFFFFF)).astype(np.int64)

    @property
    def nearness(self) -> Floats:
        return np.where(self.covered, 1 - (self._keys >> np.uint64(32)).astype(np.float32) / _DEPTHS, 0).astype(np.float32)

    def scatter(self, at: Floats, near: Floats, first: int, width: int) -> None:
        """Points as squares, ``width`` pixels wide; ``at`` (n, 2) in pixels from the upper left, numbered from ``first``."""
        for start in range(0, len(at), _A_BATCH):
            corner = np.floor(at[start : start + _A_BATCH] - (width - 1) / 2).astype(np.int64)
            numbers = np.arange(first + start, first + start + len(corner))
            for right in range(width):
                for down in range(width):
                    self._offer(corner[:, 0] + right, corner[:, 1] + down, near[start : start + _A_BATCH], numbers)

    def fill(self, at: Floats, near: Floats, triangles: Indices, first: int, *, grown: float = 1.0, every: int = 1) -> None:
        """One of each ``every`` triangles, numbered from ``first``, ``grown`` around its middle."""
        chosen = np.arange(len(triangles))[sample(len(triangles), every)]
        for batch in _batches(effort(at, triangles[chosen], self.size) * grown**2):
            numbers = chosen[batch]
            corners = triangles[numbers]
            spots = at[corners].astype(np.float64)
            if grown > 1:
                middle = spots.mean(axis=1, keepdims=True)
                spots = middle + (spots - middle) * grown
            self._fill(spots, near[corners].astype(np.float64), numbers + first)

    def _fill(self, at: NDArray[np.float64], near: NDArray[np.float64], numbers: NDArray[np.int64]) -> None:
        """``at`` (n, 3, 2), ``near`` (n, 3). A pixel belongs to a triangle when its centre does: neighbours leave no gap and share none."""
        width, height = self.size
        order = np.argsort(at[:, :, 1], axis=1)
        x, y = np.take_along_axis(at[:, :, 0], order, 1), np.take_along_axis(at[:, :, 1], order, 1)
        near = np.take_along_axis(near, order, 1)
        top = np.ceil(y[:, 0] - 0.5).clip(0, height).astype(np.int64)
        rows = np.maximum(np.ceil(y[:, 2] - 0.5).clip(0, height).astype(np.int64) - top, 0)
        mine, row = _counted(rows)  # one entry for each row of pixels of each triangle
        row += top[mine]
        x, y, near = x[mine], y[mine], near[mine]
        middle = row + 0.5
        along = (middle - y[:, 0]) / (y[:, 2] - y[:, 0])  # the long side, from the highest corner to the lowest
        bend = middle < y[:, 1]
        a, b = np.where(bend, 0, 1), np.where(bend, 1, 2)
        each = np.arange(len(mine))
        rise = y[each, b] - y[each, a]
        across = np.divide(middle - y[each, a], rise, out=np.zeros_like(rise), where=rise > 0)
        ends = np.stack([x[:, 0] + along * (x[:, 2] - x[:, 0]), x[each, a] + across * (x[each, b] - x[each, a])])
        nears = np.stack([near[:, 0] + along * (near[:, 2] - near[:, 0]), near[each, a] + across * (near[each, b] - near[each, a])])
        left = ends[0] > ends[1]
        start, stop = np.where(left, ends[1], ends[0]), np.where(left, ends[0], ends[1])
        near_start, near_stop = np.where(left, nears[1], nears[0]), np.where(left, nears[0], nears[1])
        begin = np.ceil(start - 0.5).clip(0, width).astype(np.int64)
        pixels = np.maximum(np.ceil(stop - 0.5).clip(0, width).astype(np.int64) - begin, 0)
        slope = (near_stop - near_start) / np.maximum(stop - start, 1e-9)
        base = near_start + slope * (begin + 0.5 - start)
        span, column = _counted(pixels)
        self._offer(begin[span] + column, row[span], base[span] + slope[span] * column, numbers[mine[span]], inside=True)

    def _offer(
        self, x: NDArray[np.int64], y: NDArray[np.int64], near: NDArray[np.floating], numbers: NDArray[np.int64], *, inside: bool = False
    ) -> None:
        width, height = self.size
        if not inside:
            kept = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            x, y, near, numbers = x[kept], y[kept], near[kept], numbers[kept]
        depth = ((1 - near).clip(0, 1) * _DEPTHS).astype(np.uint64)
        np.minimum.at(self._keys, y * width + x, depth << np.uint64(32) | numbers.astype(np.uint64))


def effort(at: Floats, triangles: Indices, size: Size) -> Floats:
    """How many pixels and rows each triangle takes, roughly."""
    taken = np.empty(len(triangles), np.float32)
    for start in range(0, len(triangles), 500_000):
        x, y = np.moveaxis(at[triangles[start : start + 500_000]], 2, 0)
        area = np.abs((x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])) / 2
        taken[start : start + 500_000] = area.clip(0, size[0] * size[1]) + np.ptp(y, axis=1).clip(0, size[1]) + 3
    return taken


def _batches(efforts: Floats) -> Iterator[slice]:
    total = np.cumsum(efforts, dtype=np.float64)
    start = 0
    while start < len(total):
        before = total[start - 1] if start else 0.0
        stop = max(start + 1, int(np.searchsorted(total, before + _A_BATCH)))
        yield slice(start, stop)
        start = stop


def _counted(lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For runs of the given lengths, laid end to end: which run each entry is in, and where in it."""
    run = np.repeat(np.arange(len(lengths)), lengths)
    return run, np.arange(len(run)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
