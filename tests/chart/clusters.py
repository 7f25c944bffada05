"""The real cluster that KUBECONFIG names, for tests that only ask it something."""

from __future__ import annotations

import os
import shutil
import subprocess

import servers
from chart.rendered import CHART
from cluster.kube import run, until

SERVED = "/openapi/v3/apis/workers.kayanlive.com/v1alpha1"


def kubernetes() -> None:
    """Skips the test, or fails it in CI, unless a cluster answers."""
    if not shutil.which("kubectl") or not os.environ.get("KUBECONFIG"):
        servers.missing("no cluster: install kubectl and set KUBECONFIG")
    answer = subprocess.run(["kubectl", "version"], capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode:
        servers.missing(f"the cluster of KUBECONFIG does not answer: {answer.stderr.strip()[-300:]}")


def kubernetes_with_our_kinds() -> None:
    """The same, and it knows the chart's own resources, which stay there as they do after `helm uninstall`."""
    kubernetes()
    run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", str(CHART / "crds"))
    run("kubectl", "wait", "--for", "condition=Established", "--filename", str(CHART / "crds"))
    kinds = ("QueueScaler", "FleetBudget")
    until(lambda: all(kind in run("kubectl", "get", "--raw", SERVED, check=False) for kind in kinds), 30, what="they are served")
