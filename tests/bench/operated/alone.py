"""One scaler and nothing else to do: how soon its first pod is asked for; and a burst that deserves a hundred, up and down again."""

from __future__ import annotations

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from bench.operated import cluster, keda
from bench.operated.cluster import Crowd
from bench.operated.operator import Operator, operating
from bench.operated.producer import Producer
from bench.operated.reaction import Waking, emptied
from bench.operated.watching import Deployments, Scalers
from bench.results import Row, at_most
from bench.stage import Stage
from kayan_operator.cluster.kube import Kube

ADDS_A_ROUND = 20
BURST = 1000
"""Jobs, of which each pod gets ten."""
_JOBS_A_POD = 10
_QUICK = {"cooldown": "1s", "scaleDown": {"stabilization": "1s"}}
_SETTLE_SECONDS = 2.0
"""After the number is there: time for another write that should not come."""
_PODS_SECONDS = 180.0


@dataclass(frozen=True)
class _Place:
    stage: Stage
    operator: Operator
    deployments: Deployments
    producer: Producer


async def run(stage: Stage) -> list[Row]:
    jobs = min(BURST, stage.jobs)
    pods = -(-jobs // _JOBS_A_POD)
    with cluster.room() as namespace:
        async with (
            cluster.client() as client, operating(namespace.name, stage.server) as operator,
            Deployments(client, namespace.name) as deployments, Scalers(client, namespace.name) as scalers, Producer(stage.url) as producer,
        ):
            crowd = Crowd(Kube(client), namespace.name)
            await crowd.deployments(["alone", "burst"])
            await crowd.scalers(["alone"], **_QUICK)
            await scalers.until(lambda: scalers.seen() == 1, 30, what="the scaler has a status")
            place = _Place(stage, operator, deployments, producer)
            woken = await _wake_again_and_again(place, ADDS_A_ROUND * stage.rounds if stage.jobs >= BURST else 3 * stage.rounds)
            await crowd.scalers(["burst"], maxReplicas=pods, **_QUICK)
            await scalers.until(lambda: scalers.seen() == 2, 30, what="the scaler of the burst has a status")
            bursts: dict[str, list[float]] = defaultdict(list)
            with_pods = bool(cluster.simulated_nodes())
            for _ in range(stage.rounds):
                for name, figure in (await _burst(place, jobs, pods, with_pods=with_pods)).items():
                    bursts[name].append(figure)
            interrupted = await operator.metric("kayan_jobs_interrupted_by_scaling_total")
    return [*_rows_of_waking(woken), *_rows_of_bursts(bursts, jobs, pods, interrupted)]


async def _wake_again_and_again(place: _Place, adds: int) -> list[float]:
    """Ms from a job to its pod's being asked for, each time from rest."""
    waking, dice = Waking(place.producer, place.deployments), random.Random(adds)
    found: list[float] = []
    for _ in range(adds):
        found += waking.written_ms(await waking.wake(["alone"]))
        await emptied(place.stage.url, "alone")
        await _at_rest(place, "alone")
        await asyncio.sleep(dice.uniform(0, 0.5))
    return found


async def _burst(place: _Place, jobs: int, pods: int, *, with_pods: bool) -> dict[str, float]:
    deployments = place.deployments
    await place.producer.open(["burst"])
    added = (await place.producer.bulk("burst", jobs)).monotonic
    await deployments.until(lambda: deployments.replicas("burst") == pods, 60, what=f"{pods} pods are asked for")
    figures: dict[str, float] = {}
    if with_pods:
        ready = await deployments.until(lambda: deployments.ready("burst") == pods, _PODS_SECONDS, what=f"{pods} pods are ready")
        figures["ready"] = ready - added
    await asyncio.sleep(_SETTLE_SECONDS)
    writes = deployments.changes_of("burst", added)
    figures["requested"] = 1000 * (writes[-1].at - added)
    figures["writes"] = len(writes)
    emptied_at = time.monotonic()
    await emptied(place.stage.url, "burst")
    await _at_rest(place, "burst")
    lowered = deployments.changes_of("burst", emptied_at)
    figures["lowered"] = lowered[-1].at - emptied_at
    figures["lowering writes"] = len(lowered)
    return figures


async def _at_rest(place: _Place, name: str) -> None:
    deployments = place.deployments
    await deployments.until(
        lambda: deployments.replicas(name) == 0 and deployments.present(name) == 0, _PODS_SECONDS, what=f"{name} has no pods"
    )


def _rows_of_waking(woken: list[float]) -> list[Row]:
    title = f"one scaler: job added to its idle queue → scale written ({len(woken)} times)"
    return [
        Row(f"{title}, p50", "ms", woken, [keda.FIRST_POD_P50_MS], at_most(150, "ms")),
        Row(f"{title}, p95", "ms", woken, [keda.FIRST_POD_P95_MS], at_most(500, "ms", 0.95), share=0.95),
        Row("the same, KEDA polling every second, p50", "ms", woken, [keda.FIRST_POD_TUNED_P50_MS]),
        Row("the same, KEDA polling every second, p95", "ms", woken, [keda.FIRST_POD_TUNED_P95_MS], share=0.95),
    ]


def _rows_of_bursts(bursts: Mapping[str, list[float]], jobs: int, pods: int, interrupted: float) -> list[Row]:
    title, is_whole = f"{jobs:,} jobs at 0 replicas → {pods} requested", jobs == BURST
    rows = [
        Row(title, "ms", bursts["requested"], [keda.HUNDRED_PODS_MS] if is_whole else (), at_most(500, "ms")),
        Row(f"{title}: writes of the number", "", bursts["writes"], [keda.HUNDRED_PODS_WRITES] if is_whole else (), at_most(1, "")),
    ]
    if is_whole:
        rows.append(Row("the same, KEDA polling every second and HPA's limits opened", "ms", bursts["requested"],
                        [keda.HUNDRED_PODS_TUNED_MS]))
    if bursts.get("ready"):
        rows.append(Row(f"0 → {pods} pods on simulated nodes, until all are ready", "s", bursts["ready"]))
    return [
        *rows,
        Row(f"{pods} idle pods: queue empty → 0 requested (cooldown and stabilization 1 s)", "s", bursts["lowered"]),
        Row(f"{pods} idle pods: writes of the number on the way to 0", "", bursts["lowering writes"]),
        Row("jobs interrupted by all that", "", [interrupted]),
    ]
