"""The chart with its operator, as a platform engineer installs it: real pods follow real queues, through the real HPA controller too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from cluster import load, registration, timings
from cluster.kube import Namespace, Object, run, until
from cluster.release import Release, only
from cluster.scaling import Stage, deployment, install_definitions, scaler
from kayan_operator.hpa import METRIC
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

EMAIL = "email"
BRISK = {"cooldown": "5s", "scaleDown": {"stabilization": "2s"}}


@pytest.fixture(scope="module")
def release(cluster: None, bull_installed: None) -> Iterator[Release]:
    """The demo with two real workers and its operator, in mode hpa, the default."""
    with ExitStack() as stack:
        turn = stack.enter_context(registration.taken())
        install_definitions()
        namespace = stack.enter_context(Namespace.made())
        release = Release(namespace)
        values = {
            "operator": {"enabled": True, "extraTargets": ["slow-hpa", "slow-direct", "many"]},
            "commonLabels": turn.label, "demo": {"seed": False}, "workerDefaults": {"scaling": BRISK},
        }  # fmt: skip
        release.install(only("email", "cleanup"), values, wait=False)
        until(lambda: release.namespace.get("deployment", f"{release.name}-operator")[0].get("status", {}).get("readyReplicas") == 2, 120,
              what="both operators are ready", trouble=release.trouble)
        release.wait_ready()
        yield release
        release.uninstall()
        assert registration.found() is None, "the APIService goes with the release"


@pytest.fixture(scope="module")
def stage(release: Release) -> Stage:
    return Stage(release.namespace)


@pytest.fixture(scope="module")
def redis(release: Release) -> Iterator[Redis]:
    with release.redis() as client:
        yield client


def metric(release: Release, name: str, **labels: str) -> float:
    """Summed over both operators."""
    total = 0.0
    for pod in release.namespace.pod_names("operator"):
        page = run("kubectl", "get", "--raw", f"/api/v1/namespaces/{release.namespace.name}/pods/{pod}:8080/proxy/metrics")
        for family in text_string_to_metric_families(page):
            total += sum(one.value for one in family.samples if one.name == name and labels.items() <= one.labels.items())
    return total


def the_hpa(release: Release, target: str) -> Object:
    return release.namespace.get("hpa", target)[0]


# -- from zero, and back ---------------------------------------------------------------------------------------------------------


async def test_the_first_job_of_an_idle_fleet_has_its_pod_at_once_and_none_is_left_when_all_is_done(
    release: Release, stage: Stage, redis: Redis
) -> None:
    worker = f"{release.name}-email"
    stage.until_replicas(worker, 0, 60)
    assert stage.status(worker)["mode"] == "hpa"
    async with load.producer(release, EMAIL) as bull:
        began = time.monotonic()
        [job] = await load.add_many(bull, EMAIL, load.mails(1))
        until(lambda: redis.hget(f"bull:{EMAIL}:{job}", "finishedOn"), 30, what="the mail is sent", every=0.05)
        timings.note("job added at 0 pods → done, scaling and pod start included", time.monotonic() - began)
        assert stage.replicas(worker) == 1
        stage.until_replicas(worker, 0, 60)
        jobs = await load.add_many(bull, EMAIL, load.mails(160))
        stage.until_replicas(worker, 4, 10)
        until(lambda: not load.not_completed(redis, EMAIL, jobs), 60, what="all mails are sent")
    stage.until_replicas(worker, 0, 90)


async def test_delayed_jobs_have_a_pod_when_they_are_due_though_there_was_none(
    release: Release, stage: Stage, redis: Redis
) -> None:
    worker = f"{release.name}-email"
    stage.until_replicas(worker, 0, 60)
    async with load.producer(release, EMAIL) as bull:
        due = time.time() + 5
        jobs = [{"data": mail, "opts": {"delay": 5000, "attempts": 3}} for mail in load.mails(50)]
        ids = [str(job["id"]) for job in await bull.call(EMAIL, "addBulk", jobs)]
        stage.until_replicas(worker, 1, 10)
        assert time.time() < due, "the pod is asked for before the jobs are due"
        until(lambda: not load.not_completed(redis, EMAIL, ids), 60, what="the delayed mails are sent")
    late = [int(redis.hget(f"bull:{EMAIL}:{job}", "processedOn") or 0) / 1000 - due for job in ids]  # type: ignore[arg-type]
    timings.note("50 jobs delayed by 5 s at 0 pods → the last starts after it is due", max(0.0, *late))


def test_the_hpa_controller_follows_the_number_and_even_a_step_that_its_tolerance_would_ignore(
    release: Release, stage: Stage, redis: Redis
) -> None:
    stage.apply(deployment("many", 0), scaler("many", mode="hpa", maxReplicas=30, scaleDown={"stabilization": "1s"}))
    stage.until_seen("many")
    redis.rpush("bull:many:wait", *range(150))
    redis.publish("bull:many:waiting@test", "1")
    stage.until_replicas("many", 15, 10)
    until(lambda: stage.ready("many") == 15, 90, what="15 pods are there", trouble=release.trouble)
    value = json.loads(run("kubectl", "get", "--raw", f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{release.namespace.name}/{METRIC}"
                                                      "?labelSelector=queuescaler%3Dmany"))
    assert [item["value"] for item in value["items"]] == ["15"]
    redis.rpush("bull:many:wait", *range(5))
    stage.until_replicas("many", 16, 45)
    hpa = the_hpa(release, "many")
    assert hpa["status"]["desiredReplicas"] == 16, "it is the HPA that has made the step"
    redis.ltrim("bull:many:wait", 0, 135)
    stage.until_replicas("many", 15, 60)  # 136 jobs deserve 14, and a tenth more would still find room in 15
    redis.delete("bull:many:wait")
    stage.until_replicas("many", 0, 60)


# -- the operator itself ---------------------------------------------------------------------------------------------------------


def test_a_leader_that_dies_is_followed_within_fifteen_seconds_and_external_metrics_are_answered_all_the_time(
    release: Release, stage: Stage, redis: Redis
) -> None:
    def leader() -> str:
        lease = release.namespace.get("lease", f"{release.name}-operator")[0]
        return str(lease["spec"].get("holderIdentity", ""))

    before = leader()
    stage.until_replicas("many", 0, 60)
    release.namespace.kubectl("delete", "pod", before, "--grace-period=0", "--force")
    began = time.monotonic()
    redis.rpush("bull:many:wait", *range(30))
    took = stage.until_replicas("many", 3, 30)
    timings.note("leader killed → a new one has scaled", took)
    assert took < 15
    assert leader() != before
    while time.monotonic() - began < 10:
        found = registration.found()
        assert found
        available = next(one for one in found["status"]["conditions"] if one["type"] == "Available")
        assert available["status"] == "True", available
        time.sleep(1)
    redis.delete("bull:many:wait")
