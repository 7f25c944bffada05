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
_AGAIN_SECONDS = 5.0


class Examiner:
    """Of one target. ``broken`` is what was found, in words; empty when all is well or nobody knows yet."""

    def __init__(self, api: Kube, changed: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._changed = changed
        self._clock = clock
        self._since: float | None = None
        self._asked = float("-inf")
        self._asking: asyncio.Task[None] | None = None
        self.broken = ""

    def look(self, target: Deployment) -> str:
        """What is known of the pods. When some have not been ready for a while they are asked for, and ``changed`` is called if that tells
        anything new."""
        now = self._clock()
        if target.ready >= target.replicas:
            self._since = None
        elif self._since is None:
            self._since = now
        # pods that were broken are believed when they have been looked at: one that crashes is ready for a moment once in a while
        waits = self.broken or (self._since is not None and now - self._since >= _PATIENCE_SECONDS)
        if not target.replicas:
            self.broken = ""
        elif waits and now - self._asked >= _AGAIN_SECONDS and self._asking is None:
            self._asked = now
            self._asking = asyncio.create_task(self._ask(target))
        return self.broken

    def stop(self) -> None:
        if self._asking:
            self._asking.cancel()

    async def _ask(self, target: Deployment) -> None:
        try:
            found = await pods.of_deployment(self._api, target)
        except ApiError:
            return  # asked again in a while
        finally:
            self._asking = None
        if (broken := pods.broken(found.staying)) != self.broken:
            self.broken = broken
            self._changed()
