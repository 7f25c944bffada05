"""Ours beside the HPA's own rule at the same pod-hours, on the bench's own bursts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from kayan_operator.simulate.contest import world_of_ours, world_of_rival
from kayan_operator.simulate.equal_cost import at_equal_cost
from kayan_operator.simulate.policies import NamedPolicy, read_policies
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traces import read_trace
from kayan_operator.simulate.traffic import Job, Trace

TRACES = Path(__file__).parents[3] / "bench" / "traces"


@pytest.fixture(scope="module")
def by_default() -> NamedPolicy:
    (named,) = read_policies(TRACES / "scaler.yaml")
    return replace(named, policy=replace(named.policy, max_replicas=10))


@pytest.mark.parametrize("most", [10, 20, 100])
def test_bursts_on_an_idle_fleet_wait_a_fifth_of_what_they_would_at_an_hpa_of_equal_cost(by_default: NamedPolicy, most: int) -> None:
    capped = replace(by_default, policy=replace(by_default.policy, max_replicas=most))
    found = at_equal_cost(read_trace(TRACES / "burst.yaml"), capped, Setting())
    assert found.hpa.pod_hours >= found.ours.pod_hours, "the HPA has all that ours had"
    assert most == 10 or found.hpa.pod_hours <= found.ours.pod_hours * 1.02, "and no more, where it can be had for that"
    assert found.ours.unfinished == found.hpa.unfinished == 0
    assert found.p95_ratio <= 1 / 5


def test_an_hpa_with_the_terms_found_costs_what_is_said(by_default: NamedPolicy) -> None:
    trace = read_trace(TRACES / "burst.yaml")
    found = at_equal_cost(trace, by_default, Setting())
    world = world_of_rival(trace, by_default, found.terms, Setting())
    world.run()
    ours = world_of_ours(trace, by_default, Setting())
    ours.run()
    world.run(trace.length + ours.rule.linger)
    assert world.pod_seconds / 3600 == pytest.approx(found.hpa.pod_hours, rel=0.02)


def test_where_one_pod_all_the_time_costs_more_than_ours_the_hpa_has_that_pod(by_default: NamedPolicy) -> None:
    found = at_equal_cost(Trace(name="rare", jobs=(Job(60, 1), Job(3000, 1)), length=7200), by_default, Setting())
    assert found.terms.min_replicas == 1
    assert found.hpa.peak_replicas == 1
    assert found.hpa.pod_hours > found.ours.pod_hours
    assert found.hpa.max_wait == 0
    assert found.ours.p95_wait > 0


@pytest.mark.parametrize("name", ["burst", "day", "nightly", "trickle"])
def test_the_traces_of_the_bench_are_what_their_first_line_says(name: str) -> None:
    trace = read_trace(TRACES / f"{name}.yaml")
    assert {"burst": 8000, "day": 97_000, "nightly": 6200, "trickle": 96}[name] == pytest.approx(len(trace.jobs), rel=0.1)
    assert trace.length >= 7200
