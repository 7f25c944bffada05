"""Prometheus, for tests of what the chart gives it: helm renders, promtool runs the rules on made-up series, Prometheus scrapes workers.

A missing program skips its tests on a laptop and fails them in CI (``servers.missing``).
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import redis_process
import servers
import yaml
from chart.rendered import render
from waiting import wait_until_ready

Settings = Mapping[str, object]
"""Values of the chart by their dotted names."""

Series = dict[str, str]
"""Made-up series as promtool writes them: ``name{label="value"}`` to its values, one a STEP."""

STEP = 30
"""Seconds between two values of a series, and between two evaluations of the rules."""


def program(name: str, remedy: str) -> str:
    """Where ``name`` is; a test that needs it ends here if it is nowhere."""
    return shutil.which(name) or servers.missing(f"no {name} on this machine: {remedy}")


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = program("promtool", "install Debian's package prometheus, or Prometheus itself")
    return subprocess.run([command, *arguments], capture_output=True, text=True, timeout=120, check=False)


def rendered(
    kind: str, settings: Settings | None = None, *, release: str = "kayan-workers", namespace: str = "live"
) -> list[dict[str, Any]]:
    """The release's objects of that kind."""
    told = [part for name, value in (settings or {}).items() for part in ("--set-json", f"{name}={json.dumps(value)}")]
    return render(None, *told, release=release, namespace=namespace).of(kind)


def rules(settings: Settings | None = None, *, namespace: str = "live") -> dict[str, Any]:
    """What the chart's PrometheusRule holds, all alerts that there are of workers: a file of rules as Prometheus reads it."""
    all_of_them = {
        "monitoring.prometheusRule.enabled": True, "monitoring.prometheusRule.kubeStateMetrics": True, "operator.enabled": False,
    }  # fmt: skip
    [found] = rendered("PrometheusRule", {**all_of_them, **(settings or {})}, namespace=namespace)
    spec: dict[str, Any] = found["spec"]
    return spec


def alerts(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The alerts of ``rules()`` by name."""
    return {rule["alert"]: rule for group in spec["groups"] for rule in group["rules"]}


def trial(spec: Mapping[str, Any], series: Series, **expectations: Any) -> str:
    """Run the rules on the series with ``promtool test rules``; returns what it complains about, nothing if all is as expected.

    ``expectations``: ``alert_rule_test`` or ``promql_expr_test``, as promtool's own files have them.
    """
    with tempfile.TemporaryDirectory(prefix="kayan-test-") as folder:
        (Path(folder) / "rules.yaml").write_text(yaml.safe_dump(dict(spec)))
        given = [{"series": name, "values": values} for name, values in series.items()]
        test = {"interval": f"{STEP}s", "input_series": given, **expectations}
        file = Path(folder) / "test.yaml"
        file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": f"{STEP}s", "tests": [test]}, width=10_000))
        result = promtool("test", "rules", str(file))
    return "" if result.returncode == 0 else result.stdout + result.stderr


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an instant query answers now."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def series(self, selector: str) -> list[dict[str, str]]:
        """The labels of all series that a selector picks, by now or before."""
        found: list[dict[str, str]] = self.ask("series", **{"match[]": selector})
        return found

    def ask(self, page: str, **parameters: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/v1/{page}?{urllib.parse.urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]


@contextlib.contextmanager
def scraping(targets: Mapping[str, str], namespace: str, spec: Mapping[str, Any]) -> Iterator[Prometheus]:
    """A Prometheus with these rules that scrapes each ``pod: host:port`` every second, labelled as a PodMonitor would."""
    command = program("prometheus", "install Debian's package prometheus, or Prometheus itself")
    port = redis_process.free_port()
    with tempfile.TemporaryDirectory(prefix="kayan-prometheus-") as folder:
        here = Path(folder)
        (here / "rules.yaml").write_text(yaml.safe_dump(dict(spec)))
        static = [{"targets": [address], "labels": {"namespace": namespace, "pod": pod}} for pod, address in targets.items()]
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": f"{namespace}/workers", "static_configs": static}],
        }
        (here / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        told = {"config.file": here / "prometheus.yaml", "storage.tsdb.path": here / "data", "web.listen-address": f"127.0.0.1:{port}"}
        options = [f"--{name}={value}" for name, value in told.items()]
        process = subprocess.Popen([command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running = Prometheus(f"http://127.0.0.1:{port}")
        try:
            wait_until_ready(lambda: running.query("1"), 30, what="Prometheus")
            yield running
        finally:
            process.terminate()
            process.wait(20)
