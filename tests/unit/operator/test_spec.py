"""A spec is read whole, and what is wrong with it is named."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from kayan_operator.decision.policy import DrainBy, Failure, Fallback, JobsPerReplica, MaxWait, Pace, Policy, Protection, Queue, Window
from kayan_operator.decision.spec import SpecError, read_budget, read_scaler, target_of

LEAST = {"scaleTargetRef": {"name": "kayan-workers-thumbnail"}, "queues": [{"name": "thumbnail-generation"}]}


def test_a_scaler_needs_a_target_and_a_queue_and_the_rest_has_defaults() -> None:
    assert read_scaler(LEAST) == Policy(queues=(Queue(name="thumbnail-generation"),), target=JobsPerReplica(10))
    assert target_of(LEAST) == "kayan-workers-thumbnail"


def test_everything_can_be_said() -> None:
    spec = LEAST | {
        "queues": [{"name": "a", "weight": 0.5, "concurrency": 3, "redis": "eu", "prefix": "{bull}"}],
        "minReplicas": 1, "maxReplicas": 40, "mode": "direct", "paused": True, "target": {"drainBy": "06:30 Europe/Berlin"},
        "lookAhead": "1m30s", "cooldown": "10m", "scaleUp": {"pods": 4, "percent": 50, "stabilization": "500ms", "period": "1m"},
        "scaleDown": {"stabilization": "5m", "busy": "drain"},
        "failure": {"errorPercent": 0, "window": "1h", "minJobs": 5, "brokenPods": "Ignore"},
        "schedule": [{"name": "office", "minReplicas": 3, "start": "08:00", "end": "18:00", "timeZone": "Asia/Dubai",
                      "days": ["Mon", "Sun"]}],
        "fallback": {"replicas": 2, "after": "2m"}, "disruptionProtection": {"enabled": False, "after": "1s"},
        "budgetRef": {"name": "fleet"}, "priority": 7,
    }
    assert read_scaler(spec) == Policy(
        queues=(Queue(name="a", weight=0.5, concurrency=3, redis="eu", prefix="{bull}"),),
        target=DrainBy(minute_of_day=390, zone=ZoneInfo("Europe/Berlin")), min_replicas=1, max_replicas=40, mode="direct", paused=True,
        look_ahead=90, cooldown=600, scale_up=Pace(stabilization=0.5, pods=4, percent=50, period=60),
        scale_down=Pace(stabilization=300), busy="drain",
        schedule=(Window(name="office", replicas=3, start=480, end=1080, zone=ZoneInfo("Asia/Dubai"), days=frozenset([0, 6])),),
        failure=Failure(error_percent=None, window=3600, min_jobs=5, broken_pods=False), fallback=Fallback(replicas=2, after=120),
        protection=Protection(enabled=False, after=1), budget="fleet", priority=7,
    )


def test_what_is_auto_is_left_to_measurements() -> None:
    assert read_scaler(LEAST | {"lookAhead": "auto", "scaleDown": {"stabilization": "auto"}}) == read_scaler(LEAST)
    assert (read_scaler(LEAST).look_ahead, read_scaler(LEAST).scale_down.stabilization) == (None, None)


@pytest.mark.parametrize(("target", "expected"), [
    ({"jobsPerReplica": 2.5}, JobsPerReplica(2.5)),
    ({"maxWait": "30s"}, MaxWait(30)),
    ({"drainBy": "45m"}, DrainBy(seconds=2700)),
    ({"drainBy": "23:59"}, DrainBy(minute_of_day=1439)),
])
def test_targets(target: dict[str, Any], expected: object) -> None:
    assert read_scaler(LEAST | {"target": target}).target == expected


@pytest.mark.parametrize(("change", "complaint"), [
    ({"queues": []}, "spec.queues"),
    ({"queues": [{"name": "a"}, {"name": "a"}]}, "spec.queues names a queue twice"),
    ({"queues": [{"nome": "a"}]}, "spec.queues[0]: object contains unknown field `nome`"),
    ({"minReplicas": 5, "maxReplicas": 4}, "spec.minReplicas is 5, more than spec.maxReplicas, 4"),
    ({"maxReplicas": 0}, "spec.maxReplicas"),
    ({"maxReplicas": "many"}, "spec.maxReplicas: expected `int`, got `str`"),
    ({"minReplica": 1}, "unknown field `minReplica`"),
    ({"mode": "magic"}, "spec.mode"),
    ({"target": {}}, "spec.target has one of jobsPerReplica, maxWait and drainBy"),
    ({"target": {"jobsPerReplica": 1, "maxWait": "1s"}}, "spec.target has one of"),
    ({"target": {"jobsPerReplica": 0}}, "spec.target.jobsPerReplica"),
    ({"target": {"maxWait": "soon"}}, "spec.target.maxWait"),
    ({"target": {"maxWait": "0s"}}, "spec.target.maxWait is 0s: write a time above zero"),
    ({"target": {"drainBy": "25:00"}}, "spec.target.drainBy"),
    ({"target": {"drainBy": "06:00 Mars/Olympus"}}, "spec.target.drainBy: there is no time zone 'Mars/Olympus'"),
    ({"lookAhead": "40d"}, "spec.lookAhead is 40d, more than 30 days"),
    ({"scaleUp": {"stabilization": "auto"}}, "spec.scaleUp.stabilization"),
    ({"scaleDown": {"stabilization": "soon"}}, "spec.scaleDown.stabilization"),
    ({"scaleDown": {"stabilization": "31d"}}, "spec.scaleDown.stabilization is 31d, more than 30 days"),
    ({"scaleUp": {"period": "0s"}}, "spec.scaleUp.period is 0s"),
    ({"schedule": [{"name": "x", "minReplicas": 11, "start": "08:00", "end": "09:00"}]}, "spec.schedule[0].minReplicas is 11"),
    ({"schedule": [{"name": "x", "minReplicas": 1, "start": "08:00", "end": "09:00", "timeZone": ""}]}, "no time zone"),
    ({"scaleTargetRef": {"name": "x", "kind": "StatefulSet"}}, "spec.scaleTargetRef.kind"),
])
def test_what_is_wrong_is_named(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SpecError) as error:
        read_scaler(LEAST | change)
    assert complaint in str(error.value)


def test_a_budget_caps_replicas_or_cpus() -> None:
    assert read_budget({"maxReplicas": 30}) == (30, "replicas")
    assert read_budget({"cpu": "1500m"}) == (1.5, "cpu")
    assert read_budget({"cpu": 4}) == (4, "cpu")
    for nonsense in ({}, {"maxReplicas": 1, "cpu": 1}, {"cpu": "lots"}, {"maxReplicas": -1}):
        with pytest.raises(SpecError):
            read_budget(nonsense)
