"""The API server goes away, or its answers do: nobody acts without the Lease, nothing crashes, and when it is back all goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest
from cluster import api_proxy, timings
from cluster.api_proxy import ApiProxy
from cluster.jobs import Jobs
from cluster.kube import until
from cluster.operator_process import OperatorProcess, operating
from cluster.scaling import Stage
from kayan_operator.cluster.lease import DURATION_SECONDS
from kayan_operator.cluster.resync import EVERY_SECONDS
from proxy import Proxy
from redis_process import RedisProcess

AWAY_SECONDS = 30


@dataclass(frozen=True)
class Through:
    """An operator whose way to the API server is a proxy, and its stage."""

    stage: Stage
    operator: OperatorProcess
    api: ApiProxy


@pytest.fixture
def through(cluster: None, server: RedisProcess) -> Iterator[Through]:
    with Stage.made() as stage, api_proxy.encrypted() as api:
        with operating(stage.namespace.name, {"default": server}, KUBECONFIG=str(api.kubeconfig)) as operator:
            yield Through(stage, operator, api)
        assert "Traceback" not in operator.log.read_text()


@pytest.fixture(scope="module")
def deaf(cluster: None, server: RedisProcess) -> Iterator[tuple[Through, float]]:
    """One whose watches have died without a word, and since when, in Unix seconds. It is looked at last: what it does not hear it learns
    by and by."""
    with Stage.made() as stage, api_proxy.encrypted() as api:
        with operating(stage.namespace.name, {"default": server}, KUBECONFIG=str(api.kubeconfig)) as operator:
            stage.put_phantoms("deaf")
            stage.until_seen("deaf")
            api.tell(Proxy.mute_all)
            since = time.time()
            stage.put_phantoms("unheard", minReplicas=1)
            yield Through(stage, operator, api), since
        assert "Traceback" not in operator.log.read_text()


def test_while_the_api_server_is_away_nobody_leads_and_when_it_is_back_jobs_that_came_meanwhile_get_their_pods(
    through: Through, jobs: Jobs, deaf: tuple[Through, float]
) -> None:
    stage, operator, api = through.stage, through.operator, through.api
    stage.put_phantoms("away")
    stage.put_phantoms("kept", replicas=3)
    jobs.deserve("kept", 3)
    stage.until_seen("away", "kept")
    begun = time.monotonic()
    api.cut()
    jobs.deserve("away", 5)
    until(lambda: not operator.leads, 15, what="it no longer leads", trouble=operator.said)
    while time.monotonic() - begun < AWAY_SECONDS:
        assert operator.page("/livez"), "no outage is a reason to be restarted"
        assert (stage.replicas("away"), stage.replicas("kept")) == (0, 3)
        time.sleep(1)
    assert not operator.leads
    api.restore()
    back = time.monotonic()
    until(lambda: operator.leads, 20, what="it leads again", trouble=operator.said)
    timings.note("leadership taken again after the API server was away", time.monotonic() - back)
    stage.until_replicas("away", 5, 20)
    assert [line["scaler"] for line in operator.events("scale.changed")] == ["away"]
    assert len(operator.events("leader.elected")) == 2
    assert operator.events("leader.stepped_down")
    stage.put_phantoms("afterwards", minReplicas=2)
    stage.until_replicas("afterwards", 2, 30)


def test_a_moment_without_the_api_server_costs_no_leadership(through: Through, jobs: Jobs) -> None:
    stage, operator, api = through.stage, through.operator, through.api
    stage.put_phantoms("moment")
    stage.until_seen("moment")
    api.cut()
    jobs.deserve("moment", 4)
    until(lambda: "away" if operator.events("leader.unsure") else "", 10, what="it has noticed", trouble=operator.said)
    api.restore()
    stage.until_replicas("moment", 4, 15)
    assert len(operator.events("leader.elected")) == 1
    stage.set_spec("moment", maxReplicas=2)
    stage.until_replicas("moment", 2, 30)


def test_a_leader_whose_api_server_is_slow_hands_over_all_the_same(through: Through, server: RedisProcess) -> None:
    with operating(through.stage.namespace.name, {"default": server}, identity="operator-1") as other:
        assert (through.operator.leads, other.leads) == (True, False)
        through.api.tell(lambda proxy: setattr(proxy, "delay", 0.15))
        begun = time.monotonic()
        assert through.operator.stop() == 0
        timings.note("an operator with a slow API server stopped", time.monotonic() - begun)
        until(lambda: other.leads, 20, what="the other one leads", every=0.1)
        assert time.monotonic() - begun < DURATION_SECONDS / 2, "the Lease was not given back: its time had to run out"


def test_what_watches_that_died_without_a_word_do_not_tell_is_read_in_time(jobs: Jobs, deaf: tuple[Through, float]) -> None:
    """Requests go through all the same, by new connections, and so it leads all the while and scales what it knows."""
    through, since = deaf
    stage, operator = through.stage, through.operator
    assert len(operator.events("leader.elected")) == 1
    jobs.deserve("deaf", 2)
    stage.until_replicas("deaf", 2, 20)
    stage.until_replicas("unheard", 1, EVERY_SECONDS + 30)
    [seen] = [line["timestamp"] for line in operator.events("scale.changed") if line["scaler"] == "unheard"]
    timings.note("a scaler is seen to though the watches are dead", datetime.fromisoformat(seen).timestamp() - since)
    assert len(operator.events("leader.elected")) == 1
