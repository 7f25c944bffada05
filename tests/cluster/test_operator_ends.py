"""Everything ends: scalers, queues, Deployments, whole namespaces. Nothing of them is left, in the cluster, in Redis or in the operator."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import figures
import pytest
from cluster import timings
from cluster.jobs import Jobs
from cluster.kube import run, until
from cluster.operator_process import OperatorProcess, operating
from cluster.scaling import API_VERSION, PHANTOMS, Stage, deployment, scaler
from kayan_operator.queues.fences import FENCE_SECONDS
from redis_process import RedisProcess

AT_ONCE = 50
ROUNDS = 4
MOST_GROWTH_MB = 10


@pytest.fixture(scope="module", autouse=True)
def operator(stage: Stage, server: RedisProcess) -> Iterator[OperatorProcess]:
    with operating(stage.namespace.name, {"default": server}) as operator:
        yield operator
        assert "Traceback" not in operator.log.read_text()


def busy(stage: Stage, jobs: Jobs, name: str) -> set[str]:
    """Three pods, each with a job, of which two are asked to go; their names."""
    stage.put_phantoms(name, replicas=3, paused=True)
    names = pods(stage, name)
    for number, pod in enumerate(names):
        jobs.hold(name, pod, f"{name}-{number}")
    stage.set_spec(name, paused=False)
    until(lambda: len(jobs.fenced() & names) == 2, 20, what="two of the busy pods are asked to go",
          trouble=lambda: json.dumps(stage.status(name)))
    return names


def pods(stage: Stage, name: str) -> set[str]:
    def found() -> set[str]:
        return {pod["metadata"]["name"] for pod in stage.namespace.get("pods", "--selector", f"app={name}")}

    until(lambda: len(found()) == 3, 60, what=f"{name} has three pods")
    return found()


def test_a_namespace_that_is_deleted_with_everything_in_it_is_gone_within_a_minute(server: RedisProcess, jobs: Jobs) -> None:
    """The operator lives in another one, and goes on there: also with a namespace of the same name, later."""
    with Stage.made() as home, Stage.made() as doomed:
        name = doomed.namespace.name
        with operating(home.namespace.name, {"default": server}, KAYAN_OPERATOR_NAMESPACES=name) as operator:
            budget = {"apiVersion": API_VERSION, "kind": "FleetBudget", "metadata": {"name": "all"}, "spec": {"maxReplicas": 9}}
            doomed.apply(budget, *(thing for number in range(4) for thing in (
                deployment(f"doomed-{number}", **PHANTOMS), scaler(f"doomed-{number}", budgetRef={"name": "all"}))))  # fmt: skip
            for number in range(4):
                jobs.deserve(f"doomed-{number}", 2)
            busy(doomed, jobs, "leaving")
            for number in range(4):
                doomed.until_replicas(f"doomed-{number}", 2)
            assert not [one for kind in ("queuescaler", "fleetbudget") for one in doomed.namespace.get(kind)
                        if one["metadata"].get("finalizers")]
            begun = time.monotonic()
            run("kubectl", "delete", "namespace", name, "--wait=false")
            doomed.namespace.kubectl("delete", "deployments,queuescalers,fleetbudgets", "--all", "--wait=false", check=False)
            until(lambda: name not in namespaces(), 60, what="the namespace is gone", every=0.5, trouble=operator.said)
            timings.note("a namespace with five scalers deleted", time.monotonic() - begun)
            assert operator.leads
            assert operator.page("/livez")
            run("kubectl", "create", "namespace", name)
            jobs.deserve("again", 3)
            doomed.put_phantoms("again")
            doomed.until_replicas("again", 3)
        assert "Traceback" not in operator.log.read_text()


def namespaces() -> set[str]:
    return {one["metadata"]["name"] for one in json.loads(run("kubectl", "get", "namespaces", "--output=json"))["items"]}


def test_a_scaler_that_is_deleted_in_the_midst_of_a_scale_in_leaves_pods_that_take_jobs_again(stage: Stage, jobs: Jobs) -> None:
    names = busy(stage, jobs, "midst")
    stage.namespace.kubectl("delete", "queuescaler", "midst")
    until(lambda: not jobs.fenced() & names, FENCE_SECONDS / 2, what="nobody is kept from jobs, before the fences end by themselves")
    assert stage.replicas("midst") == 3
    for number in range(3):
        jobs.end("midst", f"midst-{number}")
    stage.stays("midst", 3, 3)
    stage.apply(scaler("midst"))
    stage.until_replicas("midst", 0)


def test_a_scaler_that_is_made_anew_under_its_old_name_is_a_new_one(stage: Stage, jobs: Jobs) -> None:
    stage.put_phantoms("anew")
    stage.until_seen("anew")
    for number in range(1, 6):
        manifest = json.dumps(scaler("anew", f"anew-{number}", maxReplicas=number))
        stage.namespace.kubectl("replace", "--force", "--filename=-", stdin=manifest)
        jobs.deserve(f"anew-{number}", 9)
        stage.until_replicas("anew", number)
    stage.until_seen("anew")


def test_queues_may_be_exchanged_and_only_the_present_ones_count(stage: Stage, jobs: Jobs) -> None:
    stage.put_phantoms("exchange", queues=[{"name": "before"}])
    stage.until_seen("exchange")
    jobs.deserve("before", 2)
    stage.until_replicas("exchange", 2)
    stage.set_spec("exchange", queues=[{"name": "after"}, {"name": "beside"}])
    stage.until_replicas("exchange", 0)
    jobs.deserve("after", 1)
    stage.until_replicas("exchange", 1)
    jobs.deserve("beside", 3)
    stage.until_replicas("exchange", 4)
    stage.set_spec("exchange", queues=[{"name": "before"}, {"name": "after"}])
    stage.until_replicas("exchange", 3)


def test_scalers_that_come_and_go_leave_nothing_in_the_operator(
    stage: Stage, server: RedisProcess, jobs: Jobs, operator: OperatorProcess
) -> None:
    sizes = []
    stage.apply(*(deployment(f"churn-{number}", **PHANTOMS) for number in range(AT_ONCE)))
    for turn in range(ROUNDS):
        names = [f"churn-{turn}-{number}" for number in range(AT_ONCE)]
        stage.apply(*(scaler(name, target=f"churn-{number}") for number, name in enumerate(names)))
        jobs.deserve(names[0], 1)
        stage.until_replicas("churn-0", 1, 30)
        jobs.wait(names[0], 0)
        until(lambda names=names: known(operator, "churn-") == set(names), 60, what=f"all {AT_ONCE} are seen to", every=0.5)
        stage.until_replicas("churn-0", 0, 30)
        stage.namespace.kubectl("delete", "queuescalers", *names, "--wait=false")
        until(lambda: not known(operator, "churn-"), 60, what="none of them is seen to any more", every=0.5)
        sizes.append(size_mb(operator))
    figures.note(timings.HEADING, "memory of an operator after each 50 scalers", ", ".join(f"{size:.0f}" for size in sizes) + " MB")
    assert sizes[-1] - sizes[1] < MOST_GROWTH_MB, sizes
    assert "churn-" not in (operator.page("/metrics") or ""), "figures of scalers that are gone"
    with server.client() as client:
        assert all(client.ttl(key) != -1 for key in client.keys("kayan:*churn-*")), "keys that stay for ever"


def known(operator: OperatorProcess, start: str) -> set[str]:
    """The scalers that it sees to, by its gauges."""
    page = operator.page("/metrics") or ""
    lines = [line for line in page.splitlines() if line.startswith("kayan_scaler_replicas{")]
    return {name for line in lines if (name := line.partition('scaler="')[2].partition('"')[0]).startswith(start)}


def size_mb(operator: OperatorProcess) -> float:
    assert operator.process
    text = Path(f"/proc/{operator.process.pid}/status").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024

