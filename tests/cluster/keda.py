"""KEDA as two processes of this machine, out of the folder KAYAN_TEST_KEDA: ``keda``, ``keda-adapter``, and its definitions in ``crds``.
And what one of its triggers asks for, where there is no KEDA."""

from __future__ import annotations

import contextlib
import json
import os
import re
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from cluster import adapters
from cluster.kube import Namespace, run, until
from cluster.registration import Turn
from prometheus_client.parser import text_string_to_metric_families
from redis_process import free_port

FOLDER = "KAYAN_TEST_KEDA"
SERVICE = "keda-metrics-apiserver"
_TIMEOUT_SECONDS = 3
"""KEDA's own, unless it is told another one."""


@contextlib.contextmanager
def keda(namespace: Namespace, turn: Turn) -> Iterator[Path]:
    """KEDA sees to the ScaledObjects of ``namespace`` and serves external metrics; yields the file of what its operator says."""
    binaries, port, metrics_port = Path(os.environ[FOLDER]).resolve(), free_port(), free_port()
    variables = {"WATCH_NAMESPACE": namespace.name, "POD_NAMESPACE": namespace.name, "KEDA_CLUSTER_OBJECT_NAMESPACE": namespace.name}
    with contextlib.ExitStack() as stack:
        stack.enter_context(_defined(binaries / "crds"))
        certificates = adapters.certified(stack.enter_context(adapters.folder()), f"{SERVICE}.{namespace.name}.svc")
        said = stack.enter_context(adapters.at_work([
            str(binaries / "keda"), "--zap-log-level=info", f"--cert-dir={certificates}", f"--metrics-service-bind-address=:{metrics_port}",
            "--metrics-bind-address=0", "--health-probe-bind-address=0", f"--leader-election-id={namespace.name}",
        ], variables))  # fmt: skip
        stack.enter_context(adapters.at_work([
            str(binaries / "keda-adapter"), f"--secure-port={port}", f"--port={free_port()}",
            f"--metrics-service-address=localhost:{metrics_port}", f"--cert-dir={certificates}", f"--client-ca-file={certificates}/ca.crt",
            f"--tls-cert-file={certificates}/tls.crt", f"--tls-private-key-file={certificates}/tls.key",
            *adapters.who_is_who(),
        ], variables))  # fmt: skip
        stack.enter_context(adapters.registered(namespace, turn, SERVICE, port, certificates / "ca.crt", said))
        try:
            yield said
        finally:  # while there is somebody to take its finalizers away
            namespace.kubectl("delete", "scaledobjects", "--all")


@contextlib.contextmanager
def _defined(folder: Path) -> Iterator[None]:
    """KEDA's kinds are known; those that nobody had known are taken away again."""
    kinds = [path.stem.partition("_")[2] + "." + path.stem.partition("_")[0] for path in folder.glob("*.yaml")]
    known = set(run("kubectl", "get", "crds", "--output=name").split())
    ours = [kind for kind in kinds if f"customresourcedefinition.apiextensions.k8s.io/{kind}" not in known]
    run("kubectl", "apply", "--server-side", "--filename", str(folder))
    until(lambda: all(_is_established(kind) for kind in kinds), 60, what="KEDA's kinds are known")
    try:
        yield
    finally:
        if ours:
            run("kubectl", "delete", "crds", *ours, "--wait=false")


def _is_established(kind: str) -> bool:
    status = json.loads(run("kubectl", "get", "crd", kind, "--output=json")).get("status") or {}
    return any((one["type"], one["status"]) == ("Established", "True") for one in status.get("conditions") or ())


def until_ready(namespace: Namespace, name: str, said: Path) -> None:
    """Wait until KEDA has taken up a ScaledObject."""

    def conditions() -> dict[str, str]:
        [found] = namespace.get("scaledobject", name)
        return {one["type"]: one["status"] for one in found.get("status", {}).get("conditions", ())}

    until(lambda: conditions().get("Ready") == "True", 30, what=f"ScaledObject {name} is ready", trouble=lambda: said.read_text()[-4000:])


def asked(namespace: Namespace, metadata: Mapping[str, str]) -> float | None:
    """What a trigger ``metrics-api`` of KEDA 2.21 makes of its ``metadata``, by the same requests and the same reading of their answers
    (``pkg/scalers/metrics_api_scaler.go``): the largest number that an endpoint of the Service says; None where KEDA has an error."""
    assert (metadata["format"], metadata["aggregationType"]) == ("prometheus", "max")
    assert metadata["aggregateFromKubeServiceEndpoints"] == "true"
    url = urlsplit(metadata["url"])
    service, found_in = str(url.hostname).split(".")[:2]
    assert found_in == namespace.name
    said: list[float] = []
    for one in namespace.get("endpointslices", f"--selector=kubernetes.io/service-name={service}"):
        for endpoint in one["endpoints"] or ():
            assert url.port in [port["port"] for port in one["ports"]], "KEDA would ask port 80"
            for address in endpoint["addresses"] if endpoint["conditions"].get("ready", True) else ():
                with contextlib.suppress(OSError, LookupError):
                    said.append(_read(f"http://{address}:{url.port}{url.path}", metadata["valueLocation"]))
    return max(said, default=None)


def _read(url: str, location: str) -> float:
    """The first sample that the selector picks. Raises OSError, and LookupError where there is none."""
    name, _, wanted = location.rstrip("}").partition("{")
    labels = dict(re.findall(r'(\w+)="([^"]*)"', wanted))
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:
        page = answer.read().decode()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    raise LookupError(location)
