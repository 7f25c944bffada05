"""Where KEDA or prometheus-adapter scale already: with the files of operator/interop they bring a Deployment to the number that our
operator decides on, and leave it as it is while nobody knows one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.prometheus import scraping
from cluster import registration, timings
from cluster.jobs import Jobs
from cluster.keda import FOLDER, asked, keda, until_ready
from cluster.kube import Object, until
from cluster.operator_process import OperatorProcess
from cluster.prometheus_adapter import prometheus_adapter
from cluster.scaling import PHANTOMS, Stage, deployment, scaler
from redis_process import RedisProcess, free_port
from servers import PROJECT, missing

RECIPES = PROJECT / "operator" / "interop"
NAME, QUEUE = "kayan-workers-thumbnail", "thumbnail-generation"
SERVICE = "kayan-workers-desired"
FOLLOWS_SECONDS = 150
"""An HPA looks every fifteen seconds and asks a chain of others; where many look at once, it takes two or three times as long."""
AWHILE_SECONDS = 35
"""Enough for two looks of an HPA, and several of KEDA."""
METRIC = "kayan_scaler_desired_replicas"


class Operators:
    """Two replicas, each at an address of its own and the same port: as the pods of a Deployment are found."""

    def __init__(self, stage: Stage, server: RedisProcess) -> None:
        self.port = free_port()
        self.both = [
            OperatorProcess(stage.namespace.name, {"default": server}, identity=f"operator-{number}", HEALTH_HOST=address,
                            HEALTH_PORT=str(self.port))
            for number, address in enumerate(two_addresses())
        ]  # fmt: skip

    def start(self) -> Operators:
        for one in self.both:
            if one.process is None or one.process.poll() is not None:
                one.start()
        until(lambda: len(self.leaders) == 1, 40, what="one of them leads", trouble=lambda: "\n".join(one.said() for one in self.both))
        return self

    @property
    def leaders(self) -> list[OperatorProcess]:
        return [one for one in self.both if one.leads]

    def stop(self) -> None:
        for one in self.both:
            if one.process and one.process.poll() is None:
                one.stop()

    def slices(self) -> list[Object]:
        """Where they are, as Kubernetes would write it of pods that the Service selects."""
        return [{
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{SERVICE}-test", "labels": {"kubernetes.io/service-name": SERVICE}},
            "ports": [{"name": "health", "port": self.port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [one.host], "conditions": {"ready": True}} for one in self.both],
        }]  # fmt: skip


def two_addresses() -> list[str]:
    """Of this machine, neither of them its loopback: Kubernetes takes no such endpoints."""
    found = subprocess.run(["hostname", "-I"], capture_output=True, text=True, timeout=10, check=True).stdout.split()
    addresses = [address for address in found if "." in address]
    return addresses[:2] if len(addresses) > 1 else missing(f"two replicas need two IPv4 addresses of this machine, which has {addresses}")


def recipe(file: str, stage: Stage, port: int = 0) -> list[Object]:
    """The objects of a file that users apply, after what they must change: the namespace; and where our operator is no pod, its port."""
    text = re.sub(r"(namespace: |\.|namespace=\")live\b", rf"\g<1>{stage.namespace.name}", (RECIPES / file).read_text())
    return list(yaml.safe_load_all(re.sub(r"\b8080\b", str(port), text) if port else text))


@pytest.fixture(scope="module")
def stage(answering: None) -> Iterator[Stage]:
    with Stage.made() as stage:
        yield stage


@pytest.fixture(scope="module")
def operators(stage: Stage, server: RedisProcess) -> Iterator[Operators]:
    operators = Operators(stage, server)
    try:
        yield operators.start()
    finally:
        operators.stop()


@pytest.fixture
def advised(stage: Stage, jobs: Jobs, operators: Operators) -> Iterator[None]:
    """A Deployment without pods, and a scaler that only says how many there should be."""
    jobs.wait(QUEUE, 0)
    operators.start()
    stage.apply(deployment(NAME, 0, **PHANTOMS), scaler(NAME, QUEUE, mode="advisory"))
    stage.until_seen(NAME)
    yield
    stage.namespace.kubectl("delete", "queuescaler,deployment", NAME)


@pytest.fixture
def scaled_by_keda(stage: Stage, advised: None, operators: Operators) -> Iterator[Path]:
    if not os.environ.get(FOLDER):
        missing(f"{FOLDER} names no folder with KEDA in it: tests/README.md says how to compile it")
    with registration.taken() as turn, keda(stage.namespace, turn) as said:
        stage.apply(*recipe("keda.yaml", stage, operators.port), *operators.slices())
        until_ready(stage.namespace, NAME, said)
        yield said


@pytest.fixture
def scaled_by_prometheus(stage: Stage, advised: None, operators: Operators) -> Iterator[None]:
    """The HPA is there, and sees one pod."""
    targets = {f"operator-{number}": f"{one.host}:{one.port}" for number, one in enumerate(operators.both)}
    [values] = recipe("prometheus-adapter-values.yaml", stage)
    with contextlib.ExitStack() as stack:
        prometheus = stack.enter_context(scraping(targets, stage.namespace.name, {"groups": []}))
        turn = stack.enter_context(registration.taken())
        stack.enter_context(prometheus_adapter(stage.namespace, turn, prometheus.url, values))
        stage.namespace.kubectl("scale", "deployment", NAME, "--replicas=1")
        [hpa] = recipe("prometheus-adapter-hpa.yaml", stage)
        stage.apply(hpa)
        yield
        stage.namespace.kubectl("delete", "hpa", hpa["metadata"]["name"])


def follows(stage: Stage, jobs: Jobs, pods: int) -> None:
    """Jobs for so many pods: our operator says so, and the number becomes that."""
    jobs.deserve(QUEUE, pods)
    took = stage.until_replicas(NAME, pods, FOLLOWS_SECONDS)
    assert stage.status(NAME)["desiredReplicas"] == pods
    timings.note(f"somebody else's scaler brings a Deployment to {pods} pods", took)


def says_it_is_ready(stage: Stage) -> None:
    """Nothing is wrong with a scaler in mode advisory because somebody else does what it says."""
    ready = stage.condition(NAME, "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Scaling")
    assert "ForeignAutoscaler" not in stage.told(NAME)


def reason_of_hpa(stage: Stage) -> dict[str, Any]:
    """The HPA's condition ScalingActive."""
    [hpa] = stage.namespace.get("hpa")
    return next((one for one in hpa["status"].get("conditions", ()) if one["type"] == "ScalingActive"), {})


