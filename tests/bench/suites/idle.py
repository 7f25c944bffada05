"""What a worker with nothing to do costs: commands that Redis sees, CPU of the worker and of Redis.

Each side has a Redis of its own, so that both are watched in the same window.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import replace

import redis_process
from bench.peers import SIDES, Crew, Peer, Side
from bench.results import Row, at_most_peer
from bench.stage import Stage

FLEETS = (1, 100)
"""How many idle workers on one queue. The larger fleet lives in two processes of each side."""

_SETTLE_SECONDS = 3.0
_INFO_COMMANDS = 3


async def run(stage: Stage) -> list[Row]:
    rows: list[Row] = []
    for workers in FLEETS:
        rows += await _idle(stage, workers)
    return rows


async def _idle(stage: Stage, workers: int) -> list[Row]:
    commands: dict[Side, list[float]] = defaultdict(list)
    worker_cpu: dict[Side, list[float]] = defaultdict(list)
    redis_cpu: dict[Side, list[float]] = defaultdict(list)
    processes = min(2, workers)
    async with AsyncExitStack() as stack:
        sides: dict[Side, tuple[Stage, Crew]] = {}
        for side in SIDES:
            own = replace(stage, server=stack.enter_context(redis_process.running("--appendonly", "no")))
            crew = Crew([await stack.enter_async_context(Peer(side, own.url)) for _ in range(processes)])
            for number, peer in enumerate(crew.peers):
                await peer.ask("work", queue="idle", workers=workers // processes, concurrency=10, name=f"idle-{number}")
            sides[side] = own, crew
        await asyncio.sleep(min(_SETTLE_SECONDS, stage.seconds))
        for _ in range(stage.rounds):
            before = {side: (await own.books(), await crew.total("cpu")) for side, (own, crew) in sides.items()}
            await asyncio.sleep(stage.seconds)
            each = workers * stage.seconds
            for side, (own, crew) in sides.items():
                books, cpu = before[side]
                after, cpu_after = await own.books(), await crew.total("cpu")
                commands[side].append((after.commands - books.commands - _INFO_COMMANDS) / each)
                worker_cpu[side].append((cpu_after - cpu) * 1000 / each)
                redis_cpu[side].append((after.cpu - books.cpu) * 1000 / stage.seconds)
    who = f"{workers} idle worker{'s' if workers > 1 else ''}"
    return [
        Row(f"{who}: commands per worker", "1/s", commands["ours"], commands["bull"], at_most_peer()),
        Row(f"{who}: CPU per worker", "ms/s", worker_cpu["ours"], worker_cpu["bull"], at_most_peer()),
        Row(f"{who}: CPU of Redis", "ms/s", redis_cpu["ours"], redis_cpu["bull"]),
    ]
