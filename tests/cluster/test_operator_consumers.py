"""Pods that are ready and wait at another Redis: the operator says so, and changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from cluster.kube import until
from cluster.operator_process import OperatorProcess, operating
from cluster.scaling import Stage
from kayan_operator.queues.consumers import EVERY_SECONDS
from kayan_operator.scaling.attendance import _PATIENCE_SECONDS
from kayan_workers.bull.keys import Keys
from redis import Redis
from redis_process import RedisProcess


@pytest.fixture(scope="module")
def operator(stage: Stage, server: RedisProcess) -> Iterator[OperatorProcess]:
    with operating(stage.namespace.name, {"default": server}) as operator:
        yield operator


def gauges(operator: OperatorProcess, name: str) -> dict[str, float]:
    lines = [line for line in (operator.page("/metrics") or "").splitlines() if line.startswith("kayan_scaler_consumers{")]
    return {line.partition('kind="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines if f'scaler="{name}"' in line}


def test_ready_pods_that_wait_for_no_jobs_of_this_redis_are_told_of(stage: Stage, server: RedisProcess, operator: OperatorProcess) -> None:
    stage.put("lost", 2, minReplicas=2)
    stage.put("found", 1, minReplicas=1)
    until(lambda: stage.ready("lost") == 2 and stage.ready("found") == 1, 90, what="the pods are ready")
    [pod] = [one["metadata"]["name"] for one in stage.namespace.get("pods", "--selector", "app=found")]
    with Redis(port=server.port, client_name=Keys("found").client_name_of(pod)) as worker:
        worker.ping()
        until(lambda: gauges(operator, "found") == {"pod": 1, "node": 0}, 2 * EVERY_SECONDS, what="the pod is counted",
              trouble=operator.said)
        until(lambda: stage.condition("found", "Consuming").get("status") == "True", 15, what="the pod is found to consume")
        assert gauges(operator, "lost") == {"pod": 0, "node": 0}
        until(lambda: stage.condition("lost", "Consuming").get("reason") == "NotConnected", _PATIENCE_SECONDS + 2 * EVERY_SECONDS,
              what="the others are missed", trouble=operator.said)
        assert "2 pods are ready" in stage.condition("lost", "Consuming")["message"]
        assert "NotConnected" in stage.told("lost")
        assert stage.condition("lost", "Ready")["status"] == "True"
        assert (stage.replicas("lost"), stage.replicas("found")) == (2, 1), "it is said, and nothing is done"

        def why() -> str:
            command = [sys.executable, "-m", "kayan_workers", "why", "found"]
            return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"REDIS_URL": server.url}).stdout

        until(lambda: "1 pod waits for jobs of its queues" in why(), 70, what="`kayan why` says so", every=2)
