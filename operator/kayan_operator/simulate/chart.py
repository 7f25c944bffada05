"""Charts of text: columns of blocks, readable without any colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = " ▁▂▃▄▅▆▇█"


def columns(values: Sequence[float], top: float, rows: int) -> list[str]:
    """One column a value, ``rows`` lines high, the highest line first. What is above zero is seen, however little it is."""
    eighths = [_eighths(value, top, rows) for value in values]
    return ["".join(BLOCKS[min(max(height - 8 * row, 0), 8)] for height in eighths) for row in reversed(range(rows))]


def _eighths(value: float, top: float, rows: int) -> int:
    return max(1, math.floor(value / top * 8 * rows + 0.5)) if value > 0 and top > 0 else 0


def axis(seconds: float, width: int) -> str:
    """A line of times under ``width`` columns that stand for so many seconds."""
    marks = max(1, width // 16)
    line = ""
    for mark in range(marks):
        place = width * mark // marks
        line = line.ljust(place) + "└" + clock(seconds * mark / marks) + " "
    return line[:width].ljust(width)


def clock(seconds: float) -> str:
    """A moment since the beginning: 90 as 1:30, 3 h as 3:00:00."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
