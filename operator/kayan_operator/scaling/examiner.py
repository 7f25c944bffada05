"""Looks at a target's pods while some of them are not ready, to see whether they ever will be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kayan_operator.cluster import pods
from kayan_operator.cluster.fleet import Deployment
from kayan_operator.cluster.kube import ApiError, Kube

_PATIENCE_SECONDS = 10.0
"""A pod may take so long to become ready before anybody asks."""
_AGAIN_SECONDS, _LONGEST_AGAIN_SECONDS = 5.0, 30.0
"""Between two questions; twice as much each time while as many are not ready as before."""


class Examiner:
    """Of one target. ``broken`` is what was found, in words; empty when all is well or nobody knows yet."""

    def __init__(self, api: Kube, turn: asyncio.Semaphore, changed: Callable[[], None],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._turn = turn
        self._changed = changed
        self._clock = clock
        self._numbers = (0, 0)
        self._since: float | None = None
        self._asked = float("-inf")
        self._pause = _AGAIN_SECONDS
        self._asking: asyncio.Task[None] | None = None
        self.broken = ""

    def look(self, target: Deployment) -> str:
        """What is known of the pods. When some have not been ready for a while they are asked for, and ``changed`` is called if that tells
        anything new."""
        now = self._clock()
        if (target.replicas, target.ready) != self._numbers:
            self._numbers, self._pause = (target.replicas, target.ready), _AGAIN_SECONDS
        if target.ready >= target.replicas:
            self._since = None
        elif self._since is None:
            self._since = now
        # pods that were broken are believed when they have been looked at: one that crashes is ready for a moment once in a while
        waits = self.broken or (self._since is not None and now - self._since >= _PATIENCE_SECONDS)
        if not target.replicas:
            self.broken = ""
        elif waits and now - self._asked >= self._pause and self._asking is None:
            self._asked = now
            if self._since is not None:
                self._pause = min(2 * self._pause, _LONGEST_AGAIN_SECONDS)
            self._asking = asyncio.create_task(self._ask(target))
        return self.broken

    def stop(self) -> None:
        if self._asking:
            self._asking.cancel()

    async def _ask(self, target: Deployment) -> None:
        try:
            async with self._turn:
                found = await pods.of_deployment(self._api, target)
        except ApiError:
            return  # asked again in a while
        finally:
            self._asking = None
        if (broken := pods.broken(found.staying)) != self.broken:
            self.broken = broken
            self._changed()
