"""Forty heavy jobs arrive at once at ten idle workers of five slots: how evenly do they spread over the processes?"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack

from bench.peer import APP_OPTIONS
from bench.peers import SIDES, Crew, Peer, Side
from bench.results import Row, always_within
from bench.stage import Stage
from kayan_workers.bull.producer import BulkJob
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server

WORKERS, SLOTS, JOBS = 10, 5, 40
_HEAVY_MS = 1500


async def run(stage: Stage) -> list[Row]:
    most: dict[Side, list[float]] = defaultdict(list)
    fewest: dict[Side, list[float]] = defaultdict(list)
    server = Server(RedisAddress(url=stage.url))
    for side in SIDES:
        producer = Queue(side, server, defaults=APP_OPTIONS)
        async with AsyncExitStack() as stack:
            crew = Crew([await stack.enter_async_context(Peer(side, stage.url)) for _ in range(WORKERS)])
            for number, peer in enumerate(crew.peers):
                more = {"spread": True, "name": f"heavy-{number}"} if side == "ours" else {}
                await peer.ask("work", queue=side, concurrency=SLOTS, handler="sleep", **more)
            await asyncio.sleep(1)
            for _ in range(stage.rounds):
                shares = await _burst(producer, crew)
                most[side].append(max(shares))
                fewest[side].append(min(shares))
        await producer.close()
    await server.close()
    even = always_within(JOBS / WORKERS - 1, JOBS / WORKERS + 1)
    return [
        Row(f"{JOBS} heavy jobs at {WORKERS} workers: most on one", "jobs", most["ours"], most["bull"], even),
        Row(f"{JOBS} heavy jobs at {WORKERS} workers: fewest on one", "jobs", fewest["ours"], fewest["bull"], even),
    ]


async def _burst(producer: Queue, crew: Crew) -> list[float]:
    """Jobs per worker of one burst; returns when all have ended and everybody is idle again."""
    await crew.ask("reset")
    await producer.add_bulk([BulkJob({"ms": _HEAVY_MS}) for _ in range(JOBS)])
    await crew.handled(JOBS)
    shares: list[float] = await crew.ask("count")
    await asyncio.sleep(0.5)
    return shares
