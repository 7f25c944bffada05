"""How fast a producer adds jobs: one by one with many adds under way, and in bulk."""

from __future__ import annotations

from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bench.peers import SIDES, Peer, Side
from bench.results import Row, times_peer
from bench.stage import PAYLOAD, Stage


@dataclass(frozen=True, slots=True)
class Way:
    """One way to add. ``size``: adds under way at a time, or jobs per bulk call."""

    name: str
    how: str
    size: int
    factor: float | None
    share: int = 1
    """Only every so many-th of the jobs: one after another is slow and needs fewer for a steady number."""


WAYS = (
    Way("add one by one, 500 under way", "concurrent", 500, 1),
    Way("add in bulk, 1,000 a call", "bulk", 1000, 3),
    Way("add one after another", "concurrent", 1, None, share=10),
)


async def run(stage: Stage) -> list[Row]:
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        peers = {side: await stack.enter_async_context(Peer(side, stage.url)) for side in SIDES}
        for way in WAYS:
            rates: dict[Side, list[float]] = defaultdict(list)
            usec: dict[Side, list[float]] = defaultdict(list)
            for number in range(1 + stage.rounds):  # the first warms up
                for side, peer in peers.items():
                    rate, redis_usec = await _add(stage, peer, way)
                    if number:
                        rates[side].append(rate)
                        usec[side].append(redis_usec)
            goal = times_peer(way.factor) if way.factor else None
            rows.append(Row(way.name, "jobs/s", rates["ours"], rates["bull"], goal))
            rows.append(Row(f"Redis time per job, {way.name}", "µs", usec["ours"], usec["bull"]))
            if stage.profile or rows[-2].met is False:
                await peers["ours"].ask("profile_start")
                rate, redis_usec = await _add(stage, peers["ours"], way)
                text = await peers["ours"].ask("profile_stop")
                stage.profiles[way.name] = f"{rate:,.0f} jobs/s while sampling; Redis {redis_usec:.1f} µs per job\n{text}"
    return rows


async def _add(stage: Stage, peer: Peer, way: Way) -> tuple[float, float]:
    """Jobs per second, and microseconds of Redis per job."""
    await stage.empty()
    jobs = max(1, stage.jobs // way.share)
    before = await stage.books()
    seconds = await peer.ask("add", queue="adds", jobs=jobs, data=PAYLOAD, how=way.how, size=way.size)
    after = await stage.books()
    return jobs / seconds, (after.script_usec - before.script_usec) / jobs
