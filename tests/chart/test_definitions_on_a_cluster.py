"""A real API server takes what is right, fills in what was left out, and refuses what is wrong with a sentence."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from chart.clusters import kubernetes_with_our_kinds
from chart.definitions import CRDS, FULL, LEAST, nodes, resource, schema, with_defaults
from chart.rendered import Object
from cluster.kube import Namespace
from kayan_operator.decision.spec import SpecError, read_budget, read_scaler

pytestmark = pytest.mark.timeout(300)


class Wrong(NamedTuple):
    """Something that nobody can have meant, and what the API server says to it."""

    change: Object
    """What is laid over the shortest QueueScaler, or the whole spec of a FleetBudget."""
    field: str
    sentence: str
    kind: str = "QueueScaler"


DURATION = "should match '^([0-9]+(\\.[0-9]+)?(ms|s|m|h|d))+$'"
CLOCK = "should match '^([01][0-9]|2[0-3]):[0-5][0-9]$'"
ORDER = "minReplicas is more than maxReplicas. Lower the one or raise the other."
WINDOW: Object = {"name": "office", "minReplicas": 3, "start": "08:00", "end": "18:00"}
MANY = [{"name": f"queue-{number}"} for number in range(33)]
TOO_LONG = "that is more than 30 days. Write a shorter time."
NO_TIME = "that is no time at all. Write a time above zero, such as 30s."
NO_DEADLINE = "that is no time at all. Write a time above zero, such as 2h, or a time of day, such as 06:00."

WRONG = [
    Wrong({"minReplicas": 5, "maxReplicas": 4}, "spec.minReplicas", ORDER),
    Wrong({"minReplicas": 11}, "spec.minReplicas", ORDER),
    Wrong({"minReplicas": -1}, "spec.minReplicas", "should be greater than or equal to 0"),
    Wrong({"maxReplicas": 0}, "spec.maxReplicas", "should be greater than or equal to 1"),
    Wrong({"maxReplicas": 10_001}, "spec.maxReplicas", "should be less than or equal to 10000"),
    Wrong({"maxReplicas": "many"}, "spec.maxReplicas", "must be of type integer"),
    Wrong({"queues": []}, "spec.queues", "should have at least 1 items"),
    Wrong({"queues": MANY}, "spec.queues", "must have at most 32 items"),
    Wrong({"queues": [{"name": ""}]}, "spec.queues[0].name", "should be at least 1 chars long"),
    Wrong({"queues": [{"weight": 1}]}, "spec.queues[0].name", "Required value"),
    Wrong({"queues": [{"name": "a", "weight": 0}]}, "spec.queues[0].weight", "should be greater than 0"),
    Wrong({"queues": [{"name": "a", "concurrency": 0}]}, "spec.queues[0].concurrency", "should be greater than or equal to 1"),
    Wrong({"queues": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}, "spec.queues", "a queue stands here twice. Leave one of them out."),
    Wrong({"queues": [{"name": "a", "redis": "default"}, {"name": "a"}]}, "spec.queues", "a queue stands here twice."),
    Wrong({"queues": [{"name": "a", "prefix": "b"}] * 2}, "spec.queues", "a queue stands here twice."),
    Wrong({"scaleTargetRef": {}}, "spec.scaleTargetRef.name", "Required value"),
    Wrong({"scaleTargetRef": {"name": "x", "kind": "StatefulSet"}}, "spec.scaleTargetRef.kind", 'supported values: "Deployment"'),
    Wrong({"scaleTargetRef": {"name": "x", "apiVersion": "v1"}}, "spec.scaleTargetRef.apiVersion", 'supported values: "apps/v1"'),
    Wrong({"mode": "magic"}, "spec.mode", 'supported values: "direct", "hpa", "advisory"'),
    Wrong({"paused": "yes"}, "spec.paused", "must be of type boolean"),
    Wrong({"target": {}}, "spec.target", "a target has one of jobsPerReplica, maxWait and drainBy. Set just one."),
    Wrong({"target": {"jobsPerReplica": 1, "maxWait": "1s"}}, "spec.target", "a target has one of"),
    Wrong({"target": {"jobsPerReplica": 1, "maxWait": "1s", "drainBy": "1h"}}, "spec.target", "a target has one of"),
    Wrong({"target": {"jobsPerReplica": 0}}, "spec.target.jobsPerReplica", "should be greater than 0"),
    Wrong({"target": {"maxWait": "soon"}}, "spec.target.maxWait", DURATION),
    Wrong({"target": {"maxWait": "0s0ms"}}, "spec.target.maxWait", NO_TIME),
    Wrong({"target": {"maxWait": "721h"}}, "spec.target.maxWait", TOO_LONG),
    Wrong({"target": {"drainBy": "25:00"}}, "spec.target.drainBy", "should match"),
    Wrong({"target": {"drainBy": "0.0h"}}, "spec.target.drainBy", NO_DEADLINE),
    Wrong({"target": {"drainBy": "31d"}}, "spec.target.drainBy", TOO_LONG),
    Wrong({"target": {"drainBy": "06:00 Mars/X"}}, "spec.target.drainBy",
          "unknown time zone Mars/X evaluating rule: write a time zone such as Europe/Berlin behind the time of day, or none for UTC."),
    Wrong({"lookAhead": "later"}, "spec.lookAhead", "should match"),
    Wrong({"lookAhead": "29d24h1ms"}, "spec.lookAhead", TOO_LONG),
    Wrong({"cooldown": "2 minutes"}, "spec.cooldown", DURATION),
    Wrong({"cooldown": "31d"}, "spec.cooldown", TOO_LONG),
    Wrong({"scaleUp": {"period": "0s"}}, "spec.scaleUp.period", NO_TIME),
    Wrong({"scaleUp": {"period": "43201m"}}, "spec.scaleUp.period", TOO_LONG),
    Wrong({"scaleUp": {"stabilization": "1w"}}, "spec.scaleUp.stabilization", DURATION),
    Wrong({"scaleUp": {"stabilization": "30d1ms"}}, "spec.scaleUp.stabilization", TOO_LONG),
    Wrong({"scaleUp": {"stabilization": "auto"}}, "spec.scaleUp.stabilization", DURATION),
    Wrong({"scaleUp": {"pods": 0}}, "spec.scaleUp.pods", "should be greater than or equal to 1"),
    Wrong({"scaleUp": {"percent": 0}}, "spec.scaleUp.percent", "should be greater than 0"),
    Wrong({"scaleDown": {"period": "0ms"}}, "spec.scaleDown.period", NO_TIME),
    Wrong({"scaleDown": {"stabilization": "soon"}}, "spec.scaleDown.stabilization", "should match"),
    Wrong({"scaleDown": {"stabilization": "2592001s"}}, "spec.scaleDown.stabilization", TOO_LONG),
    Wrong({"scaleDown": {"pods": 0}}, "spec.scaleDown.pods", "should be greater than or equal to 1"),
    Wrong({"scaleDown": {"percent": 10_001}}, "spec.scaleDown.percent", "should be less than or equal to 10000"),
    Wrong({"scaleDown": {"busy": "kill"}}, "spec.scaleDown.busy", 'supported values: "wait", "drain"'),
    Wrong({"schedule": [WINDOW | {"minReplicas": 11}]}, "spec.schedule",
          "the minReplicas of a window is more than maxReplicas. Lower the one or raise the other."),
    Wrong({"schedule": [WINDOW | {"start": "8:00"}]}, "spec.schedule[0].start", CLOCK),
    Wrong({"schedule": [WINDOW | {"end": "24:00"}]}, "spec.schedule[0].end", CLOCK),
    Wrong({"schedule": [WINDOW | {"days": ["Monday"]}]}, "spec.schedule[0].days[0]", 'supported values: "Mon", "Tue"'),
    Wrong({"schedule": [WINDOW | {"timeZone": "Berlin"}]}, "spec.schedule[0].timeZone",
          "unknown time zone Berlin evaluating rule: write a time zone such as Europe/Berlin."),
    Wrong({"schedule": [{"name": "office"}]}, "spec.schedule[0].minReplicas", "Required value"),
    Wrong({"failure": {"errorPercent": 101}}, "spec.failure.errorPercent", "should be less than or equal to 100"),
    Wrong({"failure": {"window": "2000h"}}, "spec.failure.window", TOO_LONG),
    Wrong({"failure": {"minJobs": 0}}, "spec.failure.minJobs", "should be greater than or equal to 1"),
    Wrong({"failure": {"brokenPods": "hold"}}, "spec.failure.brokenPods", 'supported values: "Hold", "Ignore"'),
    Wrong({"fallback": {}}, "spec.fallback.replicas", "Required value"),
    Wrong({"fallback": {"replicas": 1, "after": "99d"}}, "spec.fallback.after", TOO_LONG),
    Wrong({"disruptionProtection": {"after": "1"}}, "spec.disruptionProtection.after", DURATION),
    Wrong({"disruptionProtection": {"after": "9999999s"}}, "spec.disruptionProtection.after", TOO_LONG),
    Wrong({"budgetRef": {}}, "spec.budgetRef.name", "Required value"),
    Wrong({"priority": 1_000_001}, "spec.priority", "should be less than or equal to 1000000"),
    Wrong({}, "spec", "a FleetBudget has one of maxReplicas and cpu. Set just one.", "FleetBudget"),
    Wrong({"maxReplicas": 1, "cpu": 1}, "spec", "a FleetBudget has one of maxReplicas and cpu. Set just one.", "FleetBudget"),
    Wrong({"maxReplicas": -1}, "spec.maxReplicas", "should be greater than or equal to 0", "FleetBudget"),
    Wrong({"cpu": "lots"}, "spec.cpu", "should match '^[0-9]+(\\.[0-9]+)?m?$'", "FleetBudget"),
    Wrong({"cpu": -1}, "spec.cpu", "should be greater than or equal to 0", "FleetBudget"),
]  # fmt: skip


def spec_of(wrong: Wrong) -> Object:
    return wrong.change if wrong.kind == "FleetBudget" else LEAST | wrong.change


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    kubernetes_with_our_kinds()
    with Namespace.made("kayan-chart") as namespace:
        yield namespace


def created(namespace: Namespace, found: Object) -> tuple[Object, str]:
    """What the API server would make of it, and what it says against it."""
    command = ["kubectl", "--namespace", namespace.name, "create", "--dry-run=server", "--output", "json", "--filename", "-"]
    done = subprocess.run(command, input=json.dumps(found), capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout or "{}"), done.stderr


@pytest.mark.parametrize("wrong", WRONG, ids=[f"{wrong.field} {number}" for number, wrong in enumerate(WRONG)])
def test_what_is_wrong_is_refused_with_a_sentence_that_names_the_field(namespace: Namespace, wrong: Wrong) -> None:
    made, said = created(namespace, resource(spec_of(wrong), wrong.kind))

    assert made == {}
    assert f"{wrong.field}:" in said
    assert wrong.sentence in said


@pytest.mark.parametrize("wrong", WRONG, ids=[f"{wrong.field} {number}" for number, wrong in enumerate(WRONG)])
def test_the_operator_would_refuse_it_as_well(wrong: Wrong) -> None:
    """For whoever has an older definition in the cluster, or a file."""
    with pytest.raises(SpecError):
        (read_budget if wrong.kind == "FleetBudget" else read_scaler)(spec_of(wrong))


def test_every_rule_and_limit_of_the_definitions_is_tried_above() -> None:
    heard = " ".join(wrong.sentence for wrong in WRONG) + BAD_NAME
    tried = {(wrong.kind, re.sub(r"\[\d+\]", ".*", wrong.field).removeprefix("spec.")) for wrong in WRONG}
    for kind, crd in CRDS.items():
        for message in re.findall(r'"message": "([^"]*)"', json.dumps(crd)):
            assert message in heard, message
        for path, node in nodes(schema(kind)):
            if {"pattern", "enum", "minimum", "maximum", "minItems", "maxItems", "x-kubernetes-validations"} & node.keys():
                assert (kind, ".".join(path)) in tried or not path


BAD_NAME = "the name has more than 63 characters, and is a label's value as well. Choose a shorter one."


def test_a_name_is_short_enough_for_a_label(namespace: Namespace) -> None:
    assert created(namespace, resource(LEAST, name="n" * 63))[1] == ""
    assert BAD_NAME in created(namespace, resource(LEAST, name="n" * 64))[1]


@pytest.mark.parametrize(("kind", "spec"), [
    ("QueueScaler", LEAST), ("QueueScaler", FULL), ("QueueScaler", LEAST | {"target": {"maxWait": "1ms"}}),
    ("QueueScaler", LEAST | {"target": {"drainBy": "23:59"}}), ("QueueScaler", LEAST | {"target": {"drainBy": "1d12h"}}),
    ("QueueScaler", LEAST | {"queues": MANY[:32], "lookAhead": "0s", "scaleDown": {"stabilization": "30d"}}),
    ("FleetBudget", {"maxReplicas": 0}), ("FleetBudget", {"cpu": "1500m"}), ("FleetBudget", {"cpu": 4}),
])  # fmt: skip
def test_what_is_right_is_taken_with_its_defaults_and_read_as_it_was_written(namespace: Namespace, kind: str, spec: Object) -> None:
    made, said = created(namespace, resource(spec, kind))

    assert said == ""
    assert made["spec"] == with_defaults(schema(kind), spec)
    if kind == "QueueScaler":
        assert read_scaler(made["spec"]) == read_scaler(spec)
    else:
        assert read_budget(made["spec"]) == read_budget(spec)


def test_a_misspelled_field_is_refused_by_kubectl(namespace: Namespace) -> None:
    assert 'unknown field "spec.minReplica"' in created(namespace, resource(LEAST | {"minReplica": 1}))[1]


def test_mode_and_target_may_change(namespace: Namespace) -> None:
    namespace.apply(resource(LEAST, name="changing"))
    for change in ({"mode": "direct"}, {"scaleTargetRef": {"name": "another"}}, {"target": {"maxWait": "1m"}}, {"mode": "hpa"}):
        namespace.kubectl("patch", "qs", "changing", "--type=merge", "--patch", json.dumps({"spec": change_of(change)}))
    [found] = namespace.get("qs", "changing")
    assert (found["spec"]["mode"], found["spec"]["scaleTargetRef"]["name"]) == ("hpa", "another")
    assert found["metadata"]["generation"] == 5


def change_of(change: Object) -> Object:
    """A merge patch that takes the other targets away."""
    return change | {"target": {"jobsPerReplica": None} | change["target"]} if "target" in change else change


CONDITION: Object = {
    "type": "Ready", "status": "True", "observedGeneration": 1, "lastTransitionTime": "2026-11-30T08:00:00Z", "reason": "Scaling",
    "message": "All is well.",
}  # fmt: skip
STATUS: Object = {
    "observedGeneration": 1, "mode": "direct", "backlog": 41, "waiting": 30, "active": 10, "due": 1, "oldestWaitingSeconds": 2.5,
    "replicas": 4, "readyReplicas": 3, "desiredReplicas": 5, "publishedReplicas": 5, "reason": "Backlog",
    "message": "41 jobs deserve 5 pods", "lastScaleTime": "2026-11-30T08:00:00Z", "lastWorkTime": "2026-11-30T08:00:00Z",
    "conditions": [CONDITION],
}  # fmt: skip
SHARED: Object = {
    "observedGeneration": 1, "used": 2.5, "wanted": 7, "scalers": 2, "shares": [{"name": "a", "replicas": 2}, {"name": "b", "replicas": 0}],
    "conditions": [CONDITION],
}  # fmt: skip


def columns(said: str) -> Any:
    heading, *rows = (re.split(r"\s{2,}", line.strip()) for line in said.splitlines())
    return [dict(zip(heading, row, strict=True)) for row in rows]


def test_a_list_says_how_each_stands_at_a_glance(namespace: Namespace) -> None:
    namespace.apply(
        resource(LEAST, name="listed"), resource({"maxReplicas": 30}, "FleetBudget", "pods"),
        resource({"cpu": "20"}, "FleetBudget", "cpus"), resource({"cpu": 8}, "FleetBudget", "whole"),
    )  # fmt: skip
    for kind, name, status in (("qs", "listed", STATUS), ("fb", "pods", SHARED), ("fb", "cpus", SHARED), ("fb", "whole", SHARED)):
        namespace.kubectl("patch", kind, name, "--subresource=status", "--type=merge", "--patch", json.dumps({"status": status}))
        assert namespace.get(kind, name)[0]["status"] == status

    [row] = columns(namespace.kubectl("get", "qs", "listed"))
    assert row == {"NAME": "listed", "TARGET": "kayan-workers-thumbnail", "MODE": "direct", "BACKLOG": "41", "DESIRED": "5", "READY": "3",
                   "REASON": "Backlog", "AGE": row["AGE"]}  # fmt: skip
    [wide] = columns(namespace.kubectl("get", "qs", "listed", "--output", "wide"))
    assert wide.items() - row.items() == {("MIN", "0"), ("MAX", "10"), ("REPLICAS", "4"), ("MESSAGE", "41 jobs deserve 5 pods"),
                                          ("AGE", wide["AGE"])} - row.items()  # fmt: skip
    rows = {row["NAME"]: row for row in columns(namespace.kubectl("get", "fb"))}
    assert {name: row["CAP"] for name, row in rows.items()} == {"pods": "30", "cpus": "20", "whole": "8"}
    assert {(row["USED"], row["WANTED"], row["SCALERS"]) for row in rows.values()} == {("2.5", "7", "2")}
    everything = namespace.kubectl("get", "kayan", "--output", "name").split()
    assert {"queuescaler.workers.kayanlive.com/listed", "fleetbudget.workers.kayanlive.com/cpus"} <= set(everything)


def test_the_status_is_no_part_of_what_is_written_and_the_spec_no_part_of_the_status(namespace: Namespace) -> None:
    namespace.apply(resource(LEAST, name="apart", status=STATUS))
    assert "status" not in namespace.get("qs", "apart")[0]

    both = json.dumps({"status": {"backlog": 1}, "spec": {"maxReplicas": 99}})
    namespace.kubectl("patch", "qs", "apart", "--subresource=status", "--type=merge", "--patch", both)
    [found] = namespace.get("qs", "apart")
    assert (found["status"], found["spec"]["maxReplicas"], found["metadata"]["generation"]) == ({"backlog": 1}, 10, 1)


def test_kubectl_explains_every_field(namespace: Namespace) -> None:
    said = " ".join(namespace.kubectl("explain", "queuescaler.spec.target.maxWait", "--api-version=workers.kayanlive.com/v1alpha1").split())
    assert "no job waits longer than that before it is begun" in said
