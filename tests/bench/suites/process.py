"""How fast one worker process drains a full queue, and what each job costs Redis and the worker."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bench.peers import SIDES, Peer, Side
from bench.results import Row, at_most_peer, times_peer
from bench.stage import Stage

CONCURRENCIES = {10: 2.0, 50: 3.0}
"""Slots -> how many times Bull's rate is the goal."""

_WARM_UP_ROUNDS = 1


@dataclass(frozen=True, slots=True)
class Drained:
    """One queue worked off."""

    rate: float
    redis_usec: float
    redis_cpu_usec: float
    worker_cpu_usec: float


async def run(stage: Stage) -> list[Row]:
    rows: list[Row] = []
    for concurrency, factor in CONCURRENCIES.items():
        seen: dict[Side, list[Drained]] = defaultdict(list)
        async with AsyncExitStack() as stack:
            peers = {side: await stack.enter_async_context(Peer(side, stage.url)) for side in SIDES}
            for side, peer in peers.items():
                await peer.ask("work", queue=side, concurrency=concurrency)
            for number in range(_WARM_UP_ROUNDS + stage.rounds):
                for side, peer in peers.items():
                    drained = await _drain(stage, peer, side)
                    if number >= _WARM_UP_ROUNDS:
                        seen[side].append(drained)
            rows += _rows(concurrency, factor, seen["ours"], seen["bull"])
            if stage.profile or not all(row.met is not False for row in rows[-4:]):
                stage.profiles[f"process, concurrency {concurrency}"] = await _profile(stage, peers["ours"])
        await stage.empty()
    return rows


async def _drain(stage: Stage, peer: Peer, queue: str) -> Drained:
    await stage.fill(queue, stage.jobs)
    await peer.ask("reset")
    cpu, books = await peer.ask("cpu"), await stage.books()
    began = time.perf_counter()
    await stage.release(queue)
    await peer.ask("completed", count=stage.jobs, within=30 + stage.jobs / 1000)
    took = time.perf_counter() - began
    after, cpu_after = await stage.books(), await peer.ask("cpu")
    each = 1e6 / stage.jobs
    return Drained(
        stage.jobs / took, (after.script_usec - books.script_usec) / stage.jobs, (after.cpu - books.cpu) * each, (cpu_after - cpu) * each,
    )


def _rows(concurrency: int, factor: float, ours: list[Drained], bull: list[Drained]) -> list[Row]:
    where = f"concurrency {concurrency}"
    return [
        Row(f"process, {where}", "jobs/s", [d.rate for d in ours], [d.rate for d in bull], times_peer(factor)),
        Row(f"Redis time per job, {where}", "µs", [d.redis_usec for d in ours], [d.redis_usec for d in bull], at_most_peer()),
        Row(f"Redis CPU per job, {where}", "µs", [d.redis_cpu_usec for d in ours], [d.redis_cpu_usec for d in bull]),
        Row(f"worker CPU per job, {where}", "µs", [d.worker_cpu_usec for d in ours], [d.worker_cpu_usec for d in bull]),
    ]


async def _profile(stage: Stage, peer: Peer) -> str:
    await peer.ask("profile_start")
    drained = await _drain(stage, peer, "ours")
    text: str = await peer.ask("profile_stop")
    costs = f"worker {drained.worker_cpu_usec:.1f} µs CPU, Redis {drained.redis_usec:.1f} µs"
    return f"{drained.rate:,.0f} jobs/s while sampling; per job: {costs}\n{text}"
