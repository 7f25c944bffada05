"""The chart with its operator, as a platform engineer installs it: real pods follow real queues, through the real HPA controller too."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from boxes import VERSION
from cluster import load, registration, timings
from cluster.kube import CommandError, Namespace, Object, run, until
from cluster.release import Release, only
from cluster.scaling import Stage, deployment, install_definitions, scaler
from kayan_operator.cluster.hpa import METRIC
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from slow_worker import PROCESSOR

EMAIL = "email"
BRISK = {"cooldown": "5s", "scaleDown": {"stabilization": "2s"}}
SCALE_INS = 200

# It hears first of all, as `kayan` does: a container's first process is sent in vain what it does not listen to.
START = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
from kayan_workers.processors.table import Role
from kayan_workers.settings import Settings
from kayan_workers.worker import run_worker

ROLE = Role(name="slow", queue=os.environ["QUEUE"], family="maintenance", label="Slow", concurrency=2, module="slow_processor", spread=True)
sys.exit(run_worker([ROLE], Settings.from_environment(roles=[ROLE])))
"""


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
            "commonLabels": turn.label, "demo": {"seed": False, "maxReplicas": 5}, "workerDefaults": {"scaling": BRISK},
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


def published(release: Release, name: str) -> str:
    """The external metric of a scaler, as an HPA is told it; empty where it is not told."""
    path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{release.namespace.name}/{METRIC}?labelSelector=queuescaler%3D{name}"
    try:
        items = json.loads(run("kubectl", "get", "--raw", path))["items"]
    except CommandError:
        return ""
    return str(items[0]["value"]) if items else ""


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
    assert published(release, "many") == "15"
    redis.rpush("bull:many:wait", *range(5))
    stage.until_replicas("many", 16, 45)
    hpa = the_hpa(release, "many")
    assert hpa["status"]["desiredReplicas"] == 16, "it is the HPA that has made the step"
    redis.ltrim("bull:many:wait", 0, 135)
    stage.until_replicas("many", 15, 60)  # 136 jobs deserve 14, and a tenth more would still find room in 15
    redis.delete("bull:many:wait")
    stage.until_replicas("many", 0, 60)


# -- without harm ----------------------------------------------------------------------------------------------------------------


