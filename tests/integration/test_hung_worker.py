"""A worker whose loop stands still says so on /healthz, and an outage of Redis is no such thing: it must never restart the fleet."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from at_work import queue_at
from kayan import WorkerProcess, kayan
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server
from redis_process import ClusterGroup, RedisProcess
from slow_worker import SlowWorker
from waiting import wait_until

NO_WATCHDOG = """
from kayan_workers import worker
from kayan_workers.bull.line import Line
worker.HUNG_SECONDS = 9  # a watch in its order lasts 6.5 s
Line._watch = lambda line: None  # the fault: a call on a dead connection is never given up
"""
SCALED_DOWN = """
from kayan_workers import worker
from kayan_workers.bull import server, watch
worker.HUNG_SECONDS = 9
server.Server.__init__.__kwdefaults__["call_timeout"] = 2.0
server._TRY_SECONDS = 3.0
server._LONGEST_PAUSE = watch.TURN_SECONDS = watch._WATCH_SECONDS = 1.0
"""


@pytest.fixture
def slow(tmp_path: Path) -> SlowWorker:
    return SlowWorker(tmp_path)


def freeze(redis: RedisProcess, number: signal.Signals = signal.SIGSTOP) -> None:
    """Connections stand, and nobody answers."""
    assert redis.process is not None
    os.kill(redis.process.pid, number)


def is_alive(running: WorkerProcess) -> bool:
    return running.get("/healthz")[0] == 200


async def test_a_loop_that_waits_for_ever_is_named_on_healthz_and_in_the_log(private_redis: RedisProcess, slow: SlowWorker) -> None:
    with slow.running(first=NO_WATCHDOG, REDIS_URL=private_redis.url) as running:
        running.wait_for("redis.connected")
        assert is_alive(running)
        freeze(private_redis)
        await wait_until(lambda: not is_alive(running), 30)
        status, body = running.get("/livez")
        hung = json.loads(body)["hung"]
        assert (status, list(hung), "watch" in hung["slow"]) == (503, ["slow"], True), body
        told = running.wait_for("worker.hung")
        assert (told["queue"], "watch" in told["loops"]) == ("slow", True)
        freeze(private_redis, signal.SIGCONT)
        await wait_until(lambda: is_alive(running))
        assert len(running.events("worker.hung")) == 1
        freeze(private_redis)
        await wait_until(lambda: not is_alive(running), 30)
        assert len(running.events("worker.hung")) == 2, "it hangs again, and nobody is told"
        freeze(private_redis, signal.SIGCONT)


async def test_a_worker_is_alive_while_redis_hangs_or_is_away(private_redis: RedisProcess, slow: SlowWorker) -> None:
    with slow.running(first=SCALED_DOWN, REDIS_URL=private_redis.url) as running:
        running.wait_for("redis.connected")
        freeze(private_redis)
        running.wait_for("redis.lost")
        await stays_alive(running, seconds=14)
        private_redis.kill()
        await stays_alive(running, seconds=14)
        assert running.get("/readyz")[0] == 503
        private_redis.start()
        async with queue_at(private_redis.url, "slow") as queue:
            await queue.add({})
        running.wait_for("job.completed")
        assert is_alive(running)


async def test_a_worker_lives_through_an_outage_of_a_whole_cluster(slow: SlowWorker) -> None:
    """All nodes hang, then all are gone, then all are back; the second try to connect comes while none answers. A job runs all the while,
    whose lock is to be renewed: that call tries fewer nodes than there are, each for 5 s."""
    cluster = ClusterGroup()
    try:
        cluster.start()
        settings = {"REDIS_URL": cluster.url, "REDIS_CLUSTER": "true", "BULL_PREFIX": "{bull}"}
        fewer = f"{SCALED_DOWN}worker.HUNG_SECONDS = 15\nserver._OTHER_NODES = 0\n"
        with slow.running(first=fewer, LOCK_RENEW_MS="1500", **settings) as running:
            running.wait_for("redis.connected")
            producer = Server(RedisAddress(url=cluster.url, cluster=True))
            job = await Queue("slow", producer, prefix="{bull}").add({"seconds": 300})
            running.wait_for("job.started")
            lock = Keys("slow", "{bull}").lock(job.id)
            await wait_until(lambda: is_so(producer, lock, lambda ttl: ttl < 29_500), what="a lock that is about to be renewed")
            await wait_until(lambda: is_so(producer, lock, lambda ttl: ttl > 29_600), what="its renewal")
            await producer.close()
            for node in cluster.nodes:
                freeze(node)
            running.wait_for("redis.lost")
            await stays_alive(running, seconds=22)
            for node in cluster.nodes:
                node.kill()
            await stays_alive(running, seconds=5)
            unreachable = kayan("ping", "email", variables=settings)
            assert (unreachable.returncode, unreachable.stderr[:12], "Traceback" in unreachable.stderr) == (1, "kayan: Redis", False)
            for node in cluster.nodes:
                node.start()
            running.wait_for("redis.connected", count=2, timeout=60)
            assert is_alive(running)
    finally:
        cluster.remove()


async def is_so(server: Server, key: str, claim: Callable[[int], bool]) -> bool:
    """Whether the claim about the milliseconds that a key has to live is true."""
    return claim(int(await server.commands.pttl(key)))


async def stays_alive(running: WorkerProcess, *, seconds: float) -> None:
    """Ask for longer than any loop may stand still; the first bad answer ends the wait."""
    with pytest.raises(AssertionError, match="the last answer was False"):
        await wait_until(lambda: not is_alive(running), seconds)
