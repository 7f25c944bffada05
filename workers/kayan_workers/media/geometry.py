"""The arithmetic of shapes, shared by pictures and videos."""

from __future__ import annotations

Size = tuple[int, int]
"""(width, height) in pixels."""


def fit(size: Size, box: Size) -> Size:
    """The largest size of the same shape inside ``box`` that enlarges nothing; never less than one pixel.

    A half pixel is rounded up, as sharp does it for the web app.
    """
    width, height = size
    scale = min(box[0] / width, box[1] / height, 1.0)
    return max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5))


def fit_even(size: Size, box: Size) -> Size:
    """Like ``fit``, with even numbers, because yuv420p keeps one colour sample for two pixels. Never less than two pixels."""
    width, height = fit(size, box)
    return max(2, width - width % 2), max(2, height - height % 2)
