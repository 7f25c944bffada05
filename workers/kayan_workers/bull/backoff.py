"""How long a failed job waits before its next attempt. Pure arithmetic.

Source: wire document 3.9 for Bull's own formula; the web app's README for the documented one (2 s, 4 s, 8 s).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

Series = Literal["documented", "bull"]
"""``documented``: delay * 2^(n-1), 2 4 8 s. ``bull``: (2^n - 1) * delay, 2 6 14 s, for a fleet that Node workers share."""

Strategy = Callable[[int, Exception, Mapping[str, Any]], float]
"""(attempts made including this one, the error, the job's backoff options) -> milliseconds; 0 retries now, -1 gives up."""

Strategies = Mapping[str, Strategy]
"""By the name that stands in a job's ``backoff.type``."""

GIVE_UP = -1

_MOST_DOUBLINGS = 40
"""Of any delay that makes centuries; beyond it the arithmetic only overflows."""


def delay_ms(
    backoff: Any, attempts_made: int, error: Exception, *, series: Series = "documented", strategies: Strategies | None = None
) -> int:
    """Milliseconds until the next attempt: 0 for at once, GIVE_UP when a strategy says that none may follow.

    ``backoff`` is the job's own option: a number of milliseconds, or ``{"type", "delay"}``. ``attempts_made`` counts the attempt
    that just failed. A type that this process has no strategy for waits its fixed ``delay``: Bull would throw here and leave the job
    stranded (window W13).
    """
    if isinstance(backoff, bool) or not backoff:
        return 0
    if isinstance(backoff, int | float):
        return _whole(backoff)
    if not isinstance(backoff, Mapping):
        return 0
    kind = backoff.get("type")
    delay = backoff.get("delay")
    if strategies and isinstance(kind, str) and kind in strategies:
        wanted = strategies[kind](attempts_made, error, backoff)
        return GIVE_UP if wanted < 0 else _whole(wanted)
    if isinstance(delay, bool) or not isinstance(delay, int | float):
        return 0
    if kind == "exponential":
        doublings = min(attempts_made, _MOST_DOUBLINGS)
        factor = 2 ** (doublings - 1) if series == "documented" else 2**doublings - 1
        return _whole(factor * delay)
    return _whole(delay)


def _whole(milliseconds: float) -> int:
    return max(0, math.floor(milliseconds + 0.5)) if math.isfinite(milliseconds) else 0
