"""The simulated cluster itself, under rules of which everything is known beforehand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_operator.simulate.amounts import Spread
from kayan_operator.simulate.figures import backlog, waits_of
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traffic import Job
from kayan_operator.simulate.world import World
from simulated import AT_ONCE, Timetable, steps, world


def test_a_pod_takes_the_oldest_job_first_and_as_many_at_a_time_as_it_has_slots() -> None:
    jobs = [Job(0, 10), Job(1, 10), Job(2, 10), Job(3, 10)]
    simulation = world(jobs, Timetable(replicas=1), replace(AT_ONCE, slots=2))
    simulation.run()
    assert simulation.began == [0, 1, 10, 11]
    assert simulation.ended == [10, 11, 20, 21]
    assert waits_of(simulation) == [0, 0, 8, 8]


def test_a_pod_takes_jobs_once_it_has_been_asked_for_and_has_started() -> None:
    setting = Setting(startup=Spread("constant", 5), actuation=0.5, slots=1)
    rule = Timetable((2, 1))
    simulation = world([Job(0, 1)], rule, setting)
    simulation.run(100)
    assert simulation.began == [7.5]
    assert rule.started_after == [5.5]
    assert simulation.pod_seconds == 98
    assert simulation.idle_seconds == 97


def test_work_is_spread_over_the_pods_by_turns() -> None:
    simulation = world([Job(0, 10)] * 4, Timetable(replicas=2), replace(AT_ONCE, slots=10))
    simulation.run(10)
    assert simulation.idle_seconds == 0


def test_each_queue_has_slots_of_its_own_and_a_job_that_names_none_is_of_the_first() -> None:
    jobs = [Job(0, 10), Job(0, 10, "b"), Job(0, 10, "a"), Job(0, 10, "b")]
    simulation = world(jobs, Timetable(replicas=1), queues=[("a", 1), ("b", 2)])
    simulation.run()
    assert simulation.began == [0, 0, 10, 0]


class TestDelayedJobs:
    def test_they_wait_until_they_are_due_and_their_wait_counts_from_then(self) -> None:
        simulation = world([Job(0, 1, delay=30), Job(5, 1)], Timetable(replicas=1))
        simulation.run()
        assert simulation.began == [30, 5]
        assert waits_of(simulation) == [0, 0]

    def test_they_stay_delayed_where_no_worker_is_there_to_move_them(self) -> None:
        simulation = world([Job(0, 1, delay=30)], Timetable((50, 1)))
        simulation.run(40)
        (facts,) = simulation.facts(0)
        assert (facts.waiting, facts.delayed, facts.due, simulation.waiting) == (0, 1, 1, [0])
        simulation.run()
        assert simulation.began == [50]

    def test_those_that_are_due_within_the_look_ahead_are_counted_and_the_next_is_told(self) -> None:
        simulation = world([Job(0, 1, delay=30), Job(0, 1, delay=10)], Timetable())
        simulation.run(5)
        (facts,) = simulation.facts(10)
        assert (facts.delayed, facts.due, facts.next_due, facts.added) == (2, 1, 25, 2)


class TestScalingIn:
    def test_a_rule_that_spares_the_busy_ends_idle_pods_only(self) -> None:
        simulation = world([Job(0, 100)], Timetable((10, 0), replicas=3))
        simulation.run()
        assert steps(simulation) == [(10, 1)]
        assert (simulation.interrupted, simulation.ended) == (0, [100])

    def test_pods_that_have_not_started_go_first(self) -> None:
        setting = Setting(startup=Spread("constant", 50), actuation=0, slots=1)
        simulation = world([Job(5, 1)], Timetable((1, 4), (2, 1), victims="newest", replicas=1), setting)
        simulation.run()
        assert simulation.began == [5]

    def test_a_busy_pod_that_is_ended_takes_no_more_and_has_its_grace_to_finish(self) -> None:
        simulation = world([Job(0, 30), Job(11, 1)], Timetable((10, 0), (60, 1), replicas=1, victims="newest"))
        simulation.run()
        assert (simulation.interrupted, simulation.ended) == (0, [30, 61])

    def test_what_it_has_not_finished_by_then_goes_back_to_the_head_of_the_line(self) -> None:
        simulation = world([Job(0, 50), Job(11, 1)], Timetable((10, 0), (60, 1), replicas=1, victims="newest"))
        simulation.run()
        assert simulation.interrupted == 1
        assert simulation.ended == [110, 111]
        assert simulation.pod_seconds == pytest.approx(40 + 51), "the first until the end of its grace, and the second"

    def test_draining_ends_idle_pods_before_busy_ones(self) -> None:
        simulation = world([Job(0, 25)], Timetable((10, 1), (20, 0), replicas=2, victims="drain"))
        simulation.run()
        assert steps(simulation) == [(10, 1), (20, 0)]
        assert (simulation.interrupted, simulation.ended) == (0, [25])


def test_jobs_for_which_nothing_ever_happens_are_given_up() -> None:
    simulation = world([Job(0, 1), Job(10, 1)], Timetable((0, 1), (2, 0), (3, 0)))
    simulation.run()
    assert simulation.unfinished == 1
    assert simulation.now < 10_000


def test_the_backlog_counts_what_waits_and_what_runs() -> None:
    simulation = world([Job(0, 2), Job(0, 2), Job(4, 1)], Timetable(replicas=1))
    simulation.run()
    assert backlog(simulation) == [(0, 1), (0, 2), (2, 1), (4, 0), (4, 1), (5, 0)]


JOBS = st.lists(
    st.builds(Job, at=st.integers(0, 200).map(float), seconds=st.sampled_from([0.0, 0.5, 3.0, 20.0]), queue=st.sampled_from(["a", "b"]),
              delay=st.sampled_from([0.0, 0.0, 15.0])),
    min_size=1, max_size=40,
).map(lambda jobs: sorted(jobs, key=lambda job: job.at))
PLANS = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 6)), max_size=12).map(sorted)
SETTINGS = st.builds(
    Setting, startup=st.sampled_from([Spread("constant", 0), Spread("constant", 7), Spread("exponential", 4)]), seed=st.integers(0, 5),
    grace=st.sampled_from([0.0, 10.0]),
)


@given(jobs=JOBS, plan=PLANS, victims=st.sampled_from(["idle", "drain", "newest"]), setting=SETTINGS, slots=st.integers(1, 3))
def test_whatever_is_scaled_no_job_is_lost_done_twice_or_begun_before_it_is_due(
    jobs: list[Job], plan: list[tuple[float, int]], victims: str, setting: Setting, slots: int,
) -> None:
    def outcome() -> World:
        simulation = world(jobs, Timetable(*plan, (400, 2), victims=victims), setting, [("a", slots), ("b", 1)])  # type: ignore[arg-type]
        simulation.run()
        return simulation

    simulation = outcome()
    assert simulation.unfinished == 0
    for job, began, ended in zip(jobs, simulation.began, simulation.ended, strict=True):
        assert began is not None
        assert ended is not None
        assert began >= job.due
        assert ended >= began + job.seconds - 1e-6
    assert backlog(simulation)[-1][1] == 0
    assert max(simulation.waiting) == sum(facts.active + facts.delayed for facts in simulation.facts(math.inf)) == 0
    assert victims == "newest" or victims == "drain" or simulation.interrupted == 0
    worked = sum(job.seconds for job in jobs)
    assert simulation.pod_seconds * (slots + 1) >= worked - 1e-6
    assert 0 <= simulation.idle_seconds <= simulation.pod_seconds + 1e-6

    again = outcome()
    assert (again.began, again.ended, again.changes) == (simulation.began, simulation.ended, simulation.changes)
