"""When an HPA that gets no answer is given up: the metrics API is ours, and kube-apiserver does not reach us.

A policy of the network or a broken node network does that, and it may last for days, in which an HPA leaves the number as it was. After a
minute of it the operator deletes the HPA and writes the number itself, and goes back to an HPA once the API has been available for a while:
to and fro is worse than either. Every replica watches, so that one that begins to lead knows already.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from kayan_operator.scaling.obstacles import MetricsApiState

_PATIENCE_SECONDS = 60.0
_STEADY_SECONDS = 30.0


class MetricsPatience:
    """Makes of what is the case now what is to be relied on: also ``unreachable``, for an API that has been ``unavailable`` for long."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unavailable_since: float | None = None
        self._available_since: float | None = None
        self._message = ""
        """Why it was given up; empty while it is not."""

    def judge(self, state: MetricsApiState) -> MetricsApiState:
        """To be asked again and again, with the state of the moment."""
        if state.kind == "unavailable":
            return self._while_unavailable(state)
        self._unavailable_since = None
        if state.kind != "available" or not self._message:
            self._available_since, self._message = None, ""
            return state
        now = self._clock()
        if self._available_since is None:
            self._available_since = now
        if now - self._available_since < _STEADY_SECONDS:
            return MetricsApiState("unreachable", f"{self._message} (it has been again for less than {_STEADY_SECONDS:g} s)")
        self._available_since, self._message = None, ""
        return state

    def _while_unavailable(self, state: MetricsApiState) -> MetricsApiState:
        now, self._available_since = self._clock(), None
        if self._unavailable_since is None:
            self._unavailable_since = now
        if self._message or now - self._unavailable_since >= _PATIENCE_SECONDS:
            self._message = state.message
            return MetricsApiState("unreachable", state.message)
        return state
