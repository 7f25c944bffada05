"""Lengths of time as people write and read them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_YEARS_SECONDS = 2 * 365 * 86400.0
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d|w)?")


def seconds(text: str) -> float:
    """``90``, ``90s``, ``5m``, ``2h``, ``1d`` or ``1w`` in seconds. Raises ValueError with the forms there are."""
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no length of time: write 90s, 5m, 2h, 1d or 1w")
    return float(found[1]) * _SECONDS[found[2] or "s"]


def ago(then_ms: int | None, now_ms: float | None = None) -> str:
    """How long ago, roughly: ``3 s ago``, ``2 h ago``; ``in 5 min`` for the future; the day where it is years."""
    if not then_ms:
        return ""
    elapsed = ((now_ms or time.time() * 1000) - then_ms) / 1000
    if abs(elapsed) > _YEARS_SECONDS:
        return iso(then_ms).partition("T")[0]
    length = roughly(abs(elapsed))
    return f"in {length}" if elapsed < 0 else f"{length} ago"


def iso(moment_ms: float) -> str:
    """A moment in UTC; one beyond the calendar as the number it is."""
    try:
        return datetime.fromtimestamp(moment_ms / 1000, tz=UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return f"{moment_ms:g} ms"


def roughly(duration_seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if duration_seconds >= 2 * size:
            return f"{duration_seconds / size:.0f} {unit}"
    return f"{duration_seconds:.0f} s" if duration_seconds >= 1 else f"{duration_seconds * 1000:.0f} ms"
