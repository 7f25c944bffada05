"""The files of operator/interop, for those whose KEDA or prometheus-adapter scales already: they fit what the chart makes, and what their
rule makes of the operator's series, as Prometheus's own program works it out. ``tests/cluster/test_interop.py`` has them at work."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import yaml
from chart.prometheus import Series, trial
from chart.rendered import STORES, Object, merged, render
from servers import PROJECT

RELEASE, NAMESPACE, NAME = "kayan-workers", "live", "kayan-workers-thumbnail"
LEADER, STANDBY = "kayan-workers-operator-x0q4z", "kayan-workers-operator-x1q4z"
DESIRED, LAST_LOOK = "kayan_scaler_desired_replicas", "kayan_operator_last_look_timestamp_seconds"
MINUTES = 10


@cache
def advised() -> dict[tuple[str, str], Object]:
    """A release whose operator only says what it would do, by kind and name."""
    values = merged(STORES, {"operator": {"enabled": True, "mode": "advisory"}})
    return {(one["kind"], one["metadata"]["name"]): one for one in render(values, release=RELEASE, namespace=NAMESPACE).objects}


def recipe(file: str) -> list[Object]:
    return list(yaml.safe_load_all((PROJECT / "operator" / "interop" / file).read_text()))


# -- they fit the chart ----------------------------------------------------------------------------------------------------------


def test_keda_finds_the_operators_pods_and_the_port_where_they_say_numbers() -> None:
    service, scaled = recipe("keda.yaml")
    pod = advised()["Deployment", f"{RELEASE}-operator"]["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    [port] = service["spec"]["ports"]
    [container] = pod["spec"]["containers"]
    assert {"name": port["name"], "containerPort": port["targetPort"]} in container["ports"]
    asked = scaled["spec"]["triggers"][0]["metadata"]
    assert asked["url"] == f"http://{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{port['port']}/metrics"
    # of a Service with an address of its own the slices name the pods' ports, which may be others
    assert service["spec"]["clusterIP"] == "None"
    assert asked["valueLocation"] == f'{DESIRED}{{namespace="{NAMESPACE}",scaler="{NAME}"}}'


@pytest.mark.parametrize("scaled", [recipe("keda.yaml")[1]["spec"], recipe("prometheus-adapter-hpa.yaml")[0]["spec"]],
                         ids=["KEDA", "prometheus-adapter"])  # fmt: skip
def test_what_scales_names_a_worker_and_allows_it_as_many_pods_as_its_scaler(scaled: Object) -> None:
    scaler = advised()["QueueScaler", NAME]["spec"]
    assert scaled["scaleTargetRef"]["name"] == scaler["scaleTargetRef"]["name"] == NAME
    assert scaled.get("maxReplicaCount", scaled.get("maxReplicas")) >= scaler["maxReplicas"]
    assert ("Deployment", NAME) in advised()
    assert "replicas" not in advised()["Deployment", NAME]["spec"]


def test_nobody_waits_a_second_time_for_what_the_scaler_has_waited_for() -> None:
    keda = recipe("keda.yaml")[1]["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    for behavior in (keda, recipe("prometheus-adapter-hpa.yaml")[0]["spec"]["behavior"]):
        assert [behavior[direction]["stabilizationWindowSeconds"] for direction in ("scaleUp", "scaleDown")] == [0, 0]


# -- what Prometheus makes of it -------------------------------------------------------------------------------------------------


def series(metric: str, pod: str, **labels: str) -> str:
    found = {"job": "live/kayan-workers", "instance": f"{pod}:8080", "pod": pod, **labels}
    return metric + "{" + ", ".join(f'{name}="{value}"' for name, value in found.items()) + "}"


def pair(label: str, *, looks: str = f"0+30x{2 * MINUTES}", desired: str = f"7x{2 * MINUTES}") -> Series:
    """A leader and a standby. ``label`` is the one that has the scaler's namespace."""
    return {
        series(LAST_LOOK, LEADER): looks,
        series(LAST_LOOK, STANDBY): f"0x{2 * MINUTES}",
        series(DESIRED, LEADER, scaler=NAME, **{label: NAMESPACE}): desired,
        series(DESIRED, LEADER, scaler="kayan-workers-email", **{label: NAMESPACE}): f"3x{2 * MINUTES}",
        series(DESIRED, LEADER, scaler=NAME, **{label: "other"}): f"19x{2 * MINUTES}",
    }


def told(number: int, label: str, given: Series, *values: int) -> str:
    """What is wrong with the answer of rule ``number`` after ten minutes, which should be these values, when an HPA asks for it."""
    rule = recipe("prometheus-adapter-values.yaml")[0]["rules"]["external"][number]
    assert rule["resources"] == {"overrides": {label: {"resource": "namespace"}}}
    query = rule["metricsQuery"].replace("<<.Series>>", DESIRED).replace("<<.LabelMatchers>>", f'scaler="{NAME}",{label}="{NAMESPACE}"')
    samples: list[dict[str, Any]] = [{"labels": f'{{scaler="{NAME}"}}', "value": value} for value in values]
    return trial({"groups": []}, given, promql_expr_test=[{"expr": query, "eval_time": f"{MINUTES}m", "exp_samples": samples}])


LABELS = pytest.mark.parametrize(("number", "label"), [(0, "exported_namespace"), (1, "namespace")])


@LABELS
def test_an_hpa_is_told_the_number_of_its_scaler(number: int, label: str) -> None:
    assert told(number, label, pair(label), 7) == ""


@LABELS
def test_an_operator_that_looks_at_no_queue_any_more_has_no_number(number: int, label: str) -> None:
    hangs = "0 30 60 90 120" + f" 120x{2 * MINUTES - 4}"
    assert told(number, label, pair(label, looks=hangs)) == ""


@LABELS
def test_an_operator_that_is_gone_has_no_number(number: int, label: str) -> None:
    assert told(number, label, pair(label, desired="7x10 stale")) == ""


@LABELS
def test_a_number_of_zero_is_one(number: int, label: str) -> None:
    assert told(number, label, pair(label, desired=f"0x{2 * MINUTES}"), 0) == ""


@LABELS
def test_while_the_leaders_change_over_the_larger_number_counts(number: int, label: str) -> None:
    leads_too = {
        series(LAST_LOOK, STANDBY): f"0+30x{2 * MINUTES}",
        series(DESIRED, STANDBY, scaler=NAME, **{label: NAMESPACE}): f"9x{2 * MINUTES}",
    }
    assert told(number, label, pair(label) | leads_too, 9) == ""
