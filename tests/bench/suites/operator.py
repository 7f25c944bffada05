"""The operator on a real cluster with real Bull: how soon it acts, and what it costs with a thousand QueueScalers on one Redis.

It is a process of this machine with KUBECONFIG, on the Redis of the measurement. The peer column has KEDA as it was measured elsewhere
(``operated/keda.py``), or the rule that the row names.
"""

from __future__ import annotations

import asyncio
import os

from bench.operated import alone, cluster, crowd, keda, trace
from bench.operated.parts import measured
from bench.results import Row
from bench.stage import Stage

PEER = keda.NAME
_LOAD_EVERY_SECONDS = 10.0


def hindrance() -> str:
    """Why it cannot be run here; empty when it can."""
    return cluster.hindrance()


async def run(stage: Stage) -> list[Row]:
    nodes = cluster.simulated_nodes()
    stage.notes.append(f"Kubernetes {cluster.version()}; " + (
        f"pods on {nodes} simulated nodes" if nodes else "no simulated nodes (type=kwok): pods stay pending, which writes do not mind"
    ))
    loads: list[float] = []
    weighing = asyncio.create_task(_weigh(loads))
    try:
        rows = await measured(stage, "one scaler", alone.run(stage))
        rows += await measured(stage, "many scalers", crowd.run(stage))
        rows += await asyncio.to_thread(trace.run, stage)
    finally:
        weighing.cancel()
    return [*rows, Row(f"load average of this machine, which has {os.cpu_count()} cores", "", loads)]


async def _weigh(loads: list[float]) -> None:
    while True:
        loads.append(os.getloadavg()[0])
        await asyncio.sleep(_LOAD_EVERY_SECONDS)
