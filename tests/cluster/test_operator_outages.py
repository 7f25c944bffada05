"""Redis goes away, in every way it can: replicas stay, the status says so within seconds, and all is well when it is back."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime

import pytest
import redis_process
from cluster import timings
from cluster.kube import until
from cluster.operator_process import OperatorProcess, operating
from cluster.scaling import Stage
from redis_process import RedisProcess

SAID_SECONDS = 5
"""From the outage to the condition in the API. What one look at the API takes this machine just now comes on top: kubectl is a process."""


class Outage:
    """One Redis that goes away, with a scaler at 5 replicas, one at none, and one at none that has declared a fallback."""

    def __init__(self, stage: Stage, operator: OperatorProcess, name: str, server: RedisProcess) -> None:
        self.stage, self.operator, self.name, self.server = stage, operator, name, server
        self.busy, self.idle, self.fallback = f"{name}-busy", f"{name}-idle", f"{name}-fallback"

    def prepare(self) -> None:
        stage, name = self.stage, self.name
        stage.put(self.busy, redis=name)
        stage.put(self.idle, redis=name)
        stage.put(self.fallback, redis=name, fallback={"replicas": 2, "after": "20s"})
        stage.until_seen(self.busy, self.idle, self.fallback)
        with self.server.client() as client:
            client.rpush(f"bull:{self.busy}:wait", *range(50))
            client.publish(f"bull:{self.busy}:waiting@test", "0")
        stage.until_replicas(self.busy, 5, 10)

    def seconds_of_a_look(self) -> float:
        """The slowest of three."""
        slowest = 0.0
        for _ in range(3):
            begun = time.monotonic()
            self.stage.condition(self.busy, "QueuesReadable")
            slowest = max(slowest, time.monotonic() - begun)
        return slowest

    def last(self, seconds: float, *, hung: bool) -> None:
        """Go away for so long, and look all the time."""
        stage, lag = self.stage, self.seconds_of_a_look()
        begun, wall = time.monotonic(), time.time()
        if hung:
            assert self.server.process
            self.server.process.send_signal(signal.SIGSTOP)
        else:
            self.server.kill()
        for name in (self.busy, self.idle):
            left = SAID_SECONDS + lag - (time.monotonic() - begun)
            until(lambda name=name: stage.condition(name, "QueuesReadable").get("status") == "False", left,
                  what=f"{name} says that its queue cannot be read", every=0.05, trouble=lambda: f"a look at the API takes {lag:.1f} s")
            written = next(line for line in self.operator.events("scaler.condition") if (line["scaler"], line["status"]) == (name, "False"))
            took = datetime.fromisoformat(written["timestamp"]).timestamp() - wall
            timings.note(f"Redis {'hangs' if hung else 'is killed'}: {name} has said so in the API after", took)
        while time.monotonic() - begun < seconds:
            assert (stage.replicas(self.busy), stage.replicas(self.idle)) == (5, 0), json.dumps(stage.status(self.busy))
            passed = time.monotonic() - begun
            if passed < 18:
                assert stage.replicas(self.fallback) == 0
            elif passed > 30:
                assert stage.replicas(self.fallback) == 2
            time.sleep(1)
        assert "backlog" not in stage.status(self.busy), "unknown is not zero"

    def end(self, *, hung: bool) -> None:
        if hung:
            assert self.server.process
            self.server.process.send_signal(signal.SIGCONT)
        else:
            self.server.start()  # as empty as a Redis without a file is
        for name in (self.busy, self.idle):
            until(lambda name=name: self.stage.condition(name, "QueuesReadable").get("status") == "True", 15, what=f"{name} is read")
        if hung:
            self.stage.stays(self.busy, 5, 5)
            with self.server.client() as client:
                client.delete(f"bull:{self.busy}:wait")
        for name in (self.busy, self.fallback):
            self.stage.until_replicas(name, 0, 30)
        assert {"Unreadable", "Read"} <= set(self.stage.told(self.busy))


@pytest.fixture(scope="module")
def servers() -> Iterator[dict[str, RedisProcess]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(redis_process.running()) for name in ("default", "short", "long", "hung")}


def test_replicas_stay_while_redis_is_away_or_hangs_however_long(stage: Stage, servers: dict[str, RedisProcess]) -> None:
    """Three servers at once, each with an outage of its own; what is on a fourth is scaled all the while."""
    with operating(stage.namespace.name, servers) as operator:
        outages = {"short": (60.0, False), "long": (150.0, False), "hung": (60.0, True)}
        stage.put("well")

        def suffer(name: str) -> None:
            seconds, hung = outages[name]
            outage = Outage(stage, operator, name, servers[name])
            outage.prepare()
            outage.last(seconds, hung=hung)
            outage.end(hung=hung)

        with ThreadPoolExecutor() as pool, servers["default"].client() as client:
            suffering = [pool.submit(suffer, name) for name in outages]
            for jobs, pods in ((35, 4), (75, 8)):
                time.sleep(15)
                client.rpush("bull:well:wait", *range(jobs))
                client.publish("bull:well:waiting@test", "0")
                assert stage.until_replicas("well", pods, 10) < 5, "the outage of one Redis must not hold up another's scalers"
                client.delete("bull:well:wait")
                stage.until_replicas("well", 0, 20)
            for done in suffering:
                done.result()
        lost = {line["server"] for line in operator.events("redis.lost")}
        assert lost == set(outages)
