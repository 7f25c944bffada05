"""Two operators, one Lease: exactly one acts, and whatever becomes of it, the other goes on where it was."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from cluster import api_proxy, timings
from cluster.jobs import Jobs
from cluster.kube import until
from cluster.operator_process import OperatorProcess, operating
from cluster.scaling import Stage
from kayan_operator.cluster.lease import DURATION_SECONDS
from kayan_operator.cluster.pods import CHOSEN_COST, DELETION_COST
from kayan_operator.queues.fences import FENCE_SECONDS
from redis_process import RedisProcess

FROZEN_SECONDS = 20


class Pair:
    """An operator that leads and one that stands by, both running again after each test."""

    def __init__(self, namespace: str, server: RedisProcess) -> None:
        self.both = [OperatorProcess(namespace, {"default": server}, identity=f"operator-{number}").start() for number in (0, 1)]
        self.until_one_leads()

    @property
    def leaders(self) -> list[OperatorProcess]:
        return [one for one in self.both if one.leads]

    @property
    def roles(self) -> tuple[OperatorProcess, OperatorProcess]:
        """The leader and the other."""
        [leader] = self.leaders
        return leader, next(one for one in self.both if one is not leader)

    def until_one_leads(self) -> None:
        until(lambda: len(self.leaders) == 1, 30, what="one of them leads", trouble=lambda: "\n".join(one.said() for one in self.both))

    def close(self) -> None:
        for one in self.both:
            if one.process and one.process.poll() is None:
                one.stop()
        stumbles = [line for one in self.both for line in one.events() if line["event"].endswith((".stumbled", ".failed"))]
        assert not stumbles, stumbles


def until_it_leads(operator: OperatorProcess, timeout: float, since: float) -> float:
    """Returns how many seconds after ``since``, a monotonic moment."""
    until(lambda: operator.leads, timeout, what="the other one leads", every=0.05, trouble=operator.said)
    return time.monotonic() - since


def moments(operator: OperatorProcess, event: str, **fields: object) -> list[float]:
    """When it wrote such lines, in Unix seconds."""
    return [
        datetime.fromisoformat(line["timestamp"]).timestamp() for line in operator.events(event) if fields.items() <= line.items()
    ]


@pytest.fixture(scope="module")
def pair(stage: Stage, server: RedisProcess) -> Iterator[Pair]:
    pair = Pair(stage.namespace.name, server)
    yield pair
    pair.close()


def test_a_leader_that_is_told_to_stop_hands_over_at_once_and_its_successor_lets_the_calm_begin_anew(stage: Stage, pair: Pair) -> None:
    leader, other = pair.roles
    stage.put_phantoms("calm", replicas=1, cooldown="15s")
    stage.put_phantoms("lull", replicas=3, scaleDown={"stabilization": "15s"})
    stage.until_seen("calm", "lull")
    begun = time.monotonic()
    leader.signal(signal.SIGTERM)
    took = until_it_leads(other, 15, begun)
    timings.note("leadership handed over", took)
    assert took < DURATION_SECONDS / 2, "the Lease was not given back: its time had to run out"
    assert leader.process
    assert leader.process.wait(15) == 0
    [elected] = moments(other, "leader.elected")
    for name in ("calm", "lull"):
        stage.until_replicas(name, 0, 40)
        assert moments(other, "scale.changed", scaler=name)[0] - elected >= 14.5, f"{name} was scaled by what only its forerunner had seen"
    leader.start()
    assert pair.leaders == [other], "who comes back stands by"


def test_a_leader_that_is_frozen_never_writes_again_beside_its_successor(stage: Stage, pair: Pair, jobs: Jobs) -> None:
    leader, other = pair.roles
    stage.put_phantoms("frozen")
    stage.until_seen("frozen")
    jobs.deserve("frozen", 2)
    stage.until_replicas("frozen", 2)
    begun = time.monotonic()
    leader.signal(signal.SIGSTOP)
    frozen = time.time()
    jobs.deserve("frozen", 5)
    until_it_leads(other, 30, begun)
    stage.until_replicas("frozen", 5, FROZEN_SECONDS)
    jobs.deserve("frozen", 1)
    stage.until_replicas("frozen", 1, FROZEN_SECONDS)
    until(lambda: time.monotonic() - begun >= FROZEN_SECONDS, FROZEN_SECONDS, what="the freeze is over")
    leader.signal(signal.SIGCONT)
    until(lambda: any(at > frozen for at in moments(leader, "leader.stepped_down")), 15, what="the frozen one steps down",
          trouble=leader.said)
    jobs.deserve("frozen", 3)
    stage.until_replicas("frozen", 3)
    stage.stays("frozen", 3, 5)
    assert pair.leaders == [other]
    assert not [at for at in moments(leader, "scale.changed") if at > frozen], "two have written the number"
    assert [line["after"] for line in other.events("scale.changed") if line["scaler"] == "frozen"] == [5, 1, 3]


def test_a_leader_that_is_frozen_in_the_midst_of_a_scale_in_touches_none_of_its_successors_fences(
    cluster: None, server: RedisProcess, jobs: Jobs
) -> None:
    """It has fenced idle pods and is about to lower the number; when it wakes, that has failed, and it would lift what it fenced. By then
    the same pods have jobs, and the other leader has asked two of them to take no more."""
    with Stage.made() as stage, api_proxy.readable() as api:
        namespace = stage.namespace.name
        stage.put_phantoms("midst", replicas=3)
        jobs.deserve("midst", 3)
        until(lambda: len(pods(stage, "midst")) == 3, 60, what="there are three pods")
        with operating(namespace, {"default": server}, KUBECONFIG=str(api.kubeconfig)) as leader, \
                operating(namespace, {"default": server}, identity="operator-1") as other:
            stage.until_seen("midst")
            api.tell(lambda proxy: proxy.hold_request(b"/deployments/midst/scale"))
            jobs.deserve("midst", 1)
            until(lambda: api.proxy.holding, 15, what="the leader asks for the number that it is about to lower", trouble=leader.said)
            leader.signal(signal.SIGSTOP)
            frozen, begun = time.time(), time.monotonic()
            assert jobs.fenced() >= pods(stage, "midst"), "two that are to go, and one that must keep still as it is not ready"
            lease = uid_of_lease(stage)
            first = jobs.terms()[lease]
            for number, pod in enumerate(sorted(pods(stage, "midst"))):
                jobs.hold("midst", pod, f"midst-{number}")
            jobs.wait("midst", 0)  # what runs deserves one pod
            until_it_leads(other, 30, begun)
            until(lambda: jobs.terms()[lease] > first, 15, what="the fences are the other's", trouble=other.said)
            until(lambda: time.monotonic() - begun >= FENCE_SECONDS + 3, FENCE_SECONDS + 5, what="the fences of the first have run out")
            until(lambda: len(jobs.fenced() & pods(stage, "midst")) == 2, 15, what="the other has asked two of them to go",
                  trouble=other.said)
            asked, second = jobs.fenced() & pods(stage, "midst"), jobs.terms()[lease]
            leader.signal(signal.SIGCONT)
            awake = time.monotonic()
            while time.monotonic() - awake < 5:  # more often than the other looks, which would fence them again
                assert jobs.fenced() >= asked, leader.said()
                assert jobs.terms()[lease] == second
            assert any(at > frozen for at in moments(leader, "leader.stepped_down"))
            assert [line["scaler"] for line in leader.events("scale.left")] == ["midst"], leader.said()
            assert stage.replicas("midst") == 3
            assert not leader.events("scale.changed"), "two have written the number"
            for number in range(3):
                jobs.end("midst", f"midst-{number}")
            stage.until_replicas("midst", 0, 30)


def uid_of_lease(stage: Stage) -> str:
    [lease] = stage.namespace.get("lease", "kayan-operator")
    return str(lease["metadata"]["uid"])


def pods(stage: Stage, name: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in stage.namespace.get("pods", "--selector", f"app={name}")}


def test_a_leader_that_is_killed_is_replaced_and_jobs_that_came_meanwhile_get_their_pods(stage: Stage, pair: Pair, jobs: Jobs) -> None:
    leader, other = pair.roles
    stage.put_phantoms("killed")
    stage.put_phantoms("kept", replicas=5)
    jobs.deserve("kept", 5)
    stage.until_seen("killed", "kept")
    changes = len(other.events("scale.changed"))
    begun = time.monotonic()
    leader.kill()
    jobs.deserve("killed", 4)
    timings.note("leadership taken over from a killed operator", until_it_leads(other, 15, begun))
    stage.until_replicas("killed", 4, 15 - (time.monotonic() - begun))
    stage.stays("kept", 5, 4)
    assert [line["scaler"] for line in other.events("scale.changed")[changes:]] == ["killed"]
    leader.start()


def test_what_a_leader_left_that_died_in_a_scale_in_is_taken_away(cluster: None, server: RedisProcess, jobs: Jobs) -> None:
    """It dies between the marks and the lower number: its request for that is held back on the way."""
    with Stage.made() as stage, api_proxy.readable() as api:
        namespace = stage.namespace.name
        stage.put_phantoms("left", replicas=3)
        jobs.deserve("left", 3)
        with operating(namespace, {"default": server}, KUBECONFIG=str(api.kubeconfig)) as leader:
            stage.until_seen("left")
            api.tell(lambda proxy: proxy.hold_request(b"/deployments/left/scale"))
            jobs.deserve("left", 1)
            until(lambda: api.proxy.holding, 15, what="the leader asks for the number that it is about to lower", trouble=leader.said)
            assert len(marked(stage)) == 2
            assert set(marked(stage)) <= jobs.fenced()
            jobs.deserve("left", 3)
            leader.kill()
            died = time.monotonic()
        with operating(namespace, {"default": server}, identity="operator-1") as other:
            until_it_leads(other, 30, died)
            until(lambda: not marked(stage), 10, what="the marks are taken away", trouble=other.said)
            until(lambda: not jobs.fenced(), FENCE_SECONDS + 10, what="the fences have run out")
            assert stage.replicas("left") == 3
            assert not other.events("scale.changed")


def marked(stage: Stage) -> list[str]:
    """The pods that Kubernetes is to end first."""
    return [
        pod["metadata"]["name"]
        for pod in stage.namespace.get("pods")
        if pod["metadata"].get("annotations", {}).get(DELETION_COST) == CHOSEN_COST
    ]
