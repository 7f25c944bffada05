"""Asks for external metrics as evenly as an HPA's clock, in a process of its own: what else the bench does then, such as reading what the
watches of a thousand scalers tell, must not pass for a late answer.

Each line of stdin is a request, answered in a line (``peers.Obedient``).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import uvloop
from bench.operated import cluster
from kayan_operator.cluster.kube import Kube
from kayan_operator.metrics_api.metrics_api import DESIRED_REPLICAS, QUEUE_SCALER_LABEL

_PATH = "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/" + DESIRED_REPLICAS + "?labelSelector=" + QUEUE_SCALER_LABEL + "%3D{}"

Ask = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Asks for one scaler's number."""


async def latencies(ask: Ask, names: Sequence[str], per_second: float, seconds: float) -> tuple[list[float], list[float]]:
    """Ms of each request, and how many ms after its time it was sent. They come evenly, however long the answers take; the first second is
    not counted."""
    found: list[float] = []
    late: list[float] = []

    async def one(name: str, *, counts: bool) -> None:
        began = time.perf_counter()
        answer = await ask(name)
        took = 1000 * (time.perf_counter() - began)
        if [item["metricLabels"][QUEUE_SCALER_LABEL] for item in answer["items"]] != [name]:
            raise RuntimeError(f"the metric of {name} is answered with {answer}")
        if counts:
            found.append(took)

    loop, whose = asyncio.get_running_loop(), itertools.cycle(names)
    began = loop.time()
    async with asyncio.TaskGroup() as asking:
        for number in range(int(per_second * (seconds + 1))):
            await asyncio.sleep(max(0.0, (due := began + number / per_second) - loop.time()))
            if number >= per_second:
                late.append(1000 * (loop.time() - due))
            asking.create_task(one(next(whose), counts=number >= per_second))
    return found, late


@contextlib.asynccontextmanager
async def directly(namespace: str, port: int, host: str, token: str, authority: str) -> AsyncIterator[Ask]:
    """At the operator's own port, as a service account that verifies its certificate for ``host``."""
    context = ssl.create_default_context(cadata=authority)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers) as session:

        async def ask(name: str) -> Mapping[str, Any]:
            url = f"https://127.0.0.1:{port}" + _PATH.format(namespace, name)
            async with session.get(url, server_hostname=host) as response:
                response.raise_for_status()
                answer: Mapping[str, Any] = await response.json()
                return answer

        yield ask


@contextlib.asynccontextmanager
async def by_kube_apiserver(namespace: str) -> AsyncIterator[Ask]:
    """As an HPA does it."""
    async with cluster.client() as client:

        api = Kube(client)
        yield lambda name: api.get(_PATH.format(namespace, name))


async def _measure(names: Sequence[str], per_second: float, seconds: float, door: dict[str, Any]) -> dict[str, list[float]]:
    async with directly(**door) if "port" in door else by_kube_apiserver(**door) as ask:
        took, late = await latencies(ask, names, per_second, seconds)
    return {"took": took, "late": late}


def main() -> None:
    gc.freeze()
    gc.disable()
    for line in sys.stdin:
        request = json.loads(line)
        number, op = request.pop("id"), request.pop("op")
        try:
            answer: dict[str, Any] = {"value": uvloop.run(_measure(**request)) if op == "measure" else "pong"}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"id": number, **answer}), flush=True)


if __name__ == "__main__":
    main()
