"""One release of the chart: installed, watched and removed as a platform engineer does it."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from chart.rendered import CHART, UNSCALED, merged
from cluster.kube import Namespace, Object, ready, run, until
from kayan_workers.processors.table import ROLES
from redis import Redis

Values = Mapping[str, Any]

WORKERS = tuple(role.name for role in ROLES)
QUEUES = tuple(role.queue for role in ROLES)

QUICK: Values = {"settings": {"lockDurationMs": 15000, "stalledIntervalMs": 5000}}
"""Whoever dies with a job is noticed sooner than after half a minute; a pod that a busy node keeps waiting for seconds is not dead."""


def only(*workers: str) -> Values:
    """Values that leave only these workers, with as many pods as values say."""
    return merged(UNSCALED, {"workers": {name: None for name in WORKERS if name not in workers}})


@dataclass
class Release:
    """``helm install NAME`` in a namespace of its own. With no values it brings its own stores."""

    namespace: Namespace
    name: str = "kayan-workers"
    chart: Path = CHART
    values: dict[str, Any] = field(default_factory=dict)
    notes: str = ""
    """What helm said when it was installed."""

    # -- helm ----------------------------------------------------------------------------------------------------------------

    def helm(self, *arguments: str, values: Values | None = None, timeout: float = 400, check: bool = True) -> str:
        command = ["helm", "--namespace", self.namespace.name, *arguments]
        if values is None:
            return run(*command, timeout=timeout, check=check)
        return run(*command, "--values", "-", stdin=json.dumps(values), timeout=timeout, check=check)

    def install(self, *values: Values, wait: bool = True) -> Release:
        self.values = merged(*values)
        self.notes = self.helm("install", self.name, str(self.chart), values=self.values)
        if wait:
            self.wait_ready()
        return self

    def upgrade(self, *values: Values, wait: bool = True) -> None:
        """With what it was given before, and ``values`` on top."""
        self.values = merged(self.values, *values)
        self.helm("upgrade", self.name, str(self.chart), values=self.values)
        if wait:
            self.wait_ready()

    def uninstall(self) -> None:
        self.helm("uninstall", self.name, "--wait", "--timeout", "120s")

    # -- what runs -----------------------------------------------------------------------------------------------------------

    def deployments(self) -> list[Object]:
        return self.namespace.get("deployments", "--selector", f"app.kubernetes.io/instance={self.name}")

    def wait_ready(self, timeout: float = 180) -> float:
        """Until every Deployment has rolled out; returns the seconds it took."""
        began = time.monotonic()
        until(lambda: all(map(_rolled_out, self.deployments())), timeout, what="all Deployments have rolled out", trouble=self.trouble)
        return time.monotonic() - began

    def trouble(self) -> str:
        return self.namespace.kubectl("get", "pods", "--output", "wide", check=False)

    def worker(self, component: str) -> str:
        """As kubectl names it: ``deployment/…``."""
        return f"deployment/{self.name}-{component}"

    def wait_ready_pods(self, component: str, count: int, timeout: float = 90) -> list[Object]:
        def enough() -> list[Object]:
            pods = [pod for pod in self.namespace.pods(component) if ready(pod)]
            return pods if len(pods) >= count else []

        found: list[Object] = until(enough, timeout, what=f"{count} pods of {component} are ready", trouble=self.trouble)
        return found

    def kayan(self, component: str, *arguments: str, check: bool = True) -> str:
        """The command ``kayan`` inside of a worker's pod."""
        return self.namespace.kubectl("exec", self.worker(component), "--container", "worker", "--", "kayan", *arguments, check=check)

    def logged(self, component: str) -> list[Object]:
        """The events of all pods of a worker that still exist, those on their way out too."""
        selector = f"--selector=app.kubernetes.io/component={component}"
        return self.namespace.events(selector, "--container=worker", "--tail=-1", "--max-log-requests=50")

    # -- the demo's stores, from outside -------------------------------------------------------------------------------------

    def password(self) -> str:
        secret = self.namespace.get("secret", self.name)[0]
        return base64.b64decode(secret["data"]["DEMO_PASSWORD"]).decode()

    @contextlib.contextmanager
    def redis_url(self) -> Iterator[str]:
        with self.namespace.forwarded(f"service/{self.name}-demo-redis", 6379) as address:
            yield f"redis://:{self.password()}@{address}/0"

    @contextlib.contextmanager
    def redis(self) -> Iterator[Redis]:
        with self.redis_url() as url, Redis.from_url(url, decode_responses=True) as client:
            yield client

    @contextlib.contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        password = self.password()
        with (
            self.namespace.forwarded(f"service/{self.name}-demo-postgres", 5432) as address,
            psycopg.connect(f"postgresql://kayan:{password}@{address}/kayanlive", autocommit=True) as connection,
        ):
            yield connection


def _rolled_out(deployment: Object) -> bool:
    wanted, status = int(deployment["spec"].get("replicas", 1)), deployment.get("status", {})
    return (
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == status.get("availableReplicas", 0) == status.get("replicas", 0) == wanted
    )


# -- jobs -----------------------------------------------------------------------------------------------------------------------


def unfinished(redis: Redis, queues: Sequence[str] = QUEUES) -> int:
    """How many jobs of these queues are still to be done."""
    with redis.pipeline() as pipeline:
        for queue in queues:
            for state in ("wait", "active", "paused"):
                pipeline.llen(f"bull:{queue}:{state}")
            pipeline.zcard(f"bull:{queue}:delayed")
        return sum(pipeline.execute())


def counted(redis: Redis, state: str, queues: Sequence[str] = QUEUES) -> dict[str, int]:
    """By queue, how many jobs stand in ``completed`` or ``failed``."""
    with redis.pipeline() as pipeline:
        for queue in queues:
            pipeline.zcard(f"bull:{queue}:{state}")
        return dict(zip(queues, pipeline.execute(), strict=True))


def wait_finished(redis: Redis, timeout: float, queues: Sequence[str] = QUEUES) -> None:
    until(lambda: unfinished(redis, queues) == 0, timeout, what=f"the jobs of {', '.join(queues)} are done")
