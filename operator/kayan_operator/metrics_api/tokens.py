"""Bearer tokens, for whoever comes without the front proxy: ``curl`` with a service account's token, say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from kayan_operator.metrics_api.identity import Identity
from kayan_operator.metrics_api.kubernetes_api import KubernetesApi
from kayan_operator.metrics_api.remembered import Remembered

REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"

REMEMBERED_SECONDS: Final = 10.0
AT_ONCE: Final = 5
"""Reviews under way, so that strangers with made-up tokens cannot make us a burden to Kubernetes."""


class Tokens:
    """Asks Kubernetes whose a token is, and remembers it for a moment. ``clock`` counts seconds."""

    def __init__(self, api: KubernetesApi, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._owners = Remembered[str, Identity | None](self._review, seconds=lambda _: REMEMBERED_SECONDS, clock=clock, limit=1024)
        self._places = asyncio.Semaphore(AT_ONCE)

    async def owner(self, token: str) -> Identity | None:
        """Whose it is, or None when it is nobody's. Raises KubernetesError when nobody can say."""
        return await self._owners.get(token)

    async def _review(self, token: str) -> Identity | None:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        async with self._places:
            review = await self._api.create(REVIEWS, body)
        status = review.get("status") or {}
        user = status.get("user") or {}
        if not status.get("authenticated") or not user.get("username"):
            return None
        return Identity.of(user["username"], user.get("uid", ""), user.get("groups") or (), user.get("extra") or {})
