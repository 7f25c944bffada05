"""How long pods take to start, from a Deployment's numbers: when more were asked for, and when half of these were ready."""

from __future__ import annotations

import math


class Startups:
    """Of one target. ``asked`` is told when pods are asked for, if anybody knows; ``look`` sees the numbers now and then."""

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._seen: tuple[int, int] | None = None
        """Replicas and ready ones, at the last look."""
        self._goal: int | None = None
        """So many are to be ready."""

    def asked(self, at: float) -> None:
        """More pods are asked for at this moment, which the next look that sees more of them counts from."""
        if self._goal is None:
            self._asked_at = at

    def look(self, at: float, replicas: int, ready: int, *, broken: bool) -> float | None:
        """In how many seconds the pods that were asked for have started, once half of them have; else None.

        Pods that do not come up are not measured, nor are those that are asked for while others still start.
        """
        seen, self._seen = self._seen, (replicas, ready)
        if broken or (self._goal is not None and replicas < self._goal):
            self._goal = self._asked_at = None
        elif self._goal is None and seen and replicas > seen[0]:
            self._goal = seen[1] + math.ceil((replicas - seen[1]) / 2)
            self._asked_at = at if self._asked_at is None else self._asked_at
        if self._goal is None or self._asked_at is None or ready < self._goal:
            return None
        seconds = at - self._asked_at
        self._goal = self._asked_at = None
        return seconds or None
