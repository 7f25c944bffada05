"""A backlog of one of the app's queues, worked off by a whole worker process with a real PostgreSQL: ours, and the app's own in Node.

Time runs from the start of the process, with all jobs waiting, until nothing waits and nothing is active: by then every row is
there, and the rows are counted. What a start costs is part of both sides' numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from app import App
from bench import fleet_worker
from bench.peers import SIDES, TESTS, Side
from bench.results import Goal, Row, at_most_peer, times_peer
from bench.stage import Stage
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.producer import BulkJob
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server
from wire import node_packages

_SLOWER = 5
"""The peer gets this fraction of the jobs: its rate is the same, and nobody waits minutes for it."""
_WITHIN_SECONDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits, and what must have become of it."""

    role: str
    jobs: Callable[[App, int], Sequence[Any]]
    """Makes the rows that the jobs point at, once, and returns so many payloads."""
    options: JobOptions
    tables: tuple[str, ...]
    """Which tables the jobs fill."""
    check: Callable[[App, Sequence[Any]], None]
    """Raises AssertionError unless the tables hold exactly what the payloads deserve."""


@dataclass(frozen=True, slots=True)
class WorkedOff:
    """One round of one side."""

    rate: float
    steady_rate: float
    """Of the eight tenths in the middle."""
    cpu_usec: float


async def run(stage: Stage, backlog: Backlog, times: float) -> list[Row]:
    """Alternating rounds of both sides, the first of each to warm up."""
    seen: dict[Side, list[WorkedOff]] = defaultdict(list)
    with fleet_worker.database() as (database_url, app):
        payloads = backlog.jobs(app, stage.jobs)
        for number in range(1 + stage.rounds):
            for side in SIDES:
                some = payloads if side == "ours" else payloads[: max(1, len(payloads) // _SLOWER)]
                await _wait_in_line(stage, backlog, some)
                round_ = await _worked_off(stage, backlog.role, side, database_url, app)
                backlog.check(app, some)
                await _clear(stage, backlog, app)
                if number:
                    seen[side].append(round_)
    return [
        _row(f"{backlog.role}: start of the worker → last row", "jobs/s", seen, "rate", times_peer(times)),
        _row(f"{backlog.role}: once under way", "jobs/s", seen, "steady_rate"),
        _row(f"{backlog.role}: worker CPU per job, its start included", "µs", seen, "cpu_usec", at_most_peer()),
    ]


def _row(name: str, unit: str, seen: Mapping[Side, Sequence[WorkedOff]], what: str, goal: Goal | None = None) -> Row:
    ours, bull = ([getattr(one, what) for one in seen[side]] for side in SIDES)
    return Row(name, unit, ours, bull, goal)


async def _wait_in_line(stage: Stage, backlog: Backlog, payloads: Sequence[Any]) -> None:
    """Add the jobs as the app does, and let them become due."""
    server = Server(RedisAddress(url=stage.url))
    queue = Queue(backlog.role, server, defaults=backlog.options)
    await queue.add_bulk(BulkJob(payload) for payload in payloads)
    await queue.close()
    await server.close()
    await asyncio.sleep((backlog.options.delay_ms or 0) / 1000)


async def _worked_off(stage: Stage, role: str, side: Side, database_url: str, app: App) -> WorkedOff:
    """Start the worker and wait until the queue is empty."""
    app.connection.execute("CHECKPOINT")  # so that no round pays for the one before
    cpu = _cpu_of_children()
    left: list[tuple[float, int]] = []
    began = time.perf_counter()
    process = _start(role, side, stage.server.port, database_url)
    try:
        async with stage.client() as client, asyncio.timeout(_WITHIN_SECONDS):
            while not left or left[-1][1]:
                left.append((time.perf_counter() - began, await _left(client, role)))
                if process.poll() is not None:
                    raise RuntimeError(f"the worker of {side} ended with {process.returncode}")
                await asyncio.sleep(0.01)
    finally:
        await asyncio.to_thread(fleet_worker.end, process)
    jobs = left[0][1]
    middle = [(at, some) for at, some in left if jobs * 0.1 <= some <= jobs * 0.9] or left
    return WorkedOff(
        jobs / left[-1][0], (middle[0][1] - middle[-1][1]) / max(0.01, middle[-1][0] - middle[0][0]),
        (_cpu_of_children() - cpu) / jobs * 1e6,
    )


def _start(role: str, side: Side, redis_port: int, database_url: str) -> subprocess.Popen[bytes]:
    if side == "ours":
        return fleet_worker.start(role, redis_port, database_url)
    variables = os.environ | {
        "REDIS_PORT": str(redis_port), "DATABASE_URL": database_url, "NODE_ENV": "production", "TZ": "UTC",
        "NODE_PATH": str(node_packages.FOLDER / "node_modules"),
    }
    arguments = [node_packages.node(), str(TESTS / "bench" / "node" / "app_worker.js"), role]
    return subprocess.Popen(arguments, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=Path("/"))


async def _left(client: Any, queue: str) -> int:
    base = f"bull:{queue}:"
    async with client.pipeline(transaction=True) as pipe:
        pipe.llen(base + "wait").llen(base + "active").zcard(base + "delayed")
        return sum(await pipe.execute())


async def _clear(stage: Stage, backlog: Backlog, app: App) -> None:
    await stage.empty()
    tables = ", ".join(f'"{table}"' for table in backlog.tables)
    app.connection.execute(f"TRUNCATE {tables}")  # type: ignore[arg-type]
    with contextlib.suppress(psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):  # nobody has needed it
        app.connection.execute("TRUNCATE kayan_workers.ledger")


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
