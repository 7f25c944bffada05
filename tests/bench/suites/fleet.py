"""Many workers on one queue that is mostly idle: what a job costs Redis, and how long it waits. It must not grow with the fleet.

The workers of a side live in two processes, each worker with connections of its own. What the producer costs is measured alone and
taken off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bench.peers import SIDES, Crew, Peer, Side
from bench.producing import Producing
from bench.results import Row, at_most, at_most_peer
from bench.stage import Stage, percentile

FLEETS = (10, 100)
RATES = (200, 1000)
FLAT = 1.25
"""What a job may cost more with the largest fleet than with the smallest, to count as flat."""

_PROCESSES = 2
_LONGEST_WINDOW = 10.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One window of one side, per job."""

    commands: float
    redis_cpu_usec: float
    worker_cpu_usec: float
    p50_ms: float
    p99_ms: float


Windows = dict[tuple[int, int, Side], list[Seen]]
"""(workers, jobs per second, side) -> one entry per round."""


async def run(stage: Stage) -> list[Row]:
    windows: Windows = defaultdict(list)
    async with Producing(stage.url) as producing:
        alone = {rate: await _window(stage, producing, Crew([]), "nobody", rate) for rate in RATES}
        await stage.empty()
        for workers in FLEETS:
            async with AsyncExitStack() as stack:
                crews = {side: await _crew(stage, stack, side, workers) for side in SIDES}
                for side, crew in crews.items():
                    await _window(stage, producing, crew, side, RATES[-1])  # warms up
                for rate in RATES:
                    for _ in range(stage.rounds):
                        for side, crew in crews.items():
                            windows[workers, rate, side].append(_without(await _window(stage, producing, crew, side, rate), alone[rate]))
    return [row for rate in RATES for row in (*_beside_bull(windows, rate), *_flat(windows, rate))]


async def _crew(stage: Stage, stack: AsyncExitStack, side: Side, workers: int) -> Crew:
    crew = Crew([await stack.enter_async_context(Peer(side, stage.url)) for _ in range(_PROCESSES)])
    for number, peer in enumerate(crew.peers):
        await peer.ask("work", queue=side, workers=workers // _PROCESSES, concurrency=10, handler="clock", name=f"fleet-{number}")
    return crew


async def _window(stage: Stage, producing: Producing, crew: Crew, queue: str, rate: int) -> Seen:
    await crew.ask("reset")
    cpu, books = await crew.total("cpu"), await stage.books()
    jobs = await producing.at_rate(queue, rate, min(stage.seconds, _LONGEST_WINDOW))
    if crew.peers:
        await crew.handled(jobs)
    after, cpu_after = await stage.books(), await crew.total("cpu")
    latencies = [ms for some in await crew.ask("latencies") for ms in some] or [0.0]
    each = 1e6 / jobs
    return Seen(
        (after.commands - books.commands) / jobs, (after.cpu - books.cpu) * each, (cpu_after - cpu) * each,
        percentile(latencies, 0.5), percentile(latencies, 0.99),
    )


def _without(window: Seen, alone: Seen) -> Seen:
    return Seen(
        window.commands - alone.commands, max(0.0, window.redis_cpu_usec - alone.redis_cpu_usec), window.worker_cpu_usec,
        window.p50_ms, window.p99_ms,
    )


def _beside_bull(windows: Windows, rate: int) -> Sequence[Row]:
    many = FLEETS[-1]
    ours, bull = windows[many, rate, "ours"], windows[many, rate, "bull"]
    who = f"{many} workers, {rate:,} jobs/s"
    return [
        Row(f"{who}: Redis commands per job", "", [s.commands for s in ours], [s.commands for s in bull], at_most_peer(3)),
        Row(f"{who}: Redis CPU per job", "µs", [s.redis_cpu_usec for s in ours], [s.redis_cpu_usec for s in bull], at_most_peer(1.5)),
        Row(f"{who}: worker CPU per job", "µs", [s.worker_cpu_usec for s in ours], [s.worker_cpu_usec for s in bull], at_most_peer(1.5)),
        Row(f"{who}: added → handler starts, p50", "ms", [s.p50_ms for s in ours], [s.p50_ms for s in bull]),
        Row(f"{who}: added → handler starts, p99", "ms", [s.p99_ms for s in ours], [s.p99_ms for s in bull], at_most(3, "ms")),
    ]


def _flat(windows: Windows, rate: int) -> Sequence[Row]:
    """Ours with the largest fleet beside ours with the smallest: here the peer is ourselves."""
    few, many = FLEETS[0], FLEETS[-1]
    small, large = windows[few, rate, "ours"], windows[many, rate, "ours"]
    title = f"{rate:,} jobs/s, {many} workers beside {few} of our own"
    flat = at_most_peer(FLAT)
    goal = type(flat)(f"≤ {FLAT:g}× {few} workers", flat.met)
    return [
        Row(f"{title}: Redis commands per job", "", [s.commands for s in large], [s.commands for s in small], goal),
        Row(f"{title}: Redis CPU per job", "µs", [s.redis_cpu_usec for s in large], [s.redis_cpu_usec for s in small], goal),
        Row(f"{title}: p99", "ms", [s.p99_ms for s in large], [s.p99_ms for s in small]),
    ]
