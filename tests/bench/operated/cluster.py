"""The cluster that KUBECONFIG names: whether it is there, a namespace in it, many Deployments with their QueueScalers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import servers
from cluster.kube import Namespace, Object, run
from cluster.scaling import deployment, scaler
from kayan_operator.cluster import kube
from kayan_operator.cluster.kube import Kube
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient

SIMULATED: dict[str, Any] = {"nodeSelector": {"type": "kwok"}, "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]}
"""Where the pods go: to simulated nodes, which run nothing. Where there are none, they stay pending."""

_AT_ONCE = 16


def hindrance() -> str:
    """Why there is no cluster to measure on; empty when there is one."""
    if shutil.which("kubectl") is None:
        return "kubectl is not on PATH: install kubectl"
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no cluster: set it to the configuration of one that may be worked in, kind's say"
    answer = subprocess.run(["kubectl", "get", "nodes"], capture_output=True, text=True, timeout=60, check=False)
    return f"the cluster of KUBECONFIG does not answer: {answer.stderr.strip()[-300:]}" if answer.returncode else ""


def simulated_nodes() -> int:
    return len(run("kubectl", "get", "nodes", "--selector=type=kwok", "--output=name").split())


def version() -> str:
    """Of the API server: ``v1.34.4``."""
    return next(line for line in run("kubectl", "version").splitlines() if line.startswith("Server")).split()[-1]


@contextlib.contextmanager
def room() -> Iterator[Namespace]:
    """A namespace of the measurement's own, gone afterwards however this process ends."""
    run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", "charts/crds", folder=servers.PROJECT)
    namespace = Namespace(f"kayan-bench-{secrets.token_hex(3)}")
    with _deleted_afterwards(namespace):
        run("kubectl", "create", "namespace", namespace.name)
        run("kubectl", "label", "namespace", namespace.name, "pod-security.kubernetes.io/enforce=restricted")
        yield namespace


@contextlib.contextmanager
def _deleted_afterwards(namespace: Namespace) -> Iterator[None]:
    """By a process of its own, which sees by its pipe that the block has ended or that we have been killed."""
    command = f"cat; exec kubectl delete namespace {namespace.name} --ignore-not-found --wait=false"
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, env=os.environ
    ) as guard:
        try:
            yield
        finally:
            assert guard.stdin is not None
            guard.stdin.close()


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[ApiClient]:
    """A client of the API server, as KUBECONFIG says."""
    made = await config.new_client_from_config()  # type: ignore[no-untyped-call]
    try:
        yield made
    finally:
        await made.close()


@dataclass(frozen=True)
class Crowd:
    """Makes Deployments without pods and scalers for them, several at once. A scaler, its Deployment and its queue have one name."""

    api: Kube
    namespace: str

    async def deployments(self, names: Sequence[str]) -> None:
        path = kube.deployments(self.namespace)
        await self._create([(path, deployment(name, **SIMULATED)) for name in names])

    async def scalers(self, names: Sequence[str], **spec: Any) -> None:
        path = kube.scalers(self.namespace)
        await self._create([(path, scaler(name, **spec)) for name in names])

    async def _create(self, bodies: Sequence[tuple[str, Object]]) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def create(path: str, body: Object) -> None:
            async with gate:
                await self.api.create(path, body)

        await asyncio.gather(*(create(path, body) for path, body in bodies))
