"""Pods with long jobs bear the marks that node autoscalers heed, and lose them when they are idle again."""

from __future__ import annotations

import json
import time

from cluster.jobs import Jobs
from cluster.kube import until
from cluster.operator_process import operating
from cluster.scaling import Stage
from kayan_operator.scaling.protection import MARKED
from redis_process import RedisProcess

AFTER_SECONDS = 3
IDLE_SECONDS = 60
"""Half of it is what an idle pod keeps its marks for."""


def put(stage: Stage, name: str) -> list[str]:
    """Two pods that stay, whatever there is to do; their names."""
    stage.put_phantoms(name, replicas=2, minReplicas=2, disruptionProtection={"after": f"{AFTER_SECONDS}s"})
    until(lambda: len(pods(stage, name)) == 2, 15, what=f"{name} has two pods")
    return sorted(pods(stage, name))


def pods(stage: Stage, name: str) -> dict[str, dict[str, str]]:
    """Name to annotations."""
    found = stage.namespace.get("pods", "--selector", f"app={name}")
    return {pod["metadata"]["name"]: pod["metadata"].get("annotations", {}) for pod in found}


def marked(stage: Stage, name: str) -> list[str]:
    """The pods that bear marks; each bears all of them or none."""
    found = {pod: {mark for mark in MARKED if mark in annotations} for pod, annotations in pods(stage, name).items()}
    assert all(marks in (set(), set(MARKED)) for marks in found.values()), found
    return [pod for pod, marks in found.items() if marks]


def until_marked(stage: Stage, name: str, wanted: list[str], timeout: float = 20) -> None:
    # one is written after the other: what is between them is seen for a moment
    until(lambda: marked(stage, name) == wanted, timeout, what=f"of {name} just {wanted} bear marks", trouble=lambda: json.dumps(
        pods(stage, name), indent=1))


def test_a_long_job_marks_its_pod_and_nobody_else_until_it_is_done(stage: Stage, server: RedisProcess, jobs: Jobs) -> None:
    with operating(stage.namespace.name, {"default": server}):
        busy, other = put(stage, "long")
        quick, _ = put(stage, "short")
        ends = {name: put(stage, name)[0] for name in ("refused", "advised", "deleted")}
        jobs.hold("long", busy, "1")
        for name, pod in ends.items():
            jobs.hold(name, pod, "1")
        begun = time.monotonic()
        for number in range(8):  # each of them younger than what counts as long
            jobs.hold("short", quick, str(number))
            stage.holds(lambda: not marked(stage, "short"), 1, what="short jobs mark nobody", name="short")
            jobs.end("short", str(number))
        assert time.monotonic() - begun > 2 * AFTER_SECONDS
        until_marked(stage, "long", [busy])
        assert pods(stage, "long")[busy].items() >= MARKED.items()
        assert not marked(stage, "short")
        for name, pod in ends.items():
            until_marked(stage, name, [pod])

        jobs.hold("long", other, "2", seconds=60)
        until_marked(stage, "long", sorted([busy, other]))
        jobs.end("long", "1")
        stage.set_spec("refused", disruptionProtection={"enabled": False})
        stage.set_spec("advised", mode="advisory")
        stage.namespace.kubectl("delete", "queuescaler", "deleted")
        for name in ends:
            until_marked(stage, name, [])
        until_marked(stage, "long", [other], IDLE_SECONDS)


def test_marks_of_an_operator_that_was_away_meanwhile_are_taken_away_by_the_next(
    cluster: None, server: RedisProcess, jobs: Jobs
) -> None:
    with Stage.made() as stage:
        with operating(stage.namespace.name, {"default": server}):
            (ended, _), (refused, _), (busy, _) = (put(stage, name) for name in ("ended", "unprotected", "busy"))
            for name, pod in (("ended", ended), ("unprotected", refused), ("busy", busy)):
                jobs.hold(name, pod, "1", seconds=60)
            for name, pod in (("ended", ended), ("unprotected", refused), ("busy", busy)):
                until_marked(stage, name, [pod])
        jobs.end("ended", "1")
        stage.set_spec("unprotected", disruptionProtection={"enabled": False})
        with operating(stage.namespace.name, {"default": server}, identity="operator-1"):
            until_marked(stage, "unprotected", [])
            until_marked(stage, "ended", [], IDLE_SECONDS)
            assert marked(stage, "busy") == [busy]
