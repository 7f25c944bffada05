"""What can be in the way of scaling: it is named in the status, nothing is written meanwhile, and once it is gone all goes on by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from boxes import VERSION
from cluster.jobs import Jobs
from cluster.kube import Object, until
from cluster.operator_process import OperatorProcess, operating
from cluster.scaling import PHANTOMS, Stage, deployment, scaler
from kayan_operator.cluster.fleet import SCALING
from redis_process import RedisProcess

TROUBLES: dict[str, dict[str, Any]] = {
    "crashing": {"command": ["python", "-c", "raise SystemExit(1)"]},
    "imageless": {"image": f"localhost:1/kayanlive/nothing:{VERSION}"},
    "placeless": {"nodeSelector": {"kayan.test/node": "none"}},
}


@pytest.fixture(scope="module", autouse=True)
def operator(stage: Stage, server: RedisProcess) -> Iterator[OperatorProcess]:
    with operating(stage.namespace.name, {"default": server}) as operator:
        yield operator


@pytest.fixture(scope="module", autouse=True)
def troubled(stage: Stage, jobs: Jobs, operator: OperatorProcess) -> float:
    """Deployments whose pods do not come up, with jobs for twice as many: Kubernetes takes its time with them, while other tests run.
    Returns when it began."""
    for name, trouble in TROUBLES.items():
        stage.apply(deployment(name, **trouble), scaler(name, scaleUp={"pods": 2, "period": "30s"}))
    stage.until_seen(*TROUBLES)
    for name in TROUBLES:
        jobs.deserve(name, 4)
    return time.monotonic()


def until_not_ready(stage: Stage, name: str, reason: str) -> str:
    """Wait until its condition Ready says why it is not; returns the message."""
    until(lambda: stage.condition(name, "Ready").get("reason") == reason, 15, what=f"{name} says {reason}",
          trouble=lambda: json.dumps(stage.status(name)))
    found = stage.condition(name, "Ready")
    assert found["status"] == "False"
    return str(found["message"])


def until_ready(stage: Stage, name: str) -> None:
    until(lambda: stage.condition(name, "Ready").get("status") == "True", 15, what=f"{name} is seen to",
          trouble=lambda: json.dumps(stage.status(name)))


def until_limited(stage: Stage, name: str, reason: str, timeout: float = 15) -> str:
    until(lambda: stage.condition(name, "ScalingLimited").get("reason") == reason, timeout, what=f"{name} is limited by {reason}",
          trouble=lambda: json.dumps(stage.status(name)))
    return str(stage.condition(name, "ScalingLimited")["message"])


def set_template(stage: Stage, name: str, **changed: object) -> None:
    """Change the template of a Deployment, and nothing else of it."""
    [container] = deployment(name)["spec"]["template"]["spec"]["containers"]
    patch = {"spec": {"template": {"spec": {"containers": [container], **changed}}}}
    stage.namespace.kubectl("patch", "deployment", name, "--type=strategic", "--patch", json.dumps(patch))


def autoscaler(target: str, **metadata: object) -> Object:
    return {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": f"{target}-hpa", **metadata},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}, "minReplicas": 1, "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
        },
    }  # fmt: skip


# -- nobody to scale, or somebody else who does -----------------------------------------------------------------------------------


def test_a_target_that_does_not_exist_is_named_and_scaled_as_soon_as_it_does(stage: Stage, jobs: Jobs) -> None:
    jobs.deserve("missing", 3)
    stage.apply(scaler("missing"))
    assert f"no Deployment missing in namespace {stage.namespace.name}" in until_not_ready(stage, "missing", "TargetNotFound")
    stage.apply(deployment("missing", **PHANTOMS))
    stage.until_replicas("missing", 3, 5)
    until_ready(stage, "missing")
    stage.namespace.kubectl("delete", "deployment", "missing")
    until_not_ready(stage, "missing", "TargetNotFound")


def test_of_two_scalers_of_one_deployment_the_older_goes_on_and_the_other_takes_over_when_it_is_deleted(stage: Stage, jobs: Jobs) -> None:
    stage.apply(deployment("shared", **PHANTOMS), scaler("zz-older", "one", target="shared"))
    stage.until_seen("zz-older")
    created = stage.namespace.get("queuescaler", "zz-older")[0]["metadata"]["creationTimestamp"]
    until(lambda: datetime.now(UTC) > datetime.fromisoformat(created) + timedelta(seconds=1), 5, what="another second begins")
    stage.apply(scaler("younger", "two", target="shared"))
    assert "scaled by QueueScaler zz-older already" in until_not_ready(stage, "younger", "TargetTaken")
    jobs.deserve("two", 7)
    jobs.deserve("one", 2)
    stage.until_replicas("shared", 2)
    stage.stays("shared", 2, 3)
    until_ready(stage, "zz-older")
    stage.namespace.kubectl("delete", "queuescaler", "zz-older")
    stage.until_replicas("shared", 7)
    until_ready(stage, "younger")


@pytest.mark.parametrize(("name", "owners", "named"), [
    ("foreign", [], "HorizontalPodAutoscaler foreign-hpa scales Deployment foreign as well"),
    # of a kind that the cluster does not know: it would look for the owner, and delete what has none
    ("keda", [{"apiVersion": "scalers.example.com/v1", "kind": "ScaledObject", "name": "email", "controller": True,
               "uid": "4c1d4a5e-0000-4000-8000-000000000001"}],
     "HorizontalPodAutoscaler keda-hpa of ScaledObject email scales Deployment keda as well"),
])  # fmt: skip
def test_where_somebody_elses_autoscaler_is_nothing_is_written(
    stage: Stage, jobs: Jobs, name: str, owners: list[Object], named: str
) -> None:
    stage.apply(autoscaler(name, ownerReferences=owners))
    stage.put_phantoms(name)
    jobs.deserve(name, 5)
    message = until_not_ready(stage, name, "ForeignAutoscaler")
    assert message.startswith(named)
    assert "set spec.mode to advisory" in message
    stage.stays(name, 0, 3)
    stage.set_spec(name, mode="advisory")
    until(lambda: stage.status(name).get("desiredReplicas") == 5, 15, what="in mode advisory it says what it would do")
    until_ready(stage, name)
    stage.stays(name, 0, 3)
    stage.set_spec(name, mode="direct")
    until_not_ready(stage, name, "ForeignAutoscaler")
    stage.namespace.kubectl("delete", "hpa", f"{name}-hpa")
    stage.until_replicas(name, 5, 10)


def test_a_deployment_that_is_switched_off_keeps_the_number_that_came_with_it(stage: Stage, jobs: Jobs) -> None:
    stage.put_phantoms("off")
    jobs.deserve("off", 4)
    stage.until_replicas("off", 4)
    switch = {"metadata": {"annotations": {SCALING: "off"}}, "spec": {"replicas": 7}}
    stage.namespace.kubectl("patch", "deployment", "off", "--patch", json.dumps(switch))
    message = until_not_ready(stage, "off", "SwitchedOff")
    assert "annotation workers.kayanlive.com/scaling: off" in message
    jobs.deserve("off", 0)
    stage.stays("off", 7, 4)
    stage.namespace.kubectl("annotate", "deployment", "off", f"{SCALING}-")
    stage.until_replicas("off", 0, 20)
    until_ready(stage, "off")


def test_a_redis_that_the_operator_does_not_know_is_named_beside_those_it_does(stage: Stage, jobs: Jobs) -> None:
    jobs.deserve("unknown", 2)
    stage.put_phantoms("unknown", redis="elsewhere")
    message = until_not_ready(stage, "unknown", "UnknownRedis")
    assert "Redis server elsewhere, but the operator knows only default" in message
    stage.stays("unknown", 0, 3)
    stage.set_spec("unknown", queues=[{"name": "unknown"}])
    stage.until_replicas("unknown", 2)
    until_ready(stage, "unknown")


# -- growth that would not help ---------------------------------------------------------------------------------------------------


def test_jobs_that_fail_hold_the_number_and_one_pod_stays_to_see_them_recover(stage: Stage, jobs: Jobs) -> None:
    stage.put_phantoms("failing", failure={"window": "10s"})
    stage.until_seen("failing")
    stage.stays("failing", 0, 11)  # an operator judges a window that it has seen whole
    jobs.fail("failing", 25)
    jobs.deserve("failing", 6)
    stage.until_replicas("failing", 1)
    assert "25 of 25 jobs failed within 10 s" in until_limited(stage, "failing", "FailedJobs")
    jobs.fail("failing", 0)
    stage.until_replicas("failing", 6)


# -- what people decide -----------------------------------------------------------------------------------------------------------


def test_a_paused_scaler_leaves_the_number_alone_whoever_changes_it(stage: Stage, jobs: Jobs) -> None:
    stage.put_phantoms("paused", replicas=2, paused=True)
    jobs.deserve("paused", 5)
    until(lambda: stage.condition("paused", "Ready").get("reason") == "Paused", 15, what="it says that it is paused")
    stage.stays("paused", 2, 3)
    stage.namespace.kubectl("scale", "deployment", "paused", "--replicas=3")
    stage.stays("paused", 3, 4)
    stage.set_spec("paused", paused=False)
    stage.until_replicas("paused", 5)


def test_the_mode_may_be_changed_to_and_fro(stage: Stage, jobs: Jobs) -> None:
    stage.put_phantoms("modes")
    jobs.deserve("modes", 2)
    stage.until_replicas("modes", 2)
    stage.set_spec("modes", mode="advisory")
    stage.until_seen("modes")
    jobs.deserve("modes", 4)
    until(lambda: stage.status("modes")["desiredReplicas"] == 4, 15, what="it says what it would do")
    stage.stays("modes", 2, 3)
    stage.namespace.kubectl("scale", "deployment", "modes", "--replicas=6")
    stage.stays("modes", 6, 4)
    assert stage.status("modes")["mode"] == "advisory"
    stage.set_spec("modes", mode="direct")
    stage.until_replicas("modes", 4)


def test_what_somebody_scales_by_hand_is_corrected_in_both_directions(stage: Stage, jobs: Jobs) -> None:
    stage.put_phantoms("corrected")
    jobs.deserve("corrected", 4)
    stage.until_replicas("corrected", 4)
    for number in (7, 1, 0):
        stage.namespace.kubectl("scale", "deployment", "corrected", f"--replicas={number}")
        stage.until_replicas("corrected", 4)


def test_a_lower_maximum_takes_effect_at_once(stage: Stage, jobs: Jobs) -> None:
    stage.put_phantoms("capped")
    jobs.deserve("capped", 8)
    stage.until_replicas("capped", 8)
    stage.set_spec("capped", maxReplicas=3)
    stage.until_replicas("capped", 3)
    assert "never more than 3 pods" in until_limited(stage, "capped", "MaxReplicas")


def test_a_window_of_the_schedule_is_a_floor_for_as_long_as_it_is_open(stage: Stage) -> None:
    def clock(minutes: int) -> str:
        return (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%H:%M")

    window = {"name": "rush", "minReplicas": 3, "start": clock(-2), "end": clock(10)}
    stage.put_phantoms("hours", schedule=[window])
    stage.until_replicas("hours", 3)
    assert stage.status("hours")["reason"] == "Schedule"
    stage.set_spec("hours", schedule=[window | {"start": clock(-10), "end": clock(-2)}])
    stage.until_replicas("hours", 0)


def test_during_a_rollout_nobody_is_ended_until_it_is_over(stage: Stage, jobs: Jobs) -> None:
    stage.put("rolling", replicas=3)
    jobs.deserve("rolling", 3)
    until(lambda: stage.ready("rolling") == 3, 60, what="three pods are ready")
    stage.namespace.kubectl("set", "image", "deployment/rolling", f"idler=localhost:1/kayanlive/nothing:{VERSION}")
    until(lambda: stage.namespace.get("deployment", "rolling")[0]["status"].get("updatedReplicas") == 1, 15, what="a rollout is under way")
    jobs.deserve("rolling", 1)
    until(lambda: "a rollout is under way" in stage.status("rolling")["message"], 20, what="it says what it waits for",
          trouble=lambda: json.dumps(stage.status("rolling")))
    stage.stays("rolling", 3, 4)
    assert stage.ready("rolling") == 3
    set_template(stage, "rolling")
    stage.until_replicas("rolling", 1, 60)


def test_pods_that_do_not_come_up_hold_the_number_until_they_do(
    stage: Stage, jobs: Jobs, operator: OperatorProcess, troubled: float
) -> None:
    for name, said in (("crashing", "CrashLoopBackOff"), ("imageless", "ImagePull"), ("placeless", "Unschedulable")):
        message = until_limited(stage, name, "BrokenPods", 45)
        assert said in message
        assert "and more pods would not help: stay at 2 pods" in message
    # another two were due after half a minute; and a pod that crashes runs for a moment once in a while
    stage.holds(lambda: True, 60 - (time.monotonic() - troubled), what="a minute is over", name="crashing")
    changes = [(line["scaler"], line["after"]) for line in operator.events("scale.changed") if line["scaler"] in TROUBLES]
    assert sorted(changes) == [(name, 2) for name in sorted(TROUBLES)]
    for name in TROUBLES:
        stage.set_spec(name, scaleUp=None)
        set_template(stage, name, nodeSelector=None)
    for name in TROUBLES:
        stage.until_replicas(name, 4, 60)
    for name in TROUBLES:
        until(lambda name=name: stage.condition(name, "ScalingLimited")["status"] == "False", 15, what=f"nothing limits {name}")
        jobs.wait(name, 0)
    for name in TROUBLES:
        stage.until_replicas(name, 0, 30)
