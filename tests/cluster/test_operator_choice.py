"""Whom a scale-in chooses on a real cluster: never a pod with a job, whatever Kubernetes would do by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from cluster.jobs import Jobs
from cluster.kube import Object, ready, until
from cluster.operator_process import OperatorProcess, operating
from cluster.scaling import Stage, deployment, scaler
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from redis_process import RedisProcess
from waiting import wait_until
from wire.party import Party, Worker, finished

READY_UNLESS_TOLD: Object = {"exec": {"command": ["test", "!", "-e", "/tmp/unready"]}, "periodSeconds": 1, "timeoutSeconds": 10,
                            "failureThreshold": 1}


@pytest.fixture(scope="module", autouse=True)
def operator(stage: Stage, server: RedisProcess) -> Iterator[OperatorProcess]:
    with operating(stage.namespace.name, {"default": server}) as operator:
        yield operator
        assert operator.metric("kayan_jobs_interrupted_by_scaling_total") == 0


def pods(stage: Stage, name: str) -> dict[str, Object]:
    """Those that are not on their way out, the oldest first."""
    found = stage.namespace.get("pods", "--selector", f"app={name}", "--sort-by", ".metadata.creationTimestamp")
    return {pod["metadata"]["name"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}


def until_ready(stage: Stage, name: str, count: int) -> list[str]:
    """Wait for so many ready pods; their names."""
    until(lambda: sum(map(ready, pods(stage, name).values())) == count, 60, what=f"{name} has {count} ready pods")
    return list(pods(stage, name))


def until_left(stage: Stage, name: str, wanted: set[str], timeout: float = 30) -> None:
    until(lambda: set(pods(stage, name)) == wanted, timeout, what=f"{wanted} are left of {name}",
          trouble=lambda: json.dumps(stage.status(name), indent=1))


def until_it_says(stage: Stage, name: str, text: str) -> None:
    until(lambda: text in stage.status(name).get("message", ""), 20, what=f"{name} says: {text}",
          trouble=lambda: json.dumps(stage.status(name), indent=1))


def test_idle_pods_go_and_busy_ones_stay_though_kubernetes_would_end_the_newest(stage: Stage, jobs: Jobs) -> None:
    stage.put("choice", replicas=2, paused=True)
    old = until_ready(stage, "choice", 2)
    stage.namespace.kubectl("scale", "deployment", "choice", "--replicas=4")
    new = sorted(set(until_ready(stage, "choice", 4)) - set(old))
    jobs.hold("choice", new[0], "1")
    jobs.hold("choice", new[1], "2")
    jobs.hold("choice", new[1], "3")
    stage.apply(scaler("choice"))
    until_left(stage, "choice", set(new))

    until_it_says(stage, "choice", "2 of 2 pods are busy; 1 of them take no more jobs and go when they have finished")
    assert jobs.fenced() & set(new) == {new[0]}, "who has least to do is asked first"
    stage.stays("choice", 2, 4)
    jobs.end("choice", "1")
    until_left(stage, "choice", {new[1]})
    jobs.end("choice", "2")
    jobs.end("choice", "3")
    stage.until_replicas("choice", 0)


def test_with_drain_the_busy_are_ended_as_well_those_with_least_to_do_first(stage: Stage, jobs: Jobs) -> None:
    stage.put("drained", replicas=3, paused=True)
    first, second, third = until_ready(stage, "drained", 3)
    for number, pod in enumerate((first, first, second, third, third)):
        jobs.hold("drained", pod, f"d{number}")
    stage.apply(scaler("drained", scaleDown={"stabilization": "1s", "busy": "drain", "pods": 1, "period": "1h"}))
    until_left(stage, "drained", {first, third})
    stage.stays("drained", 2, 3)


def test_a_busy_pod_that_is_not_ready_holds_everybody_up_until_it_is(stage: Stage, jobs: Jobs) -> None:
    stage.apply(deployment("unready", 3, readiness=READY_UNLESS_TOLD), scaler("unready", paused=True))
    busy, *idle = until_ready(stage, "unready", 3)
    jobs.hold("unready", busy, "u1")
    stage.namespace.kubectl("exec", busy, "--", "touch", "/tmp/unready")
    until(lambda: not ready(pods(stage, "unready")[busy]), 30, what="the busy pod is not ready")
    stage.apply(scaler("unready"))
    until_it_says(stage, "unready", f"pod {busy} has jobs and is not ready, and Kubernetes would end it first")
    stage.stays("unready", 3, 4)
    # whoever is idle is fenced for a moment each time that it is looked at
    until(lambda: not jobs.fenced() & {busy, *idle}, 10, what="nobody who stays is kept from jobs", every=0.05)
    stage.namespace.kubectl("exec", busy, "--", "rm", "/tmp/unready")
    until_left(stage, "unready", {busy}, 60)


async def test_who_is_asked_to_go_finishes_what_it_has_takes_nothing_more_and_is_interrupted_by_nobody(
    stage: Stage, server: RedisProcess
) -> None:
    """Real consumers play the parts of the pods: each ends when its pod does."""
    gate = asyncio.Event()

    async def work(job: ActiveJob) -> None:
        await gate.wait()

    await asyncio.to_thread(stage.put, "asked", replicas=3, minReplicas=3)
    names = await asyncio.to_thread(until_ready, stage, "asked", 3)
    async with Party(server.url) as party, Redis.from_url(server.url, decode_responses=True) as redis:
        queue = party.queue("asked")
        for number in range(3):
            await queue.add({"n": number})
        workers = {name: party.work(queue, work, pod=name, lock_duration_ms=30_000, lock_renew_ms=5_000) for name in names}
        await wait_until(lambda: all(len(worker.started) == 1 for worker in workers.values()), what="each pod is at one job")
        await asyncio.to_thread(stage.apply, scaler("asked"))
        await asyncio.to_thread(until_it_says, stage, "asked", "3 of 3 pods are busy; 2 of them take no more jobs")
        asked = {name for name in names if await redis.exists(f"kayan:fence:{name}")}
        assert len(asked) == 2
        for number in range(5):
            await queue.add({"n": 3 + number})
        await asyncio.to_thread(stage.stays, "asked", 3, 2)
        gate.set()
        [left] = set(names) - asked
        following = asyncio.create_task(follow(stage, {name: workers[name] for name in asked}))
        await finished(redis, "asked", 8, timeout=30)
        await asyncio.wait_for(following, 60)
        await asyncio.to_thread(until_left, stage, "asked", {left})
        assert {name: len(workers[name].started) for name in asked} == dict.fromkeys(asked, 1), "an asked pod has taken another job"
        assert len(workers[left].started) == 6
        assert await redis.zcard("bull:asked:completed") == 8


async def follow(stage: Stage, workers: dict[str, Worker]) -> None:
    """End each consumer with its pod."""
    while workers:
        alive = await asyncio.to_thread(pods, stage, "asked")
        for name in [name for name in workers if name not in alive]:
            await workers.pop(name).stop()
