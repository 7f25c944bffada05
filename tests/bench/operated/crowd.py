"""Many scalers on one Redis: their start, what they cost at rest and at work, how soon one of them is woken, and a flood beside them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.operated import cluster, external, keda
from bench.operated.cluster import Crowd
from bench.operated.operator import Operator, Used, operating
from bench.operated.parts import measured
from bench.operated.producer import Producer
from bench.operated.reaction import Waking, decided_ms
from bench.operated.watching import Deployments, Scalers
from bench.results import Row, at_most
from bench.stage import Stage, resident_mb
from kayan_operator.cluster.kube import Kube
from kubernetes.aio.client import ApiClient

WAKES_A_ROUND = 40
FLOOD_PER_SECOND = 5000
_FLOOD_SECONDS = 20.0
_SETTLE_SECONDS = 15.0
"""After all have a status: their first looks are written down, and every watch has said what it had to."""
_START_SECONDS = 600.0
_CPU_GOAL, _MEMORY_GOAL, _COMMANDS_GOAL, _CONNECTIONS_GOAL = 0.3, 250, 50, 5


@dataclass(frozen=True, slots=True)
class _Queues:
    """Who is used for what: no queue is woken twice."""

    woken: Sequence[str]
    beside_the_flood: Sequence[str]
    flooded: str
    published: Sequence[str]
    """Whose numbers an HPA gets."""

    @classmethod
    def of(cls, names: Sequence[str], wakes: int) -> _Queues:
        some = max(1, len(names) // 10)
        wakes = min(wakes, len(names) - 2 * some - 1)
        return cls(names[:wakes], names[-some - 1 - min(some, 40):-some - 1], names[-some - 1], names[-some:])


@dataclass(frozen=True)
class _Place:
    stage: Stage
    namespace: str
    client: ApiClient
    operator: Operator
    deployments: Deployments
    scalers: Scalers
    queues: _Queues

    @property
    def who(self) -> str:
        return f"{self.stage.scalers:,} scalers"


async def run(stage: Stage) -> list[Row]:
    names = [f"queue-{number:04}" for number in range(stage.scalers)]
    with cluster.room() as namespace:
        async with (
            cluster.client() as client, operating(namespace.name, stage.server, **external.settings()) as operator,
            Deployments(client, namespace.name) as deployments, Scalers(client, namespace.name) as scalers,
        ):
            queues = _Queues.of(names, WAKES_A_ROUND * stage.rounds)
            place = _Place(stage, namespace.name, client, operator, deployments, scalers, queues)
            rows = await _start(place, names)
            rows += await measured(stage, "at rest", _at_rest(place))
            async with Producer(stage.url) as producer:
                rows += await measured(stage, "wakes", _wakes(place, producer))
                rows += await measured(stage, "at work", _at_work(place))
                rows += await measured(stage, "flood", _flood(place, producer))
            metrics = external.run(stage, namespace, client, operator, queues.published, scalers)
            rows += await measured(stage, "external metrics", metrics)
    return rows


async def _start(place: _Place, names: Sequence[str]) -> list[Row]:
    crowd, count = Crowd(Kube(place.client), place.namespace), len(names)
    await crowd.deployments(names)
    began = time.monotonic()
    creating = asyncio.create_task(crowd.scalers(names))
    await place.scalers.until(lambda: place.scalers.seen() == count, _START_SECONDS, what=f"all {count} scalers have a status")
    took = time.monotonic() - began
    await creating
    return [
        Row(f"{place.who}: from creating the first until all have a status", "s", [took]),
        Row("the same for each hundred of them", "s", [took * 100 / count], keda.START_SECONDS_OF_100),
    ]


async def _at_rest(place: _Place) -> list[Row]:
    stage, operator = place.stage, place.operator
    await asyncio.sleep(min(_SETTLE_SECONDS, 2 * stage.seconds))
    connections = float(operator.connections())
    windows, memory = await _windows(place)
    rows = [
        Row(f"{place.who} at rest: CPU", "cores", [used.cpu for used in windows], (), at_most(_CPU_GOAL, "cores")),
        Row(f"{place.who} at rest: memory (RSS)", "MB", memory, (), at_most(_MEMORY_GOAL, "MB")),
        Row(f"{place.who} at rest: Redis commands", "1/s", [used.commands for used in windows], (), at_most(_COMMANDS_GOAL, "1/s")),
        Row(f"{place.who} at rest: connections to Redis (KEDA: 100 ScaledObjects)", "", [connections], [keda.CONNECTIONS_OF_100],
            at_most(_CONNECTIONS_GOAL, "")),
        Row(f"{place.who} at rest: writes to the Kubernetes API", "1/s", [used.writes for used in windows], (), at_most(0, "1/s")),
        Row(f"{place.who} at rest: renewals of the Lease", "1/s", [used.renewals for used in windows]),
        Row(f"{place.who} at rest: reads of the Kubernetes API", "1/s", [used.reads for used in windows]),
    ]
    if stage.profile or any(row.met is False for row in rows):
        async with operator.sampled(stage.profiles, f"the operator with {place.who} at rest"):
            await asyncio.sleep(stage.seconds)
    return rows


async def _windows(place: _Place) -> tuple[list[Used], list[float]]:
    """What a second costs, window by window, and the memory after each."""
    windows, memory = [], []
    for _ in range(place.stage.rounds):
        windows.append((await place.operator.used_within(place.stage.seconds)).each(place.stage.seconds))
        memory.append(resident_mb(place.operator.pid))
    return windows, memory


async def _wakes(place: _Place, producer: Producer) -> list[Row]:
    waking, names = Waking(producer, place.deployments), place.queues.woken
    added = await waking.wake(names)
    written = waking.written_ms(added)
    decided = await decided_ms(place.stage.url, place.namespace, added)
    title = f"one of {place.who}: job added → scale written ({len(names)} idle queues)"
    return [
        Row(f"{title}, p50", "ms", written, (), at_most(150, "ms")),
        Row(f"{title}, p95", "ms", written, (), at_most(500, "ms", 0.95), share=0.95),
        Row(f"one of {place.who}: job added → decision, p50", "ms", decided),
        Row(f"one of {place.who}: job added → decision, p99", "ms", decided, (), at_most(1000, "ms", 0.99), share=0.99),
    ]


async def _at_work(place: _Place) -> list[Row]:
    windows, memory = await _windows(place)
    who = f"{place.who}, {len(place.queues.woken)} of them with a job"
    if place.stage.profile:
        async with place.operator.sampled(place.stage.profiles, f"the operator with {who}"):
            await asyncio.sleep(place.stage.seconds)
    return [
        Row(f"{who}: CPU", "cores", [used.cpu for used in windows]),
        Row(f"{who}: memory (RSS)", "MB", memory),
        Row(f"{who}: Redis commands", "1/s", [used.commands for used in windows]),
        Row(f"{who}: writes to the Kubernetes API", "1/s", [used.writes for used in windows]),
    ]


async def _flood(place: _Place, producer: Producer) -> list[Row]:
    """One queue gets thousands of jobs a second, from a Node of its own; others get their first job meanwhile."""
    stage, queues = place.stage, place.queues
    seconds = min(_FLOOD_SECONDS, 2 * stage.seconds)
    waking = Waking(producer, place.deployments, pause=(0.0, 2 * seconds / (len(queues.beside_the_flood) + 4)))
    async with Producer(stage.url) as flooding:
        await flooding.open([queues.flooded])

        async def flood() -> tuple[int, Used]:
            before = await place.operator.used()
            jobs = await flooding.flood(queues.flooded, FLOOD_PER_SECOND, seconds)
            return jobs, (await place.operator.used() - before).each(seconds)

        (jobs, used), added = await asyncio.gather(flood(), waking.wake(queues.beside_the_flood))
        if stage.profile:
            async with place.operator.sampled(stage.profiles, "the operator beside a flood"):
                await flooding.flood(queues.flooded, FLOOD_PER_SECOND, seconds)
    decided = await decided_ms(stage.url, place.namespace, added)
    written, title = waking.written_ms(added), f"flood of {FLOOD_PER_SECOND:,} jobs/s to one queue"
    return [
        Row(f"{title}: what Bull managed", "jobs/s", [jobs / seconds]),
        Row(f"{title}: CPU of the operator", "cores", [used.cpu]),
        Row(f"{title}: its writes to the Kubernetes API", "1/s", [used.writes]),
        Row(f"{title}: the others, job added → scale written, p50 ({len(added)} queues)", "ms", written),
        Row(f"{title}: the others, job added → scale written, p95", "ms", written, share=0.95),
        Row(f"{title}: the others, job added → decision, p95", "ms", decided, share=0.95),
    ]
