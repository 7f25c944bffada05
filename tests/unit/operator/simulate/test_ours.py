"""Our rule in the simulated cluster: the same ``decide`` as in the operator, with the operator's cadence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from kayan_operator.decision.policy import DrainBy, JobsPerReplica, MaxWait, Mode, Pace, Policy, Queue, Target
from kayan_operator.simulate.amounts import Spread
from kayan_operator.simulate.figures import figures, waits_of
from kayan_operator.simulate.ours import Ours
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traffic import START, Job
from kayan_operator.simulate.world import World
from simulated import steps, world

QUEUE = Queue(name="a", concurrency=5)
SETTING = Setting(startup=Spread("constant", 5))


def simulated(jobs: list[Job], policy: Policy, until: float = 0, setting: Setting = SETTING) -> World:
    """The world after the last job, or at ``until``."""
    simulation = world(jobs, Ours(policy, setting, START), setting, [(queue.name, queue.concurrency or 5) for queue in policy.queues])
    simulation.run(until) if until else simulation.run()
    return simulation


def test_a_burst_on_an_idle_fleet_gets_all_its_pods_in_one_step() -> None:
    simulation = simulated([Job(101, 1)] * 1000, Policy(queues=(QUEUE,), max_replicas=100))
    at, replicas = steps(simulation)[0]
    assert (at, replicas) == (101.06, 100)
    assert max(waits_of(simulation)) == pytest.approx(0.06 + 0.05 + 5 + 1), "the last begin when the first are done"


def test_a_sleeping_operator_is_woken_by_a_job_and_rests_again_when_all_is_done() -> None:
    simulation = simulated([Job(100.3, 1)], Policy(queues=(QUEUE,), cooldown=120), until=1000)
    assert steps(simulation)[0] == (100.36, 1)
    assert steps(simulation)[-1] == (106.36 + 120, 0), "the cooldown after the last look that saw it at work"


def test_a_delayed_job_finds_its_pod_ready() -> None:
    simulation = simulated([Job(0, 1, delay=3600)], Policy(queues=(QUEUE,)))
    assert simulation.began == [3600]
    assert simulation.pod_seconds < 60, "and no pod waited for it all the while"


def test_how_long_idle_pods_stay_follows_from_the_start_that_is_simulated() -> None:
    policy = Policy(queues=(QUEUE,), max_replicas=20, mode="direct")
    jobs = [Job(120, 1)] * 1000
    quick = simulated(jobs, policy, until=2000, setting=Setting(startup=Spread("constant", 2)))
    slow = simulated(jobs, policy, until=2000, setting=Setting(startup=Spread("constant", 30)))
    first = [next(at for at, replicas in steps(world) if replicas < 20) - max(filter(None, world.ended)) for world in (quick, slow)]
    assert 9 < first[0] < 12
    assert 28 < first[1] < 32
    assert {quick.replicas, slow.replicas} == {0}


def test_no_running_job_is_ended_by_scaling_in() -> None:
    jobs = [Job(0, 1)] * 200 + [Job(1, 900)] * 3
    policy = Policy(queues=(QUEUE,), max_replicas=20, cooldown=10)
    simulation = simulated(jobs, policy, until=2000)
    assert simulation.interrupted == 0
    assert simulation.replicas == 0


@pytest.mark.parametrize(("mode", "most"), [("direct", 1.1), ("hpa", 15.1)])
def test_in_mode_hpa_a_fleet_at_work_grows_at_the_next_sync(mode: Mode, most: float) -> None:
    jobs = [Job(at, 1) for at in range(60)] + [Job(60.5, 1)] * 500
    simulation = simulated(sorted(jobs, key=lambda job: job.at), Policy(queues=(QUEUE,), mode=mode))
    grown = next(at for at, replicas in steps(simulation) if replicas == 10)
    assert 0 < grown - 60.5 <= most
    assert (grown - 60.5 > 1.1) is (mode == "hpa")


def test_every_change_can_say_why() -> None:
    simulation = simulated([Job(0, 1)] * 100, Policy(queues=(QUEUE,), max_replicas=4))
    first = simulation.changes[0]
    assert (first.reason, first.after) == ("MaxReplicas", 4)
    assert first.sentences == (
        "100 waiting, 0 active and 0 due soon, at 10 jobs for each pod, deserve 10 pods", "never more than 4 pods (maxReplicas)",
    )


def test_late_jobs_are_counted_against_what_the_policy_promises() -> None:
    jobs = [Job(0, 10)] * 20
    kept = Policy(queues=(QUEUE,), target=MaxWait(60))
    broken = Policy(queues=(QUEUE,), target=MaxWait(12), max_replicas=1)
    assert figures(simulated(jobs, kept), START, kept).late == 0
    assert figures(simulated(jobs, broken), START, broken).late == 15, "five begin after five seconds, the others after 15, 25 and 35"
    deadline = Policy(queues=(QUEUE,), target=DrainBy(seconds=30), max_replicas=1)
    assert figures(simulated(jobs, deadline), START, deadline).late == 10
    neither = Policy(queues=(QUEUE,))
    assert figures(simulated(jobs, neither), START, neither).late is None


POLICIES = st.builds(
    Policy, queues=st.just((QUEUE,)), target=st.sampled_from([JobsPerReplica(3), MaxWait(20), DrainBy(seconds=120)]),
    min_replicas=st.integers(0, 2), max_replicas=st.integers(2, 8), mode=st.sampled_from(["direct", "hpa"]),
    cooldown=st.sampled_from([0.0, 30.0]), scale_up=st.sampled_from([Pace(), Pace(pods=1), Pace(stabilization=10)]),
    scale_down=st.sampled_from([Pace(), Pace(stabilization=60), Pace(stabilization=None), Pace(pods=1)]),
    busy=st.sampled_from(["wait", "drain"]),
)
JOBS = st.lists(
    st.builds(Job, at=st.floats(0, 300), seconds=st.floats(0.1, 30), delay=st.sampled_from([0.0, 0.0, 60.0])), min_size=1, max_size=60,
).map(lambda jobs: sorted(jobs, key=lambda job: job.at))


@hypothesis_settings(max_examples=60)
@given(jobs=JOBS, policy=POLICIES, startup=st.sampled_from([Spread("constant", 5), Spread("exponential", 8)]))
def test_any_policy_does_every_job_within_its_limits_and_comes_to_rest(jobs: list[Job], policy: Policy, startup: Spread) -> None:
    setting = Setting(startup=startup)
    simulation = simulated(jobs, policy, setting=setting)
    assert simulation.unfinished == 0
    assert min(waits_of(simulation)) >= 0
    assert all(policy.min_replicas <= change.after <= policy.max_replicas for change in simulation.changes)
    assert all(change.sentences and change.before != change.after for change in simulation.changes)
    assert policy.busy == "drain" or simulation.interrupted == 0
    simulation.run(simulation.now + simulation.rule.linger + 120)
    assert simulation.replicas == policy.min_replicas
    again = simulated(jobs, policy, setting=setting)
    assert again.began == simulation.began


@pytest.mark.parametrize("target", [JobsPerReplica(10), MaxWait(30), DrainBy(seconds=600)])
def test_several_queues_share_the_pods(target: Target) -> None:
    policy = Policy(queues=(Queue(name="a", concurrency=2), Queue(name="b", concurrency=10)), target=target)
    jobs = [Job(0, 2, "a")] * 50 + [Job(1, 1, "b")] * 200
    simulation = simulated(jobs, policy)
    assert simulation.unfinished == 0
    assert simulation.interrupted == 0
