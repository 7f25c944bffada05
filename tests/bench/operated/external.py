"""The external metrics API under load: asked at its own port, over TLS with a token, and by way of kube-apiserver, as an HPA does it.

A cluster has one APIService of external metrics: this takes the turn of ``cluster.registration`` for it, and does without when it is
another's.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import aiohttp
from bench.operated.operator import Operator
from bench.operated.watching import Scalers
from bench.results import Row, at_most
from bench.stage import Stage
from cluster import registration
from cluster.kube import Namespace
from cluster.registration import Turn
from kayan_operator.cluster import kube
from kayan_operator.cluster.kube import Kube
from kayan_operator.metrics_api.metrics_api import DESIRED_REPLICAS, QUEUE_SCALER_LABEL
from kubernetes.aio.client import ApiClient
from redis_process import free_port

SERVICE = "kayan-operator"
"""Of this name the operator takes its Service, its Secret and its Lease to be."""

PER_SECOND = 200
_BY_KUBE_APISERVER_PER_SECOND = 50
_GOAL_MS = 10
_WINDOW_SECONDS = 10.0
_PATIENCE_SECONDS = 300.0
_READY_SECONDS = 300.0
_PATH = "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/" + DESIRED_REPLICAS + "?labelSelector=" + QUEUE_SCALER_LABEL + "%3D{}"

Ask = Callable[[str], Awaitable[bytes]]
"""Asks for one scaler's number; the answer as it came."""


def settings() -> dict[str, str]:
    """With which variables the operator serves the API."""
    return {"KAYAN_OPERATOR_METRICS_API": "true", "KAYAN_OPERATOR_METRICS_PORT": str(free_port()), "KAYAN_OPERATOR_NAME": SERVICE}


async def run(stage: Stage, namespace: Namespace, client: ApiClient, operator: Operator, names: Sequence[str],
                 scalers: Scalers) -> list[Row]:
    """The rows; none, and a note, when the API cannot be had."""
    port = int(operator.process.environment["KAYAN_OPERATOR_METRICS_PORT"])
    with contextlib.ExitStack() as stack:
        try:
            turn = await asyncio.to_thread(stack.enter_context, registration.taken(_PATIENCE_SECONDS))
        except AssertionError as error:
            stage.notes.append(f"external metrics: not measured, somebody else has the turn ({str(error).splitlines()[0]})")
            return []
        if (there := await asyncio.to_thread(registration.found)) is not None:
            stage.notes.append(f"external metrics: not measured, the APIService belongs to {there['spec'].get('service')}")
            return []
        await asyncio.to_thread(_register, namespace, port, turn)
        try:
            await _until_available()
            await _published(client, namespace.name, names, scalers)
            return await _rows(stage, namespace, client, operator, port, names)
        finally:
            await asyncio.to_thread(registration.remove, f"{registration.LABEL}={turn.holder}")


async def _rows(stage: Stage, namespace: Namespace, client: ApiClient, operator: Operator, port: int, names: Sequence[str]) -> list[Row]:
    before, began = await operator.used(), time.monotonic()
    async with _direct(namespace, port) as ask:
        direct, late = await _latencies(stage, ask, names, PER_SECOND)
    used = (await operator.used() - before).each(time.monotonic() - began)

    async def through(name: str) -> bytes:
        return await _get(client, _PATH.format(namespace.name, name))

    way_round, _ = await _latencies(stage, through, names, _BY_KUBE_APISERVER_PER_SECOND)
    stage.notes.append(f"external metrics: {len(names)} of the {stage.scalers:,} scalers have an HPA")
    title, by = "external metric", f"{_BY_KUBE_APISERVER_PER_SECOND} requests/s through kube-apiserver"
    return [
        Row(f"{title}: {PER_SECOND} requests/s through TLS, p50", "ms", direct),
        Row(f"{title}: {PER_SECOND} requests/s through TLS, p99", "ms", direct, (), at_most(_GOAL_MS, "ms", 0.99), share=0.99),
        Row(f"{title}: how late this bench itself was to ask, p99", "ms", late, share=0.99),
        Row(f"{title}: CPU of the operator meanwhile", "cores", [used.cpu]),
        Row(f"{title}: {by}, p50", "ms", way_round),
        Row(f"{title}: {by}, p99", "ms", way_round, share=0.99),
    ]


async def _latencies(stage: Stage, ask: Ask, names: Sequence[str], per_second: float) -> tuple[list[float], list[float]]:
    """Ms of each request, and how many ms after its time it was sent. They come evenly, however long the answers take; the first second is
    not counted."""
    seconds = min(_WINDOW_SECONDS, stage.seconds) * stage.rounds
    found: list[float] = []
    late: list[float] = []

    async def one(name: str, *, counts: bool) -> None:
        began = time.perf_counter()
        answer = json.loads(await ask(name))
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


# -- who asks ------------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _direct(namespace: Namespace, port: int) -> AsyncIterator[Ask]:
    """As a service account with the right to read, which verifies the operator's certificate."""
    token, authority = await asyncio.to_thread(_account, namespace)
    context = ssl.create_default_context(cadata=authority)
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers) as session:

        async def ask(name: str) -> bytes:
            url = f"https://127.0.0.1:{port}" + _PATH.format(namespace.name, name)
            async with session.get(url, server_hostname=f"{SERVICE}.{namespace.name}.svc") as response:
                response.raise_for_status()
                return await response.read()

        yield ask


def _account(namespace: Namespace) -> tuple[str, str]:
    """A token, and the authority that the operator's certificate is verified by."""
    namespace.kubectl("create", "serviceaccount", "reader")
    rule = {"apiGroups": ["external.metrics.k8s.io"], "resources": [DESIRED_REPLICAS], "verbs": ["list"]}
    namespace.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": [rule]})
    namespace.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace.name}:reader")
    [secret] = namespace.get("secret", SERVICE)
    return namespace.kubectl("create", "token", "reader").strip(), base64.b64decode(secret["data"]["ca.crt"]).decode()


async def _get(client: ApiClient, path: str) -> bytes:
    _, url, headers, *_ = await client.param_serialize(
        "GET", path, header_params={"Accept": "application/json"}, auth_settings=["BearerToken"]
    )
    response = await client.call_api("GET", url, headers, _request_timeout=10)
    answer: bytes = await response.read()  # type: ignore[no-untyped-call]
    return answer


# -- what has to be there ------------------------------------------------------------------------------------------------------


def _register(namespace: Namespace, port: int, turn: Turn) -> None:
    """As the chart does it. The operator says which authority is to be trusted."""
    registration.expose(namespace, SERVICE, [port])
    registration.register(turn, namespace, SERVICE)


async def _until_available() -> None:
    async with asyncio.timeout(_READY_SECONDS):
        while not any(
            (one["type"], one["status"]) == ("Available", "True")
            for one in ((await asyncio.to_thread(registration.found)) or {}).get("status", {}).get("conditions", ())
        ):
            await asyncio.sleep(0.5)


async def _published(client: ApiClient, namespace: str, names: Sequence[str], scalers: Scalers) -> None:
    """Have these scalers give their numbers to HPAs."""
    api = Kube(client)
    for name in names:
        await api.merge(kube.scalers(namespace, name), {"spec": {"mode": "hpa"}})
    await scalers.until(lambda: scalers.publishing() >= len(names), _READY_SECONDS, what="the scalers give numbers to HPAs")