class Watcher(threading.Thread):
    """Sees each pod of some Deployments go, and looks at once whether it has a job."""

    def __init__(self, namespace: Namespace, redis: Redis, queues: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._namespace, self._redis, self._queues = namespace, redis, queues
        self.gone: dict[str, int] = {}
        """Pod -> jobs under its name in the moment in which it was told to go."""
        self._process = subprocess.Popen(
            ["kubectl", "--namespace", namespace.name, "get", "pods", "--selector", f"app in ({','.join(queues)})", "--watch", "--output",
             "jsonpath={.metadata.name} {.metadata.labels.app} {.metadata.deletionTimestamp}{\"\\n\"}"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            name, app, *deleted = line.split()
            if deleted and name not in self.gone:
                self.gone[name] = self._jobs_of(name, self._queues[app])

    def stop(self) -> None:
        self._process.kill()

    def _jobs_of(self, pod: str, queue: str) -> int:
        ids: Any = self._redis.lrange(f"bull:{queue}:active", 0, -1)
        locks: Any = self._redis.mget([f"bull:{queue}:{job}:lock" for job in ids]) if ids else []
        return sum(1 for lock in locks if lock and lock.startswith(f"{pod}/"))


def slow_worker(release: Release, name: str, mode: str) -> list[Object]:
    """A Deployment whose pods run jobs of a queue of its own for as long as the jobs say, and its scaler."""
    url = f"redis://:{release.password()}@{release.name}-demo-redis:6379/0"
    made = deployment(name, image=f"kayanlive/workers-maintenance:{VERSION}", command=["python", "/scripts/start.py"])
    pod = made["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = 60
    pod["volumes"] = [{"name": "scripts", "configMap": {"name": name}}, {"name": "tmp", "emptyDir": {}}]
    [container] = pod["containers"]
    environment = {"QUEUE": name, "REDIS_URL": url, "PYTHONPATH": "/scripts", "KAYAN_GRACE_SECONDS": "45"}
    container["env"] = [{"name": key, "value": value} for key, value in environment.items()]
    container["env"].append({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
    container["volumeMounts"] = [{"name": "scripts", "mountPath": "/scripts"}, {"name": "tmp", "mountPath": "/tmp"}]
    container["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1, "timeoutSeconds": 10}
    scripts = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
               "data": {"start.py": START, "slow_processor.py": PROCESSOR}}  # fmt: skip
    follows = scaler(name, mode=mode, maxReplicas=12, scaleDown={"stabilization": "1s"}, cooldown="3s")
    follows["spec"]["target"] = {"jobsPerReplica": 2}
    return [scripts, made, follows]


@pytest.mark.timeout(1800)
async def test_scale_ins_under_load_interrupt_no_job(release: Release, stage: Stage, redis: Redis) -> None:
    """Long jobs and short ones in waves, on a Deployment in mode hpa and on one in mode direct."""
    queues = {"slow-hpa": "slow-hpa", "slow-direct": "slow-direct"}
    for name, mode in (("slow-hpa", "hpa"), ("slow-direct", "direct")):
        stage.apply(*slow_worker(release, name, mode))
    stage.until_seen(*queues)
    watcher = Watcher(release.namespace, redis, queues)
    watcher.start()
    ids: dict[str, list[str]] = {name: [] for name in queues}
    began = time.monotonic()
    async with load.producer(release, *queues) as bull:
        while len(watcher.gone) < SCALE_INS and time.monotonic() - began < 1500:
            for name in queues:
                jobs = [{"seconds": seconds} for seconds in (15.0, 8.0, 4.0, *([0.3, 1.5] * 10))]
                ids[name] += await load.add_many(bull, name, jobs)
            ends = time.monotonic() + 40
            until(lambda ends=ends: time.monotonic() > ends or max(map(stage.replicas, queues)) <= 2, 60, what="the wave is over", every=1)
        until(lambda: not any(load.not_completed(redis, name, ids[name]) for name in queues), 120, what="all jobs are done")
    for name in queues:
        stage.until_replicas(name, 0, 120)
    watcher.stop()
    timings.note(f"{len(watcher.gone)} pods scaled in under load", time.monotonic() - began)
    assert len(watcher.gone) >= SCALE_INS
    assert {pod: jobs for pod, jobs in watcher.gone.items() if jobs} == {}
    assert metric(release, "kayan_jobs_interrupted_by_scaling_total") == 0
    for name in queues:
        assert load.stalled(redis, name, ids[name]) == []
        again = [job for job in ids[name] if int(redis.hget(f"bull:{name}:{job}", "attemptsMade") or 0) > 1]  # type: ignore[arg-type]
        assert again == []


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


def test_operators_that_are_all_gone_and_come_back_change_no_number_and_go_on_where_they_were(
    release: Release, stage: Stage, redis: Redis
) -> None:
    redis.rpush("bull:many:wait", *range(50))
    redis.publish("bull:many:waiting@test", "1")
    stage.until_replicas("many", 5, 30)
    release.namespace.kubectl("delete", "pods", "--selector=app.kubernetes.io/component=operator", "--grace-period=0", "--force")
    began = time.monotonic()

    def back() -> bool:
        assert stage.replicas("many") == 5
        return published(release, "many") == "5"

    until(back, 60, what="the number is published again", trouble=release.trouble)
    timings.note("all operators killed → the number is published again", time.monotonic() - began)
    redis.rpush("bull:many:wait", *range(50))
    stage.until_replicas("many", 10, 60)
    redis.delete("bull:many:wait")
    stage.until_replicas("many", 0, 60)


def test_a_redis_that_is_away_for_a_minute_leaves_the_numbers_of_hpa_controllers_as_they_are(
    release: Release, stage: Stage, redis: Redis
) -> None:
    """The last test of this module: whoever was connected to Redis is not any more."""
    redis.rpush("bull:many:wait", *range(50))
    redis.publish("bull:many:waiting@test", "1")
    stage.until_replicas("many", 5, 30)
    until(lambda: the_hpa(release, "many")["status"].get("desiredReplicas") == 5, 60, what="the HPA has followed")
    release.namespace.kubectl("scale", f"deployment/{release.name}-demo-redis", "--replicas=0")
    until(lambda: not release.namespace.pod_names("demo-redis"), 60, what="Redis is away")
    until(lambda: stage.condition("many", "QueuesReadable").get("status") == "False", 10, what="it is said")
    stage.stays("many", 5, 60)
    assert the_hpa(release, "many")["status"]["desiredReplicas"] == 5
    release.namespace.kubectl("scale", f"deployment/{release.name}-demo-redis", "--replicas=1")
    release.wait_ready()
    with release.redis() as empty:
        until(lambda: stage.condition("many", "QueuesReadable").get("status") == "True", 30, what="it is read again")
        stage.until_replicas("many", 0, 60)
        empty.rpush("bull:many:wait", *range(30))
        stage.until_replicas("many", 3, 20)
