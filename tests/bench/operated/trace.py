"""The bursts of ``traces/burst.yaml`` under the operator's own rule, beside an HPA that costs the same: simulated, without a cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.results import Row, at_most_peer
from bench.stage import Stage
from kayan_operator.simulate.contest import contest
from kayan_operator.simulate.equal_cost import EqualCost, at_equal_cost
from kayan_operator.simulate.figures import Figures
from kayan_operator.simulate.policies import NamedPolicy, read_policies
from kayan_operator.simulate.rivals import Rival
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traces import read_trace

TRACES = Path(__file__).resolve().parent.parent / "traces"
MOST_REPLICAS = (100, 20, 10)
_GOAL = 1 / 5


def run(stage: Stage) -> list[Row]:
    """A seed a round: it moves the clocks of the HPA and of KEDA."""
    trace = read_trace(TRACES / "burst.yaml")
    (named,) = read_policies(TRACES / "scaler.yaml")
    settings = [Setting(seed=seed) for seed in range(stage.rounds)]
    rows: list[Row] = []
    for most in MOST_REPLICAS:
        capped = replace(named, policy=replace(named.policy, max_replicas=most))
        rows += _beside_an_hpa([at_equal_cost(trace, capped, setting) for setting in settings], most)
    by_default = [contest(trace, [named], [Rival.parse("keda")], setting) for setting in settings]
    rows += _beside_keda(named, [(ours.figures, keda.figures) for ours, keda in by_default])
    return rows


def _beside_an_hpa(found: list[EqualCost], most: int) -> list[Row]:
    title = f"bursts on at most {most} pods, beside an HPA at equal cost (simulated)"
    return [
        Row(f"{title}: p95 wait", "s", [one.ours.p95_wait for one in found], [one.hpa.p95_wait for one in found],
            at_most_peer(_GOAL, "HPA")),
        Row(f"{title}: pod-hours", "h", [one.ours.pod_hours for one in found], [one.hpa.pod_hours for one in found]),
    ]


def _beside_keda(named: NamedPolicy, found: list[tuple[Figures, Figures]]) -> list[Row]:
    title = f"bursts on at most {named.policy.max_replicas} pods, beside KEDA's rule (simulated)"
    return [
        Row(f"{title}: p95 wait", "s", [ours.p95_wait for ours, _ in found], [keda.p95_wait for _, keda in found]),
        Row(f"{title}: pod-hours", "h", [ours.pod_hours for ours, _ in found], [keda.pod_hours for _, keda in found]),
    ]
