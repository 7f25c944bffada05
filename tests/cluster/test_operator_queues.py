"""What makes a queue deserve pods, on a real cluster with real Bull: above all where scaling by the length of a list goes wrong."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest
from cluster.kube import until
from cluster.operator_process import OperatorProcess, operating
from cluster.scaling import Stage
from redis_process import RedisProcess
from waiting import wait_until
from wire.peer import NodePeer


@pytest.fixture(scope="module", autouse=True)
def operator(stage: Stage, server: RedisProcess) -> Iterator[OperatorProcess]:
    with operating(stage.namespace.name, {"default": server}) as operator:
        yield operator


@pytest.fixture
async def bull(server: RedisProcess, bull_installed: None) -> AsyncIterator[NodePeer]:
    peer = await NodePeer(server.url).start()
    yield peer
    await peer.stop()


async def fill(bull: NodePeer, queue: str, count: int, **options: object) -> None:
    await bull.call(queue, "addBulk", [{"data": {"n": number}, "opts": options} for number in range(count)])


async def counted(bull: NodePeer, queue: str, **wanted: int) -> bool:
    counts = await bull.call(queue, "getJobCounts")
    return bool(wanted.items() <= counts.items())


async def test_jobs_wake_as_many_pods_as_they_deserve_in_one_step_and_none_are_left_at_the_end(
    stage: Stage, bull: NodePeer, operator: OperatorProcess
) -> None:
    stage.put("burst")
    stage.until_seen("burst")
    await bull.open("burst")
    await fill(bull, "burst", 75)
    stage.until_replicas("burst", 8, 5)
    [change] = [line for line in operator.events("scale.changed") if line["scaler"] == "burst"]
    assert (change["before"], change["after"]) == (0, 8)
    await bull.call("burst", "empty")
    stage.until_replicas("burst", 0)
    assert stage.status("burst")["reason"] == "Idle"
    assert "Scaled" in stage.told("burst")


async def test_fifty_active_jobs_and_none_waiting_keep_their_pods(stage: Stage, bull: NodePeer) -> None:
    await bull.open("active")
    await bull.process("active", "hold", concurrency=50)
    await fill(bull, "active", 50)
    stage.put("active", replicas=5)
    stage.until_seen("active")
    stage.stays("active", 5, 8)
    assert stage.status("active")["active"] == 50
    await bull.ask("open_gate")
    stage.until_replicas("active", 0, 30)


async def test_a_job_delayed_by_an_hour_holds_no_pod_until_look_ahead_says_so(stage: Stage, bull: NodePeer) -> None:
    await bull.open("later")
    await fill(bull, "later", 1, delay=3_600_000)
    stage.put("later")
    stage.until_seen("later")
    stage.stays("later", 0, 8)
    assert "the next delayed job is due in" in stage.status("later")["message"]
    stage.put("later", lookAhead="2h")
    stage.until_replicas("later", 1, 10)


async def test_delayed_jobs_have_their_pods_by_the_time_they_are_due(stage: Stage, bull: NodePeer) -> None:
    stage.put("delayed", lookAhead="1s")
    stage.until_seen("delayed")
    await bull.open("delayed")
    due = time.time() + 6
    await fill(bull, "delayed", 50, delay=6000)
    stage.stays("delayed", 0, due - 2 - time.time())
    stage.until_replicas("delayed", 5, 3)
    assert time.time() < due + 1


async def test_a_retry_that_waits_in_delayed_has_its_pod_when_it_is_due(stage: Stage, bull: NodePeer) -> None:
    stage.put("retry", lookAhead="0s")
    stage.until_seen("retry")
    await bull.open("retry")
    await bull.process("retry", "fail")
    await fill(bull, "retry", 12, attempts=3, backoff={"type": "fixed", "delay": 10_000})
    await wait_until(lambda: counted(bull, "retry", delayed=12), what="all have failed once")
    due = time.time() + 10
    await bull.call("retry", "pause", True, True)
    stage.until_replicas("retry", 0)
    stage.stays("retry", 0, due - 2 - time.time())
    stage.until_replicas("retry", 2, 4)


async def test_a_paused_queue_wakes_nobody_and_a_resumed_one_does_at_once(stage: Stage, bull: NodePeer) -> None:
    stage.put("paused")
    stage.until_seen("paused")
    await bull.open("paused")
    await bull.call("paused", "pause")
    await fill(bull, "paused", 50)
    stage.stays("paused", 0, 7)
    until(lambda: "50 jobs in a paused queue" in stage.status("paused")["message"], 10, what="the status tells of the paused queue")
    await bull.call("paused", "resume")
    assert stage.until_replicas("paused", 5, 5) < 3


async def test_prioritised_jobs_count_once(stage: Stage, bull: NodePeer) -> None:
    stage.put("urgent")
    stage.until_seen("urgent")
    await bull.open("urgent")
    await fill(bull, "urgent", 30, priority=3)
    stage.until_replicas("urgent", 3, 5)
    stage.stays("urgent", 3, 3)


async def test_several_queues_of_one_deployment_are_one_load(stage: Stage, bull: NodePeer) -> None:
    stage.put("both", queues=[{"name": "both-small"}, {"name": "both-large", "weight": 3}])
    stage.until_seen("both")
    for queue in ("both-small", "both-large"):
        await bull.open(queue)
        await fill(bull, queue, 10)
    stage.until_replicas("both", 4, 5)
