"""Deployments of pods that do nothing, QueueScalers for them, and what becomes of both."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from boxes import VERSION
from chart.rendered import CHART
from cluster.kube import CommandError, Namespace, Object, run, until

API_VERSION = "workers.kayanlive.com/v1alpha1"
KIND = "queuescalers.workers.kayanlive.com"
"""As kubectl is sure to understand it: trial definitions of other tests may have the same short names."""
IDLER = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()"
PHANTOMS: Object = {"schedulingGates": [{"name": "kayan.test/never"}]}
"""For ``deployment``: pods that are there and never placed, where only their number matters. They cost the machine nothing."""
SECURE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def deployment(name: str, replicas: int = 0, *, command: list[str] | None = None, image: str = f"kayanlive/workers-maintenance:{VERSION}",
               cpu: str = "1m", readiness: Object | None = None, **pod: Any) -> Object:
    """A Deployment whose pods wait for their SIGTERM, under the restricted standard. ``pod`` are more fields of their spec."""
    container = {"name": "idler", "image": image, "imagePullPolicy": "IfNotPresent", "command": command or ["python", "-c", IDLER],
                 "securityContext": SECURE, "resources": {"requests": {"cpu": cpu, "memory": "8Mi"}}}
    if readiness:
        container["readinessProbe"] = readiness
    spec = {"containers": [container], "terminationGracePeriodSeconds": 5, "automountServiceAccountToken": False,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                 "template": {"metadata": {"labels": {"app": name}}, "spec": spec | pod}},
    }  # fmt: skip


def scaler(name: str, queue: str = "", *, target: str = "", redis: str = "default", **spec: Any) -> Object:
    """A QueueScaler that wastes no time: a test cannot wait for minutes of calm."""
    return {
        "apiVersion": API_VERSION, "kind": "QueueScaler", "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"name": target or name}, "queues": [{"name": queue or name, "redis": redis}], "mode": "direct",
            "cooldown": "2s", "scaleDown": {"stabilization": "1s"}, "maxReplicas": 20, **spec,
        },
    }  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """One namespace with scalers in it."""

    namespace: Namespace

    @classmethod
    @contextmanager
    def made(cls) -> Iterator[Stage]:
        install_definitions()
        with Namespace.made("kayan-scaling") as namespace:
            yield cls(namespace)

    def apply(self, *objects: Object) -> None:
        self.namespace.apply(*objects)

    def refused(self, *objects: Object) -> str:
        """What the API server says to objects that it does not take."""
        try:
            self.apply(*objects)
        except CommandError as error:
            return str(error)
        raise AssertionError("the API server has taken it")

    def put(self, name: str, replicas: int = 0, **spec: Any) -> None:
        """A Deployment and its scaler."""
        self.apply(deployment(name, replicas), scaler(name, **spec))

    def put_phantoms(self, name: str, replicas: int = 0, *, cpu: str = "1m", **spec: Any) -> None:
        """The same with pods that never run."""
        self.apply(deployment(name, replicas, cpu=cpu, **PHANTOMS), scaler(name, **spec))

    def set_spec(self, name: str, **spec: Any) -> None:
        """Change parts of a scaler's spec; None takes one away."""
        self.namespace.kubectl("patch", KIND, name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def replicas(self, name: str) -> int:
        return int(self.namespace.get("deployment", name)[0]["spec"]["replicas"])

    def ready(self, name: str) -> int:
        return int(self.namespace.get("deployment", name)[0].get("status", {}).get("readyReplicas", 0))

    def status(self, name: str) -> Object:
        status: Object = self.namespace.get(KIND, name)[0].get("status", {})
        return status

    def condition(self, name: str, kind: str) -> Object:
        """Empty when there is none of that type."""
        return next((one for one in self.status(name).get("conditions", ()) if one["type"] == kind), {})

    def is_seen_to(self, name: str) -> bool:
        """Whether the operator has looked at the present spec."""
        found = self.namespace.get(KIND, name)[0]
        return bool(found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"])

    def until_seen(self, *names: str) -> None:
        for name in names:
            until(lambda name=name: self.is_seen_to(name), 15, what=f"{name} is seen to")

    def until_replicas(self, name: str, wanted: int, timeout: float = 20) -> float:
        """Wait for a number; returns how long it took."""
        begun = time.monotonic()
        until(lambda: self.replicas(name) == wanted, timeout, what=f"{name} has {wanted} replicas",
              trouble=lambda: json.dumps(self.status(name), indent=1))
        return time.monotonic() - begun

    def stays(self, name: str, wanted: int, seconds: float) -> None:
        """The number must not change for so long."""
        self.holds(lambda: self.replicas(name) == wanted, seconds, what=f"{name} stays at {wanted}", name=name)

    def holds(self, condition: Callable[[], bool], seconds: float, *, what: str, name: str) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert condition(), f"{what}: {json.dumps(self.status(name), indent=1)}"
            time.sleep(0.3)

    def told(self, name: str) -> list[str]:
        """The reasons of the events about a scaler."""
        events = self.namespace.get("events", "--field-selector", f"involvedObject.kind=QueueScaler,involvedObject.name={name}")
        return [str(event["reason"]) for event in events]


def install_definitions() -> None:
    """Of this commit, over those of another that may be there."""
    run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", str(CHART / "crds"))
