"""How much memory an idle ``kayan worker notification`` holds: untouched, and after the questions that a cluster keeps asking it."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis_process
from bench import fleet_worker
from bench.peers import Peer
from bench.results import Row, at_most
from bench.stage import Stage, resident_mb
from redis.asyncio import Redis

GOAL_MB = 45
_QUESTIONS = ("/healthz", "/readyz", "/metrics")
_TIMES_ASKED = 20


async def run(stage: Stage) -> list[Row]:
    untouched: list[float] = []
    asked: list[float] = []
    bull: list[float] = []
    with fleet_worker.database() as (database_url, _):
        for _ in range(stage.rounds):
            port = redis_process.free_port()
            with fleet_worker.worker("notification", stage.server.port, database_url, port) as process:
                await _idle(stage)
                untouched.append(resident_mb(process.pid))
                await asyncio.to_thread(_ask, port)
                asked.append(resident_mb(process.pid))
            async with _bull(stage) as peer:
                bull.append(resident_mb(peer.pid))
            await stage.empty()
    goal = at_most(GOAL_MB, "MB")
    return [
        Row("idle notification worker, resident", "MB", untouched, bull, goal),
        Row("the same after readiness probes and scrapes", "MB", asked, bull, goal),
    ]


@asynccontextmanager
async def _bull(stage: Stage) -> AsyncIterator[Peer]:
    """Bull alone, with no processor, no database client and no health port: less than a Node worker that could do the work."""
    async with Peer("bull", stage.url) as peer:
        await peer.ask("work", queue="notification", concurrency=10)
        await asyncio.sleep(min(stage.seconds, 10))
        yield peer


async def _idle(stage: Stage) -> None:
    """Wait until the worker listens to its queue, then some seconds more."""
    async with stage.client() as client:
        async with asyncio.timeout(20):
            while not await _is_listed(client):
                await asyncio.sleep(0.05)
    await asyncio.sleep(min(stage.seconds, 10))


async def _is_listed(client: Redis) -> bool:
    return any(str(each.get("name", "")).startswith("bull:") for each in await client.client_list())


def _ask(port: int) -> None:
    for _ in range(_TIMES_ASKED):
        for path in _QUESTIONS:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                answer.read()
