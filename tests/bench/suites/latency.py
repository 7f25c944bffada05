"""From the call that adds a job to the start of its handler, on an idle queue: one producer for both sides, one worker process each."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from contextlib import AsyncExitStack

from bench.peers import SIDES, Peer, Side
from bench.producing import Producing
from bench.results import Row, at_most_peer
from bench.stage import Stage, percentile

_ADDS_A_ROUND = 1000
_WARM_UP_ADDS = 500


async def run(stage: Stage) -> list[Row]:
    p50: dict[Side, list[float]] = defaultdict(list)
    p99: dict[Side, list[float]] = defaultdict(list)
    adds = min(_ADDS_A_ROUND, stage.jobs)
    async with AsyncExitStack() as stack:
        producing = await stack.enter_async_context(Producing(stage.url))
        peers = {side: await stack.enter_async_context(Peer(side, stage.url)) for side in SIDES}
        for side, peer in peers.items():
            await peer.ask("work", queue=side, concurrency=10, handler="clock")
            await _one_at_a_time(producing, peer, side, min(_WARM_UP_ADDS, adds))
        for _ in range(stage.rounds):
            for side, peer in peers.items():
                latencies = await _one_at_a_time(producing, peer, side, adds)
                p50[side].append(percentile(latencies, 0.5))
                p99[side].append(percentile(latencies, 0.99))
    return [
        Row("added → handler starts, p50", "ms", p50["ours"], p50["bull"], at_most_peer()),
        Row("added → handler starts, p99", "ms", p99["ours"], p99["bull"], at_most_peer()),
    ]


async def _one_at_a_time(producing: Producing, peer: Peer, queue: str, adds: int) -> list[float]:
    """Latencies in ms of jobs that arrive every 3 to 9 ms: each finds the queue idle, at no fixed phase."""
    await peer.ask("reset")
    dice = random.Random(adds)
    for _ in range(adds):
        await producing.queue(queue).add({"at": time.monotonic() * 1000})
        await asyncio.sleep(dice.uniform(0.003, 0.009))
    await peer.ask("completed", count=adds)
    latencies: list[float] = await peer.ask("latencies")
    return latencies
