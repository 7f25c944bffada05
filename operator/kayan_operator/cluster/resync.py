"""Reads everything anew, at the start and once in a while: a watch tells of changes, and may miss some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from kayan_workers import logs

from kayan_operator.cluster import kube
from kayan_operator.cluster.fleet import Fleet, Key, Object, key_of
from kayan_operator.cluster.kube import ApiError, Kube

EVERY_SECONDS = 120.0


class Resync:
    """Of all that the fleet knows of, in ``namespaces`` (none: in all of them)."""

    def __init__(self, api: Kube, fleet: Fleet, namespaces: Sequence[str]) -> None:
        self._api = api
        self._fleet = fleet
        self._namespaces = namespaces or ("",)

    async def once(self) -> None:
        """Read it all. What is no longer there is lost. Raises ApiError."""
        fleet = self._fleet
        await self._read(kube.deployments, fleet.see_deployment, fleet.lose_deployment, fleet.deployments)
        await self._read(kube.autoscalers, fleet.see_autoscaler, fleet.lose_autoscaler, fleet.autoscalers)
        await self._read(kube.budgets, fleet.see_budget, fleet.lose_budget, fleet.budgets)
        await self._read(kube.scalers, fleet.see_scaler, fleet.lose_scaler, fleet.scalers)

    async def run(self) -> None:
        """Again and again, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.once()
            except ApiError as error:
                logs.get().warning("operator.resync_failed", error=str(error))

    async def _read(
        self, path: Callable[[str], str], see: Callable[[Object], None], lose: Callable[[Key], None], known: Iterable[Key]
    ) -> None:
        before, found = set(known), set()
        for namespace in self._namespaces:
            async for page in self._api.pages(path(namespace)):
                for body in page:
                    found.add(key_of(body))
                    see(body)
        for key in before - found:
            lose(key)
