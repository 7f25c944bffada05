"""Whether loops still turn. Each says when it begins a step that ends soon whatever happens, and when it may wait as long as it likes.

A step that has no end is a fault of ours: a call without a time limit on a connection that is dead. Only a restart helps then, where an
unreachable Redis, which every loop tries again and again, must never cause one.
"""

from __future__ import annotations

import time


class Pulse:
    """The loops of one consumer, by name. May be used from several threads."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def beat(self, loop: str) -> None:
        """The loop begins its next step."""
        self._began[loop] = time.monotonic()

    def rest(self, loop: str) -> None:
        """The loop waits for work, for a connection or for its time, or has ended: however long that takes, it is well."""
        self._began.pop(loop, None)

    def hung(self, seconds: float) -> list[str]:
        """The loops whose step has taken longer than that."""
        latest = time.monotonic() - seconds
        return sorted(loop for loop, began in list(self._began.items()) if began < latest)
