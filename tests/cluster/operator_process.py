"""The operator as a process of this machine, on a cluster's API and a test's own Redis servers: quick to start, to kill, to restart."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cluster.kube import until
from kayan import events_in
from prometheus_client.parser import text_string_to_metric_families
from redis_process import RedisProcess, free_port

START_SECONDS = 30


class OperatorProcess:
    """``kayan-operator run`` for one namespace. The first of ``servers`` is the fleet's own Redis."""

    def __init__(self, namespace: str, servers: Mapping[str, RedisProcess], *, identity: str = "operator-0",
                 module: str = "kayan_operator", **variables: str) -> None:
        """``module`` is what Python runs: another one may put something around the operator."""
        others = {name: server for name, server in servers.items() if name != "default"}
        self.port = int(variables.get("HEALTH_PORT") or free_port())
        self.host = variables.get("HEALTH_HOST", "127.0.0.1")
        self._module = module
        self.environment = {
            "KAYAN_OPERATOR_NAMESPACE": namespace,
            "KAYAN_OPERATOR_METRICS_API": "false",
            "REDIS_URL": servers["default"].url,
            "KAYAN_REDIS_SERVERS": ",".join(others),
            **{f"KAYAN_REDIS_{name.upper()}_URL": server.url for name, server in others.items()},
            "HEALTH_PORT": str(self.port),
            "POD_NAME": identity,
            "LOG_FORMAT": "json",
            **variables,
        }
        self.log = Path(tempfile.mkdtemp(prefix="kayan-operator-")) / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> OperatorProcess:
        """Returns when it is ready, as a standby or as the leader."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module, "run"], stdout=log, stderr=log, env=os.environ | self.environment
            )
        until(lambda: self.page("/readyz") is not None, START_SECONDS, what="the operator is ready", trouble=self.said)
        return self

    @property
    def leads(self) -> bool:
        return bool(json.loads(self.page("/readyz") or "{}").get("leads"))

    def page(self, path: str) -> str | None:
        """A page of its health port; None while it does not answer with 200."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://{self.host}:{self.port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
        return None

    def metric(self, name: str, **labels: str) -> float:
        """The sum over a metric's samples with these labels; 0 when there is none."""
        page = self.page("/metrics") or ""
        samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def events(self, event: str = "") -> list[dict[str, Any]]:
        """The lines it has written, or those of one event."""
        return [line for line in events_in(self.log.read_text()) if not event or line["event"] == event]

    def said(self) -> str:
        return self.log.read_text()[-4000:]

    def signal(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def operating(
    namespace: str, servers: Mapping[str, RedisProcess], *, identity: str = "operator-0", **variables: str
) -> Iterator[OperatorProcess]:
    """An operator for as long as the block; it must not have stumbled in it."""
    operator = OperatorProcess(namespace, servers, identity=identity, **variables).start()
    try:
        yield operator
    finally:
        if operator.process and operator.process.poll() is None:
            operator.stop()
    stumbles = [*operator.events("operator.stumbled"), *operator.events("scaler.stumbled"), *operator.events("operator.failed")]
    assert not stumbles, stumbles
