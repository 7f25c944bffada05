"""Faces of many corners as triangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fans(corners: NDArray[np.integer], counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Cut faces, whose corners follow each other in ``corners`` and number ``counts``, into triangles (n, 3) around their first corner."""
    first = np.cumsum(counts) - counts
    cuts = np.maximum(counts - 2, 0)
    face = np.repeat(np.arange(len(counts)), cuts)
    turn = np.arange(len(face)) - np.repeat(np.cumsum(cuts) - cuts, cuts)
    second = first[face] + 1 + turn
    return np.stack([corners[first[face]], corners[second], corners[second + 1]], axis=1).astype(np.int64)
