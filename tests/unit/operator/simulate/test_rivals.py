"""The rivals' rules, in cases small enough to be computed by hand, and in some that were measured on a cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kayan_operator.simulate.amounts import Spread
from kayan_operator.simulate.hpa import HpaRule, HpaTerms, Recommender
from kayan_operator.simulate.keda import KedaRule, KedaTerms
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traffic import Job
from simulated import AT_ONCE, steps, world

NEVER_READY = replace(AT_ONCE, startup=Spread("constant", 100_000))
"""Pods that never take a job, so that the list stays as long as it is."""


def synced(terms: HpaTerms, now: float, replicas: int, waiting: int) -> int:
    return Recommender(terms).sync(now, replicas, [waiting])[0]


class TestTheHpa:
    @pytest.mark.parametrize(
        ("replicas", "waiting", "desired"),
        [
            (1, 30, 3),
            (1, 1000, 4),  # at most four, or twice as many
            (5, 1000, 10),
            (20, 210, 20),  # within a tenth nothing changes
            (20, 220, 20),
            (20, 230, 23),
            (40, 900, 50),
            (60, 0, 50),  # above its maximum nothing else is looked at
        ],
    )
    def test_it_divides_the_length_of_the_list_within_its_limits(self, replicas: int, waiting: int, desired: int) -> None:
        assert synced(HpaTerms(target=10, max_replicas=50), 0, replicas, waiting) == desired

    def test_it_takes_the_longest_of_several_lists(self) -> None:
        assert Recommender(HpaTerms(target=10)).sync(0, 1, [10, 40, 0])[0] == 4

    def test_it_shrinks_once_five_minutes_have_recommended_no_more(self) -> None:
        recommender = Recommender(HpaTerms(target=10))
        asked = [(0, 80), (15, 20), *((float(at), 0) for at in range(30, 345, 15))]
        found = [(at, recommender.sync(at, 8, [waiting])[0]) for at, waiting in asked]
        assert [at for at, desired in found if desired < 8][:2] == [315, 330]
        assert dict(found)[315] == 2, "what was recommended at 15"
        assert dict(found)[330] == 1

    def test_it_goes_on_growing_towards_what_it_recommended_though_the_list_is_empty_now(self) -> None:
        recommender = Recommender(HpaTerms(target=10, max_replicas=50))
        assert recommender.sync(0, 1, [500])[0] == 4
        assert recommender.sync(15, 4, [0])[0] == 8
        assert recommender.sync(30, 8, [0])[0] == 16

    def test_it_begins_at_its_minimum_and_never_goes_below(self) -> None:
        simulation = world([Job(1, 1)], HpaRule(HpaTerms(target=5, min_replicas=2)))
        simulation.run(2000)
        assert (simulation.replicas, steps(simulation)) == (2, [])


class TestKeda:
    def test_a_burst_on_an_idle_fleet_climbs_the_measured_staircase(self) -> None:
        # measured on Kubernetes 1.34 with KEDA 2.21: 1, 4, 8, 16, 32, 64, 100, the last of them after 95.6 s
        simulation = world([Job(0, 1)] * 1000, KedaRule(KedaTerms(target=10), polls=15, syncs=6), NEVER_READY)
        simulation.run(120)
        assert steps(simulation) == [(15, 1), (21, 4), (36, 8), (51, 16), (66, 32), (81, 64), (96, 100)]

    @pytest.mark.parametrize(("polls", "syncs", "last"), [(29.9, 0, 105), (0.1, 0.2, 75.2), (29.9, 14.9, 119.9)])
    def test_when_its_clocks_stand_elsewhere_it_takes_75_to_120_seconds(self, polls: float, syncs: float, last: float) -> None:
        simulation = world([Job(0, 1)] * 1000, KedaRule(KedaTerms(target=10), polls=polls, syncs=syncs), NEVER_READY)
        simulation.run(200)
        assert steps(simulation)[-1] == (last, 100)

    def test_it_wakes_for_a_list_longer_than_its_activation_and_to_one_pod_only(self) -> None:
        terms = KedaTerms(target=10, activation=5)
        asleep = world([Job(0, 1)] * 5, KedaRule(terms, polls=10, syncs=12), NEVER_READY)
        asleep.run(1000)
        woken = world([Job(0, 1)] * 6, KedaRule(terms, polls=10, syncs=12), NEVER_READY)
        woken.run(20)
        assert (steps(asleep), steps(woken)) == ([], [(10, 1)])

    def test_it_goes_to_zero_from_any_number_once_a_list_was_empty_for_the_cooldown(self) -> None:
        # three pods from the sync at 7 on; the last poll that sees a job is that at 30, the first that is more than 100 s later, at 150
        simulation = world([Job(0, 1)] * 30, KedaRule(KedaTerms(target=10, cooldown=100), polls=0, syncs=7),
                           replace(AT_ONCE, startup=Spread("constant", 20)))
        simulation.run(1000)
        assert steps(simulation) == [(0, 1), (7, 3), (150, 0)]

    def test_it_ends_pods_over_their_running_jobs_which_begin_anew_elsewhere(self) -> None:
        jobs = [Job(0, 1000)] * 50
        simulation = world(jobs, KedaRule(KedaTerms(target=10), polls=0, syncs=1), replace(AT_ONCE, slots=13, grace=30))
        simulation.run(331)
        assert simulation.replicas == 0
        simulation.run(361)
        assert simulation.interrupted == 50
        simulation.run(390)
        assert steps(simulation)[-1][1] > 0, "and wakes again for those whom it stopped"

    def test_it_never_finishes_a_job_that_is_longer_than_its_cooldown_and_the_grace(self) -> None:
        simulation = world([Job(0, 600)], KedaRule(KedaTerms(target=10), polls=0, syncs=1), replace(AT_ONCE, grace=30))
        simulation.run()
        assert simulation.unfinished == 1
        assert simulation.interrupted > 5

    def test_it_sleeps_over_delayed_jobs_that_are_due(self) -> None:
        simulation = world([Job(0, 1, delay=5)] * 50, KedaRule(KedaTerms(target=10)), AT_ONCE)
        simulation.run()
        assert (simulation.unfinished, steps(simulation)) == (50, [])

    def test_a_minimum_above_zero_is_kept(self) -> None:
        simulation = world([Job(100, 1)], KedaRule(KedaTerms(target=10, min_replicas=3)), Setting())
        simulation.run(2000)
        assert (simulation.start_replicas, steps(simulation), simulation.replicas) == (3, [], 3)
