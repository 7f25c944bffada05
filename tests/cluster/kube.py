"""kubectl and helm as a person types them, against whatever cluster KUBECONFIG names. Blocking; used by tests of one cluster alone."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Object = dict[str, Any]


class CommandError(AssertionError):
    """What a command said when it failed."""


def run(
    *command: str, stdin: str = "", timeout: float = 180, check: bool = True, folder: Path | None = None, **variables: str
) -> str:
    """Standard output of a command, run in ``folder`` with ``variables`` beside ours; CommandError with all it said when it fails."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
    )
    if check and done.returncode:
        raise CommandError(f"{' '.join(command)}\nended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout if check else done.stdout + done.stderr


def until(condition: Callable[[], Any], timeout: float, *, what: str, every: float = 0.2, trouble: Callable[[], str] = str) -> Any:
    """Ask until the answer is truthy and return it; AssertionError with the last one, and ``trouble``, after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; the last answer was {answer!r}\n{trouble()}")
        time.sleep(every)


@dataclass(frozen=True)
class Namespace:
    """One namespace that admits restricted pods only."""

    name: str

    @classmethod
    @contextlib.contextmanager
    def made(cls, prefix: str = "kayan-test") -> Iterator[Namespace]:
        """A new one, deleted at the end."""
        namespace = cls(f"{prefix}-{secrets.token_hex(3)}")
        run("kubectl", "create", "namespace", namespace.name)
        run("kubectl", "label", "namespace", namespace.name, "pod-security.kubernetes.io/enforce=restricted")
        try:
            yield namespace
        finally:
            run("kubectl", "delete", "namespace", namespace.name, "--wait=false")

    def kubectl(self, *arguments: str, stdin: str = "", timeout: float = 180, check: bool = True) -> str:
        return run("kubectl", "--namespace", self.name, *arguments, stdin=stdin, timeout=timeout, check=check)

    def get(self, kind: str, *arguments: str) -> list[Object]:
        """Objects of a kind, by selector or all."""
        found = json.loads(self.kubectl("get", kind, *arguments, "--output", "json"))
        return list(found["items"]) if "items" in found else [found]

    def pods(self, component: str) -> list[Object]:
        """The pods of a component that are not on their way out, the oldest first."""
        pods = self.get("pods", "--selector", f"app.kubernetes.io/component={component}")
        alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return sorted(alive, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def pod_names(self, component: str) -> list[str]:
        return [str(pod["metadata"]["name"]) for pod in self.pods(component)]

    def logs(self, target: str, *arguments: str) -> str:
        """What a pod, or ``deployment/NAME``, has said so far."""
        return self.kubectl("logs", target, *arguments)

    def events(self, target: str, *arguments: str) -> list[Object]:
        """The JSON lines among it."""
        return [json.loads(line) for line in self.logs(target, *arguments).splitlines() if line.startswith("{")]

    def apply(self, *objects: Object) -> None:
        self.kubectl("apply", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    @contextlib.contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[str]:
        """``localhost:PORT`` that leads to a port of a pod or service, for a party outside of the cluster."""
        with subprocess.Popen(
            ["kubectl", "--namespace", self.name, "port-forward", target, f":{port}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ,
        ) as process:
            try:
                assert process.stdout is not None
                said = process.stdout.readline()
                found = re.search(r"127\.0\.0\.1:(\d+)", said)
                assert found, f"kubectl port-forward {target} {port}: {said}"
                yield f"127.0.0.1:{found[1]}"
            finally:
                process.kill()


def ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def restarts(pod: Object) -> int:
    return sum(int(status["restartCount"]) for status in pod.get("status", {}).get("containerStatuses", []))


def last_end(pod: Object) -> Object:
    """How the container ended before it was started again: reason and exitCode; empty when it never did."""
    statuses: Sequence[Object] = pod.get("status", {}).get("containerStatuses", [])
    return next((status["lastState"]["terminated"] for status in statuses if "terminated" in status.get("lastState", {})), {})
