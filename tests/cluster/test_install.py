"""``helm install kayan-workers charts/`` on an empty cluster, and everything that a person then types."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxes import VERSION
from chart.rendered import UNSCALED
from cluster import registration, timings
from cluster.kube import Namespace, restarts, until
from cluster.release import WORKERS, Release, counted, wait_finished
from cluster.scaling import KIND, Stage, install_definitions
from wire.peer import NodePeer


@pytest.fixture(scope="module")
def release(cluster: None) -> Iterator[Release]:
    """Installed with no value but a label, the demo's work being done."""
    with Namespace.made() as namespace, registration.taken() as turn:
        install_definitions()
        began = time.monotonic()
        release = Release(namespace).install({"commonLabels": turn.label})
        timings.note("helm install → all pods ready", time.monotonic() - began)
        with release.redis() as redis:
            until(lambda: sum(counted(redis, "completed").values()) > 0, 90, what="the first job is done", trouble=release.trouble)
            timings.note("helm install → first job done", time.monotonic() - began)
            until(lambda: namespace.get("jobs")[0].get("status", {}).get("succeeded"), 120, what="the demo's work is queued")
            wait_finished(redis, 180)
            timings.note("helm install → all of the demo's jobs done", time.monotonic() - began)
        yield release


def test_with_no_values_every_queue_processes_real_jobs_and_what_came_out_is_right(release: Release) -> None:
    with release.redis() as redis:
        assert all(counted(redis, "completed").values()), counted(redis, "completed")
    assert "as it should be" in release.kayan("asset", "demo", "verify")


def test_no_pod_has_crashed_on_the_way(release: Release) -> None:
    assert {pod["metadata"]["name"]: restarts(pod) for pod in release.namespace.get("pods") if restarts(pod)} == {}


def test_the_notes_and_each_workers_first_line_say_that_the_stores_are_for_trying_out(release: Release) -> None:
    assert "FOR TRYING OUT" in release.notes
    first = {name: release.logged(name)[0] for name in WORKERS}
    assert {name: event["event"] for name, event in first.items()} == dict.fromkeys(WORKERS, "worker.notice")
    assert all("may lose everything" in event["message"] for event in first.values())
    assert "may lose everything" in release.namespace.logs(f"job/{release.namespace.get('jobs')[0]['metadata']['name']}").splitlines()[0]


def test_the_health_table_is_logged_once_for_the_whole_fleet(release: Release) -> None:
    def tables() -> int:
        return sum(event["event"] == "queues.health" for name in WORKERS for event in release.logged(name))

    until(lambda: tables() > 0, 60, what="the health table")
    assert tables() <= 2, "one when the fleet started; a second when the test took more than five minutes"


def test_the_operator_sees_to_every_worker_and_the_hpa_controller_follows_it(release: Release) -> None:
    stage = Stage(release.namespace)
    for worker in (f"{release.name}-{name}" for name in WORKERS):
        until(lambda worker=worker: stage.condition(worker, "Ready").get("status") == "True", 30, what=f"{worker} is seen to",
              trouble=lambda worker=worker: json.dumps(stage.status(worker), indent=1))
        assert (stage.status(worker)["mode"], stage.condition(worker, "MetricsAvailable")["status"]) == ("hpa", "True")
        assert release.namespace.get("hpa", worker)[0]["spec"]["scaleTargetRef"]["name"] == worker


def test_helm_test_pings_every_queue_and_wakes_who_sleeps(release: Release) -> None:
    stage = Stage(release.namespace)
    idle = f"{release.name}-cleanup"
    release.upgrade({"workers": {"cleanup": {"scaling": {"cooldown": "1s", "scaleDown": {"stabilization": "1s"}}}}})
    stage.until_replicas(idle, 0, 60)
    said = release.helm("test", release.name, "--timeout", "150s")
    assert "Phase:          Succeeded" in said


def test_without_the_operator_each_has_the_pods_that_its_values_say(release: Release) -> None:
    """From here on, as what follows does the scaling itself. One had no pod just now, and the operator that wanted it so is still about."""
    Stage(release.namespace).until_replicas(f"{release.name}-cleanup", 0, 60)
    release.upgrade(UNSCALED)
    assert {name: len(release.wait_ready_pods(name, 1)) for name in WORKERS} == dict.fromkeys(WORKERS, 1)
    until(lambda: not release.namespace.get(f"{KIND},hpa") and not release.namespace.pods("operator"), 60, what="nothing scales")
    assert registration.found() is None


