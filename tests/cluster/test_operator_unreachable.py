"""kube-apiserver cannot reach the operator's metrics API: an HPA would stand still for ever, so the operator writes the number itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from cluster import registration, timings
from cluster.jobs import Jobs
from cluster.kube import Object, until
from cluster.operator_process import OperatorProcess, operating
from cluster.registration import Turn
from cluster.scaling import Stage
from redis_process import RedisProcess, free_port
from servers import missing

SERVICE = "kayan-reached"
BY_KUBERNETES_SECONDS = 120
"""kube-apiserver tries every half a minute, and the operator looks at what it found; the minute of patience comes between."""
BY_HPA_SECONDS = 45


@pytest.fixture(scope="module")
def turn(cluster: None) -> Iterator[Turn]:
    with registration.taken() as turn:
        if (there := registration.found()) is not None:
            missing(f"the cluster's external metrics belong to {there['spec'].get('service')}")
        yield turn


class Reach:
    """Where kube-apiserver is sent for external metrics: to the operator, or to a port on which nobody listens."""

    def __init__(self, stage: Stage, port: int) -> None:
        self._stage, self._port = stage, port

    def cut(self) -> None:
        self._lead_to(free_port())

    def restore(self) -> None:
        self._lead_to(self._port)

    def _lead_to(self, port: int) -> None:
        patch = json.dumps({"ports": [{"name": "https", "port": port, "protocol": "TCP"}]})
        self._stage.namespace.kubectl("patch", "endpointslice", f"{SERVICE}-{self._port}", "--type=merge", "--patch", patch)


@pytest.fixture(scope="module")
def operator(stage: Stage, server: RedisProcess, turn: Turn) -> Iterator[OperatorProcess]:
    port = free_port()
    variables = {"KAYAN_OPERATOR_METRICS_API": "true", "KAYAN_OPERATOR_METRICS_PORT": str(port), "KAYAN_OPERATOR_NAME": SERVICE}
    registration.expose(stage.namespace, SERVICE, [port])
    try:
        with operating(stage.namespace.name, {"default": server}, **variables) as operator:
            registration.register(turn, stage.namespace, SERVICE)
            yield operator
    finally:
        registration.remove(f"{registration.LABEL}={turn.holder}")


def of_metrics(stage: Stage, name: str) -> Object:
    return stage.condition(name, "MetricsAvailable")


def test_an_hpa_that_gets_no_answer_is_given_up_and_had_again_when_it_would(
    stage: Stage, server: RedisProcess, operator: OperatorProcess, turn: Turn
) -> None:
    jobs = Jobs(server)
    reach = Reach(stage, int(operator.environment["KAYAN_OPERATOR_METRICS_PORT"]))
    stage.put_phantoms("reached", mode="hpa")
    until(lambda: of_metrics(stage, "reached").get("status") == "True", BY_KUBERNETES_SECONDS, what="the API is available",
          trouble=operator.said)
    jobs.deserve("reached", 2)
    stage.until_replicas("reached", 2)
    jobs.deserve("reached", 4)
    stage.until_replicas("reached", 4, BY_HPA_SECONDS)

    begun = time.monotonic()
    reach.cut()
    until(lambda: of_metrics(stage, "reached").get("reason") == "Unavailable", BY_KUBERNETES_SECONDS, what="Kubernetes has noticed",
          trouble=operator.said)
    assert stage.namespace.get("hpa"), "for a minute it may come back"
    until(lambda: of_metrics(stage, "reached").get("reason") == "Unreachable", BY_KUBERNETES_SECONDS, what="the HPA is given up",
          trouble=operator.said)
    timings.note("metrics API out of reach → the operator writes the number itself", time.monotonic() - begun)
    until(lambda: not stage.namespace.get("hpa"), 10, what="the HPA is gone")
    assert stage.status("reached")["mode"] == "direct"
    assert stage.replicas("reached") == 4
    jobs.deserve("reached", 7)
    stage.until_replicas("reached", 7, 10)
    jobs.deserve("reached", 3)
    stage.until_replicas("reached", 3, 20)
    turn.renew()

    reach.restore()
    until(lambda: of_metrics(stage, "reached").get("status") == "True", BY_KUBERNETES_SECONDS, what="the API is relied on again",
          trouble=operator.said)
    until(lambda: stage.namespace.get("hpa"), 10, what="there is an HPA again")
    stage.stays("reached", 3, 5)
    jobs.deserve("reached", 5)
    stage.until_replicas("reached", 5, BY_HPA_SECONDS)
    assert [line["mode"] for line in operator.events("scale.changed") if line["after"] in (7, 3)] == ["direct", "direct"]
    assert "MetricsAvailable" in {one["type"] for one in stage.status("reached")["conditions"]}
