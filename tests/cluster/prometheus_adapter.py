"""prometheus-adapter as a process of this machine, told the rules that our README gives to those who have one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from chart.prometheus import program
from cluster import adapters
from cluster.kube import Namespace
from cluster.registration import Turn
from redis_process import free_port

SERVICE = "prometheus-adapter"


@contextlib.contextmanager
def prometheus_adapter(namespace: Namespace, turn: Turn, prometheus: str, values: Mapping[str, Any]) -> Iterator[Path]:
    """It serves external metrics out of the Prometheus at that URL, by the rules in the ``values`` of its chart; yields the file of what it
    says."""
    command = program("prometheus-adapter", "go install sigs.k8s.io/prometheus-adapter/cmd/adapter@v0.12.0 gives it, under another name")
    port = free_port()
    with contextlib.ExitStack() as stack:
        certificates = adapters.certified(stack.enter_context(adapters.folder()), f"{SERVICE}.{namespace.name}.svc")
        configuration = certificates / "configuration.yaml"
        configuration.write_text(yaml.safe_dump({"externalRules": values["rules"]["external"]}))
        said = stack.enter_context(adapters.at_work([
            command, f"--secure-port={port}", f"--tls-cert-file={certificates}/tls.crt", f"--tls-private-key-file={certificates}/tls.key",
            f"--prometheus-url={prometheus}", f"--config={configuration}", "--metrics-relist-interval=2s", "--metrics-max-age=1m",
            *adapters.who_is_who(),
        ]))  # fmt: skip
        stack.enter_context(adapters.registered(namespace, turn, SERVICE, port, certificates / "ca.crt", said))
        yield said
