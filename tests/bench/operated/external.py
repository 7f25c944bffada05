"""The external metrics API under load: asked at its own port, over TLS with a token, and by way of kube-apiserver, as an HPA does it.

A cluster has one APIService of external metrics: this takes the turn of ``cluster.registration`` for it, and does without when it is
another's.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench.operated.operator import Operator
from bench.operated.watching import Scalers
from bench.peers import Obedient
from bench.results import Row, at_most
from bench.stage import Stage
from cluster import registration
from cluster.kube import Namespace
from cluster.registration import Turn
from kayan_operator.cluster import kube
from kayan_operator.cluster.kube import Kube
from kayan_operator.metrics_api.metrics_api import DESIRED_REPLICAS
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
            return await _rows(stage, namespace, operator, port, names)
        finally:
            await asyncio.to_thread(registration.remove, f"{registration.LABEL}={turn.holder}")


async def _rows(stage: Stage, namespace: Namespace, operator: Operator, port: int, names: Sequence[str]) -> list[Row]:
    token, authority = await asyncio.to_thread(_account, namespace)
    host = f"{SERVICE}.{namespace.name}.svc"
    own_port = {"namespace": namespace.name, "port": port, "host": host, "token": token, "authority": authority}
    seconds = min(_WINDOW_SECONDS, stage.seconds) * stage.rounds

    async with Obedient("the asker", [sys.executable, "-m", "bench.operated.asker"], os.environ) as asker:

        async def ask(per_second: float, door: Mapping[str, Any]) -> dict[str, list[float]]:
            found: dict[str, list[float]] = await asker.ask("measure", names=names, per_second=per_second, seconds=seconds, door=door)
            return found

        before, began = await operator.used(), time.monotonic()
        direct = await ask(PER_SECOND, own_port)
        used = (await operator.used() - before).each(time.monotonic() - began)
        way_round = await ask(_BY_KUBE_APISERVER_PER_SECOND, {"namespace": namespace.name})

    stage.notes.append(f"external metrics: {len(names)} of the {stage.scalers:,} scalers have an HPA")
    title, by = "external metric", f"{_BY_KUBE_APISERVER_PER_SECOND} requests/s through kube-apiserver"
    return [
        Row(f"{title}: {PER_SECOND} requests/s through TLS, p50", "ms", direct["took"]),
        Row(f"{title}: {PER_SECOND} requests/s through TLS, p99", "ms", direct["took"], (), at_most(_GOAL_MS, "ms", 0.99), share=0.99),
        Row(f"{title}: how late the asker itself was, p99", "ms", direct["late"], share=0.99),
        Row(f"{title}: CPU of the operator meanwhile", "cores", [used.cpu]),
        Row(f"{title}: {by}, p50", "ms", way_round["took"]),
        Row(f"{title}: {by}, p99", "ms", way_round["took"], share=0.99),
    ]


def _account(namespace: Namespace) -> tuple[str, str]:
    """A token, and the authority that the operator's certificate is verified by."""
    namespace.kubectl("create", "serviceaccount", "reader")
    rule = {"apiGroups": ["external.metrics.k8s.io"], "resources": [DESIRED_REPLICAS], "verbs": ["list"]}
    namespace.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"}, "rules": [rule]})
    namespace.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace.name}:reader")
    [secret] = namespace.get("secret", SERVICE)
    return namespace.kubectl("create", "token", "reader").strip(), base64.b64decode(secret["data"]["ca.crt"]).decode()


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