def test_helm_test_pings_every_queue(release: Release) -> None:
    said = release.helm("test", release.name, "--timeout", "150s")
    assert "Phase:          Succeeded" in said


def test_a_helm_test_that_fails_leaves_its_log_and_the_next_one_takes_its_place(release: Release) -> None:
    release.upgrade({"tests": {"timeoutSeconds": 10}})
    release.namespace.kubectl("scale", release.worker("notification"), "--replicas=0")
    until(lambda: not release.namespace.pod_names("notification"), 60, what="nobody works the notifications")
    assert f"pod {release.name}-test-ping failed" in release.helm("test", release.name, check=False)
    assert "notification/notification: no answer" in release.namespace.logs(f"{release.name}-test-ping")

    release.namespace.kubectl("scale", release.worker("notification"), "--replicas=1")
    release.wait_ready()
    assert "Phase:          Succeeded" in release.helm("test", release.name)
    assert release.namespace.pod_names("test-ping") == []


def test_the_log_of_a_worker_has_a_line_for_each_step_of_a_job(release: Release) -> None:
    events = [event for event in release.logged("thumbnail") if event.get("queue") == "thumbnail-generation"]
    lives = [[event["event"] for event in events if event.get("job_id") == job_id] for job_id in {event.get("job_id") for event in events}]
    assert ["job.started", "job.completed"] in lives


async def test_bulls_producers_outside_of_the_cluster_feed_it(release: Release, bull_installed: None) -> None:
    with release.redis_url() as url:
        node = await NodePeer(url).start()
        try:
            await node.open("email")
            began = time.monotonic()
            job = {"to": "lead@example.com", "subject": "Hello", "template": "", "data": {"html": "Hi", "text": "Hi"}}
            job_id = await node.add("email", job, attempts=3)
            await node.job("email", job_id, "finished")
            timings.note("job added outside of the cluster → done, as its producer sees it", time.monotonic() - began)
        finally:
            await node.stop()


def test_new_settings_the_next_version_a_rollback_and_an_uninstall_leave_nothing_behind(release: Release, next_chart: Path) -> None:
    """The last test of this module: afterwards there is no release."""

    def fleet() -> dict[str, set[str]]:
        return {name: set(release.namespace.pod_names(name)) for name in WORKERS}

    def tags() -> set[str]:
        pods = [pod for name in WORKERS for pod in release.namespace.pods(name)]
        return {container["image"].rpartition(":")[2] for pod in pods for container in pod["spec"]["containers"]}

    def stores() -> list[str]:
        pods = release.namespace.get("pods", "--selector", "app.kubernetes.io/component in (demo-redis, demo-postgres, demo-s3)")
        return sorted(pod["metadata"]["uid"] for pod in pods)

    def demo_is_worked() -> bool:
        return "as it should be" in release.kayan("asset", "demo", "verify", check=False)

    of_this_version, filled = fleet(), stores()
    assert (tags(), len(filled)) == ({VERSION}, 3)
    release.upgrade({"workers": {"thumbnail": {"replicas": 2}}, "settings": {"logLevel": "debug"}})
    assert len(fleet()["thumbnail"]) == 2
    assert all(of_this_version[name].isdisjoint(pods) for name, pods in fleet().items()), "new settings are new pods"
    assert stores() == filled, "and no reason to lose what the demo's stores hold"
    release.chart = next_chart
    release.upgrade()
    assert tags() == {f"{VERSION}-next"}
    assert set(stores()).isdisjoint(filled), "another version may have other tables: its demo begins with empty stores"
    until(demo_is_worked, 120, what="its demo is worked")
    release.helm("rollback", release.name, "1", "--wait")
    release.wait_ready()
    assert tags() == {VERSION}
    assert len(release.wait_ready_pods("operator", 2)) == 2, "which the first revision had"
    until(demo_is_worked, 120, what="this version's demo is worked again")
    release.uninstall()
    assert registration.found() is None
    kinds = ("deployments,replicasets,pods,jobs,cronjobs,services,secrets,networkpolicies,poddisruptionbudgets,configmaps,serviceaccounts,"
             f"{KIND},horizontalpodautoscalers,leases,roles,rolebindings")

    def left() -> list[str]:
        found = json.loads(release.namespace.kubectl("get", kinds, "--output", "json"))["items"]
        names = {f"{one['kind']}/{one['metadata']['name']}" for one in found}
        return sorted(names - {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"})

    until(lambda: not left(), 90, what="nothing is left")