# -- what KEDA asks for, without KEDA --------------------------------------------------------------------------------------------


def test_keda_is_told_the_number_by_whichever_replica_leads_and_none_when_nobody_does(
    stage: Stage, jobs: Jobs, operators: Operators, advised: None
) -> None:
    service, scaled = recipe("keda.yaml", stage, operators.port)
    [trigger] = scaled["spec"]["triggers"]
    stage.apply(service, *operators.slices())

    def told(wanted: float | None) -> None:
        until(lambda: asked(stage.namespace, trigger["metadata"]) == wanted, 30, what=f"KEDA would be told {wanted}")

    told(0)
    jobs.deserve(QUEUE, 4)
    told(4)
    [leader] = operators.leaders
    [standby] = [one for one in operators.both if one is not leader]
    leader.stop()
    until(lambda: standby.leads, 30, what="the other one leads", trouble=standby.said)
    told(4)
    jobs.deserve(QUEUE, 7)
    told(7)
    operators.stop()
    told(None)


def test_keda_is_told_none_of_a_scaler_whose_spec_is_wrong(stage: Stage, jobs: Jobs, operators: Operators, advised: None) -> None:
    service, scaled = recipe("keda.yaml", stage, operators.port)
    [trigger] = scaled["spec"]["triggers"]
    stage.apply(service, *operators.slices())
    until(lambda: asked(stage.namespace, trigger["metadata"]) == 0, 30, what="KEDA would be told a number")
    stage.set_spec(NAME, queues=[{"name": QUEUE, "redis": "nobody-knows"}])
    until(lambda: asked(stage.namespace, trigger["metadata"]) is None, 30, what="KEDA would be told none")


# -- KEDA ------------------------------------------------------------------------------------------------------------------------


def test_keda_follows_the_number_from_0_up_and_down_and_to_0_again(stage: Stage, jobs: Jobs, scaled_by_keda: Path) -> None:
    for pods in (7, 9, 3, 0, 1):
        follows(stage, jobs, pods)
    says_it_is_ready(stage)


def test_keda_follows_whichever_replica_of_the_operator_leads(
    stage: Stage, jobs: Jobs, operators: Operators, scaled_by_keda: Path
) -> None:
    follows(stage, jobs, 4)
    [leader] = operators.leaders
    [standby] = [one for one in operators.both if one is not leader]
    assert METRIC + "{" not in (standby.page("/metrics") or "")
    leader.stop()
    until(lambda: standby.leads, 30, what="the other one leads", trouble=standby.said)
    follows(stage, jobs, 9)


def test_keda_leaves_the_number_as_it_is_while_no_operator_says_one(
    stage: Stage, jobs: Jobs, operators: Operators, scaled_by_keda: Path
) -> None:
    follows(stage, jobs, 5)
    operators.stop()
    jobs.wait(QUEUE, 0)

    def trouble() -> bool:
        [found] = stage.namespace.get("scaledobject", NAME)
        return any((one["type"], one["status"]) == ("Ready", "False") for one in found["status"]["conditions"])

    until(trouble, 30, what="KEDA says that its trigger does not work")
    stage.stays(NAME, 5, AWHILE_SECONDS)
    operators.start()
    stage.until_replicas(NAME, 0, FOLLOWS_SECONDS)


# -- prometheus-adapter ----------------------------------------------------------------------------------------------------------


def test_an_hpa_follows_the_number_that_prometheus_adapter_tells(stage: Stage, jobs: Jobs, scaled_by_prometheus: None) -> None:
    for pods in (6, 9, 2):
        follows(stage, jobs, pods)
    jobs.wait(QUEUE, 0)
    stage.until_replicas(NAME, 1, FOLLOWS_SECONDS)
    says_it_is_ready(stage)


def test_an_hpa_leaves_the_number_as_it_is_while_prometheus_has_no_number_of_an_operator_at_work(
    stage: Stage, jobs: Jobs, operators: Operators, scaled_by_prometheus: None
) -> None:
    follows(stage, jobs, 5)
    operators.stop()
    jobs.wait(QUEUE, 0)
    until(lambda: reason_of_hpa(stage).get("status") == "False", 60, what="the HPA has no number",
          trouble=lambda: json.dumps(reason_of_hpa(stage)))
    assert reason_of_hpa(stage)["reason"] == "FailedGetExternalMetric"
    stage.stays(NAME, 5, AWHILE_SECONDS)
    operators.start()
    stage.until_replicas(NAME, 1, FOLLOWS_SECONDS)
