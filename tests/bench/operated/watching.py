"""What anybody may see of Deployments and QueueScalers: by a watch, with the moment at which each change came."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from kayan_operator.cluster import kube
from kubernetes.aio.client import ApiClient
from kubernetes.aio.client.exceptions import ApiException

_WITHOUT_END: Any = aiohttp.ClientTimeout(total=None, sock_connect=10)


@dataclass(frozen=True, slots=True)
class Change:
    """``spec.replicas`` of a Deployment was written anew."""

    name: str
    at: float
    """Of ``time.monotonic()``."""
    before: int
    after: int


class Watch:
    """Objects of one kind in a namespace, kept up to date as long as the block. ``await watch.until(lambda: …)`` asks after each event."""

    def __init__(self, client: ApiClient, path: str) -> None:
        self._client = client
        self._path = path
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None]
        self.objects: dict[str, Mapping[str, Any]] = {}

    async def __aenter__(self) -> Self:
        version = await self._list()
        self._task = asyncio.create_task(self._run(version))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def until(self, condition: Callable[[], bool], within: float, *, what: str) -> float:
        """The moment at which it became true. TimeoutError says what did not."""
        try:
            async with asyncio.timeout(within):
                while not condition():
                    self._heard.clear()
                    heard = asyncio.create_task(self._heard.wait())
                    await asyncio.wait([heard, self._task], return_when=asyncio.FIRST_COMPLETED)
                    if self._task.done():
                        heard.cancel()
                        self._task.result()
        except TimeoutError:
            raise TimeoutError(f"not within {within:g} s: {what}") from None
        return time.monotonic()

    def see(self, name: str, body: Mapping[str, Any], at: float) -> None:
        """A state of an object that there is."""
        self.objects[name] = body

    async def _list(self) -> str:
        page = json.loads(await (await self._call(self._path)).read())  # type: ignore[no-untyped-call]
        for body in page["items"]:
            self.see(body["metadata"]["name"], body, time.monotonic())
        return str(page["metadata"]["resourceVersion"])

    async def _run(self, version: str) -> None:
        while True:
            query = f"?watch=1&allowWatchBookmarks=true&timeoutSeconds=1800&resourceVersion={version}"
            response = await self._call(self._path + query)
            with contextlib.closing(response.response):
                async for line in response.response.content:
                    event, at = json.loads(line), time.monotonic()
                    body = event["object"]
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"the watch of {self._path} has failed: {body.get('message')}")
                    version = body["metadata"]["resourceVersion"]
                    if event["type"] == "DELETED":
                        self.objects.pop(body["metadata"]["name"], None)
                    elif event["type"] != "BOOKMARK":
                        self.see(body["metadata"]["name"], body, at)
                    self._heard.set()

    async def _call(self, path: str) -> Any:
        _, url, headers, *_ = await self._client.param_serialize(
            "GET", path, header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
        )
        response = await self._client.call_api("GET", url, headers, _request_timeout=_WITHOUT_END)
        if response.status >= 400:
            raise ApiException(status=response.status, reason=(await response.read()).decode()[-300:])
        return response


class Deployments(Watch):
    """Of a namespace; ``changes`` are the writes of a number, in order."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        super().__init__(client, kube.deployments(namespace))
        self.changes: list[Change] = []

    def see(self, name: str, body: Mapping[str, Any], at: float) -> None:
        before = self.objects.get(name)
        if before is not None and before["spec"]["replicas"] != body["spec"]["replicas"]:
            self.changes.append(Change(name, at, before["spec"]["replicas"], body["spec"]["replicas"]))
        super().see(name, body, at)

    def replicas(self, name: str) -> int:
        return int(self.objects[name]["spec"]["replicas"])

    def ready(self, name: str) -> int:
        return int(self.objects[name].get("status", {}).get("readyReplicas", 0))

    def present(self, name: str) -> int:
        """Pods that are not on their way out."""
        return int(self.objects[name].get("status", {}).get("replicas", 0))

    def changes_of(self, name: str, since: float) -> list[Change]:
        return [change for change in self.changes if change.name == name and change.at >= since]


class Scalers(Watch):
    def __init__(self, client: ApiClient, namespace: str) -> None:
        super().__init__(client, kube.scalers(namespace))

    def seen(self) -> int:
        """How many have a status that tells of their present spec."""
        return sum(
            body.get("status", {}).get("observedGeneration") == body["metadata"]["generation"] for body in self.objects.values()
        )

    def publishing(self) -> int:
        """How many have a number for an HPA."""
        return sum(body.get("status", {}).get("publishedReplicas") is not None for body in self.objects.values())
