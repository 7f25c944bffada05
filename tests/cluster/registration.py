"""The one APIService of a cluster's external metrics, in the hands of one test run at a time, and gone when that run is, however it ends.

While it is there and nobody answers, no namespace of the cluster can be deleted.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cluster.kube import CommandError, Namespace, Object, run, until

NAME = "v1beta1.external.metrics.k8s.io"
LABEL = "kayan-test-run"
LEASE = "kayan-test-external-metrics"
LEASE_SECONDS = 600


@dataclass(frozen=True)
class Turn:
    """Our turn at the APIService: while its Lease is renewed, no other run touches it. ``label`` marks what is ours."""

    holder: str

    @property
    def label(self) -> dict[str, str]:
        return {LABEL: self.holder}

    def renew(self) -> None:
        """Hold it for another while, which must be enough for one test."""
        _kubectl("patch", "lease", LEASE, "--type=merge", "--patch", json.dumps({"spec": _terms(self.holder)}))


@contextlib.contextmanager
def taken(patience: float = 1500, ours: str = "") -> Iterator[Turn]:
    """Wait for the turn and have it. What a run left behind that was killed is removed first, and at the end what carries the turn's label,
    or what the selector ``ours`` finds. So whoever deletes a namespace as well deletes it after that.
    """
    turn = Turn(f"run-{secrets.token_hex(4)}")
    until(lambda: _take(turn.holder), patience, every=2, what=f"Lease kube-system/{LEASE} is free")
    try:
        remove(LABEL)
        with _guarded(ours or f"{LABEL}={turn.holder}"):
            yield turn
    finally:
        _kubectl("delete", "lease", LEASE, "--ignore-not-found")


def found() -> Object | None:
    """The APIService, whosever it is."""
    return next(
        iter(json.loads(run("kubectl", "get", "apiservices", f"--field-selector=metadata.name={NAME}", "--output=json"))["items"]), None
    )


def remove(selector: str) -> None:
    """Delete it, if it carries that label."""
    run("kubectl", "delete", "apiservices", f"--selector={selector}")


def expose(namespace: Namespace, service: str, ports: list[int]) -> None:
    """A Service without pods, whose endpoints are these ports of this machine."""
    address = our_address()
    port = {"name": "https", "port": 443, "protocol": "TCP"}
    namespace.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service}, "spec": {"ports": [port]}},
        *(
            {
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                "metadata": {"name": f"{service}-{number}", "labels": {"kubernetes.io/service-name": service}},
                "ports": [{"name": "https", "port": number, "protocol": "TCP"}],
                "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            }
            for number in ports
        ),
    )  # fmt: skip


def register(turn: Turn, namespace: Namespace, service: str, authority: bytes = b"") -> None:
    """Send kube-apiserver to this Service for external metrics. Without an ``authority`` (PEM) who serves says whom to trust."""
    bundle = {"caBundle": base64.b64encode(authority).decode()} if authority else {}
    run("kubectl", "create", "--filename=-", stdin=json.dumps({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": NAME, "labels": turn.label},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"namespace": namespace.name, "name": service, "port": 443}, **bundle,
        },
    }))  # fmt: skip


def our_address() -> str:
    """This machine's address as kube-apiserver sees it: where answers to it go out."""
    there = json.loads(run("kubectl", "--namespace=default", "get", "endpointslice", "kubernetes", "--output=json"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((there["endpoints"][0]["addresses"][0], 9))
        return str(probe.getsockname()[0])


def _take(holder: str) -> bool:
    """Make the Lease, or take over one that has run out."""
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": LEASE}, "spec": _terms(holder)}
    try:
        _kubectl("create", "--filename=-", stdin=json.dumps(lease))
        return True
    except CommandError:
        pass
    try:
        there = json.loads(_kubectl("get", "lease", LEASE, "--output=json"))
        ends = datetime.fromisoformat(there["spec"]["renewTime"]) + timedelta(seconds=there["spec"]["leaseDurationSeconds"])
        if datetime.now(UTC) < ends:
            return False
        # with the version that was read, only one of those who wait gets it
        lease["metadata"] = {"name": LEASE, "resourceVersion": there["metadata"]["resourceVersion"]}
        _kubectl("replace", "--filename=-", stdin=json.dumps(lease))
    except CommandError:
        return False
    return True


def _terms(holder: str) -> Object:
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"holderIdentity": holder, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}


def _kubectl(*arguments: str, stdin: str = "") -> str:
    return run("kubectl", "--namespace=kube-system", *arguments, stdin=stdin)


@contextlib.contextmanager
def _guarded(selector: str) -> Iterator[None]:
    """Removed at the end, by a process of its own that notices also when we are killed: then the pipe to it is closed."""
    command = f"cat; exec kubectl delete apiservices --selector={selector}"
    with subprocess.Popen(
        ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True, env=os.environ
    ) as guard:
        try:
            yield
        finally:
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait(timeout=60)
