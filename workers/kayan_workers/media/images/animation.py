"""Animations: how long they run, and which of their frames stands for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kayan_workers.media.geometry import Size

_SHORTEST_DELAY_MS = 11
_REPLACED_DELAY_MS = 100
_PLAIN = 6.0
"""The standard deviation, of 255, below which a frame shows nothing to speak of."""
_SEARCHED = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)
_SEARCHED_PIXELS = 60_000_000
"""How far into an animation we look: a frame needs those before it."""
_GLANCE = 64


def played_ms(delays_ms: Sequence[int]) -> int:
    """How long one run takes as browsers play it: they take 10 ms and less for a mistake, and wait 100."""
    return sum(_REPLACED_DELAY_MS if delay < _SHORTEST_DELAY_MS else delay for delay in delays_ms)


def telling_frame(frames: int, size: Size, frame: Callable[[int], Any]) -> int:
    """The first frame, unless it is plain (many animations fade in from black or white); then the first of a few samples that is not.

    ``frame`` gives a frame of ``size`` as a libvips picture.
    """
    if frames < 2:
        return 0
    last = min(frames - 1, _SEARCHED_PIXELS // (size[0] * size[1]))
    shown: dict[int, float] = {}
    for number in dict.fromkeys([0, *(int(last * share) for share in _SEARCHED)]):
        shown[number] = _contrast(frame(number))
        if shown[number] >= _PLAIN:
            return number
    return max(shown, key=lambda number: round(shown[number]))


def _contrast(frame: Any) -> float:
    """How much there is to see, on white where the frame is transparent."""
    glance = frame.thumbnail_image(_GLANCE, height=_GLANCE, size="down").copy_memory()
    glance = glance.flatten(background=255) if glance.hasalpha() else glance
    return max(float(band.deviate()) for band in glance.bandsplit())
