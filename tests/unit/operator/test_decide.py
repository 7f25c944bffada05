"""The decision is pure and total: tables of cases, and properties over anything that could be the case."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kayan_operator.decision.decide import Decision, decide
from kayan_operator.decision.facts import QueueFacts, Snapshot, Unread
from kayan_operator.decision.history import History
from kayan_operator.decision.policy import DrainBy, Failure, Fallback, JobsPerReplica, MaxWait, Pace, Policy, Queue, Window
from kayan_operator.decision.sentences import SENTENCES, sentence

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp()  # a Wednesday
QUEUE = Queue(name="thumbnail-generation", concurrency=5)
TEN_A_POD = Policy(queues=(QUEUE,), max_replicas=20)


def snapshot(facts: QueueFacts | Unread, *, at: float = 1000, replicas: int = 0, **more: object) -> Snapshot:
    return Snapshot(at=at, wall=NOON + at, queues=(facts,), replicas=replicas, ready=replicas, **more)  # type: ignore[arg-type]


def long_ago(shot: Snapshot, *, idle: float = 10_000) -> History:
    """Of an operator that has seen nothing happen for a long time."""
    history = History.begin(replace(shot, at=shot.at - idle))
    return replace(history, peaks=(), valleys=(), replicas=shot.replicas)


def decide_now(facts: QueueFacts | Unread, policy: Policy = TEN_A_POD, *, replicas: int = 0, **more: object) -> Decision:
    shot = snapshot(facts, replicas=replicas, **more)
    return decide(shot, policy, long_ago(shot))


@pytest.mark.parametrize(
    ("facts", "replicas", "desired", "reason"),
    [
        (QueueFacts(), 0, 0, "Idle"),
        (QueueFacts(waiting=1), 0, 1, "Backlog"),
        (QueueFacts(waiting=10), 0, 1, "Backlog"),
        (QueueFacts(waiting=11), 0, 2, "Backlog"),
        (QueueFacts(waiting=150), 0, 15, "Backlog"),
        (QueueFacts(waiting=1000), 0, 20, "MaxReplicas"),
        (QueueFacts(active=50), 5, 5, "Backlog"),
        (QueueFacts(active=50), 0, 5, "Backlog"),
        (QueueFacts(delayed=50, due=50), 0, 5, "Backlog"),
        (QueueFacts(delayed=1, next_due=3600), 0, 0, "Idle"),
        (QueueFacts(held=50, paused=True), 0, 0, "Idle"),
        (QueueFacts(), 5, 0, "Idle"),
        (QueueFacts(waiting=5, active=2, due=3), 4, 2, "Margin"),
    ],
)
def test_the_number_follows_what_waits_runs_and_is_due(facts: QueueFacts, replicas: int, desired: int, reason: str) -> None:
    decision = decide_now(facts, replicas=replicas)
    assert (decision.desired, decision.reason) == (desired, reason)


def test_weights_say_how_much_a_job_of_each_queue_counts() -> None:
    policy = replace(TEN_A_POD, queues=(QUEUE, Queue(name="variant-generation", weight=5)))
    shot = Snapshot(at=0, wall=NOON, queues=(QueueFacts(waiting=10), QueueFacts(waiting=10)), replicas=0)
    assert decide(shot, policy, long_ago(shot)).desired == 6


class TestUnknown:
    def test_an_unreadable_queue_is_not_an_empty_one(self) -> None:
        for replicas in (0, 5):
            decision = decide_now(Unread("connection refused", 300), replicas=replicas)
            assert decision.desired == replicas

    def test_a_queue_that_can_be_read_still_gets_what_it_deserves(self) -> None:
        policy = replace(TEN_A_POD, queues=(QUEUE, Queue(name="other")))
        shot = Snapshot(at=0, wall=NOON, queues=(Unread("timeout"), QueueFacts(waiting=70)), replicas=5)
        assert decide(shot, policy, long_ago(shot)).desired == 7
        shot = replace(shot, queues=(Unread("timeout"), QueueFacts(waiting=0)))
        assert decide(shot, policy, long_ago(shot)).desired == 5

    def test_a_declared_fallback_applies_after_its_time_and_only_upwards(self) -> None:
        policy = replace(TEN_A_POD, fallback=Fallback(replicas=3, after=60))
        for replicas, seconds, desired in ((0, 59, 0), (0, 60, 3), (5, 60, 5), (1, 1000, 3)):
            assert decide_now(Unread("timeout", seconds), policy, replicas=replicas).desired == desired

    def test_nothing_shrinks_while_nobody_can_tell_who_is_idle(self) -> None:
        decision = decide_now(Unread("timeout", 5), replicas=30, share=2, budget="fleet")
        assert (decision.desired, decision.reason) == (30, "Unknown")


class TestLimits:
    def test_a_paused_scaler_stays_where_it_is(self) -> None:
        paused = replace(TEN_A_POD, paused=True, min_replicas=2)
        for replicas in (0, 7, 50):
            assert decide_now(QueueFacts(waiting=100), paused, replicas=replicas).desired == replicas

    def test_the_last_pod_stays_until_the_cooldown_is_over(self) -> None:
        shot = snapshot(QueueFacts(), replicas=3)
        for idle, desired in ((119, 1), (120, 0)):
            history = replace(long_ago(shot), last_work=shot.at - idle)
            assert decide(shot, TEN_A_POD, history).desired == desired

    def test_a_new_operator_shrinks_nothing_before_it_has_looked_for_a_while(self) -> None:
        shot = snapshot(QueueFacts(), replicas=5)
        history = History.begin(shot)
        for at, desired in ((1000, 5), (1059, 5), (1061, 1), (1121, 0)):
            decision = decide(replace(shot, at=at), TEN_A_POD, history)
            history = decision.history
            assert decision.desired == desired, at

    def test_a_lull_within_a_declared_window_is_not_followed(self) -> None:
        policy = replace(TEN_A_POD, scale_down=Pace(stabilization=60))
        busy, quiet = snapshot(QueueFacts(waiting=80), replicas=8), snapshot(QueueFacts(waiting=20), replicas=8)
        history = decide(busy, policy, long_ago(busy)).history
        for at, desired in ((1001, 8), (1060, 8), (1062, 3)):
            decision = decide(replace(quiet, at=at), policy, history)
            history = decision.history
            assert decision.desired == desired, at

    def test_growth_waits_for_its_own_window_when_there_is_one(self) -> None:
        policy = replace(TEN_A_POD, scale_up=Pace(stabilization=30))
        quiet, busy = snapshot(QueueFacts(waiting=10), replicas=1), snapshot(QueueFacts(waiting=90), replicas=1)
        history = decide(quiet, policy, long_ago(quiet)).history
        for at, desired in ((1001, 1), (1030, 1), (1032, 9)):
            decision = decide(replace(busy, at=at), policy, history)
            history = decision.history
            assert decision.desired == desired, at

    @pytest.mark.parametrize(("pace", "desired"), [(Pace(pods=2), 6), (Pace(percent=100), 8), (Pace(pods=2, percent=100), 8), (Pace(), 20)])
    def test_it_grows_no_quicker_than_it_may(self, pace: Pace, desired: int) -> None:
        policy = replace(TEN_A_POD, scale_up=pace)
        assert decide_now(QueueFacts(waiting=1000), policy, replicas=4).desired == desired

    def test_what_it_grew_in_this_period_counts(self) -> None:
        policy = replace(TEN_A_POD, scale_up=Pace(pods=2, period=60))
        shot = snapshot(QueueFacts(waiting=1000), replicas=4)
        history = decide(shot, policy, long_ago(shot)).history
        for at, replicas, desired in ((1001, 6, 6), (1060, 6, 6), (1062, 6, 8)):
            decision = decide(replace(shot, at=at, replicas=replicas), policy, history)
            history = decision.history
            assert decision.desired == desired, at

    def test_it_shrinks_no_quicker_than_it_may(self) -> None:
        policy = replace(TEN_A_POD, scale_down=Pace(pods=3))
        decision = decide_now(QueueFacts(), policy, replicas=10)
        assert (decision.desired, decision.reason) == (7, "ScaleDownPace")

    def test_a_schedule_has_floors_for_its_hours_also_across_midnight(self) -> None:
        berlin = ZoneInfo("Europe/Berlin")
        day = Window(name="office", replicas=3, start=13 * 60, end=13 * 60 + 30, zone=berlin)
        night = Window(name="night", replicas=2, start=22 * 60, end=6 * 60, zone=ZoneInfo("UTC"), days=frozenset([2]))
        policy = replace(TEN_A_POD, schedule=(day, night))
        for hours, desired in ((0, 3), (0.49, 3), (0.5, 0), (9.9, 0), (10, 2), (17.9, 2), (18, 0), (34.5, 0)):
            shot = replace(snapshot(QueueFacts()), wall=NOON + hours * 3600)
            assert decide(shot, policy, long_ago(shot)).desired == desired, hours

    def test_failing_jobs_hold_the_number_and_let_one_pod_try(self) -> None:
        failing = QueueFacts(waiting=100, failed=15, finished=30)
        assert [decide_now(failing, replicas=replicas).desired for replicas in (0, 4, 12)] == [1, 4, 11]
        assert decide_now(failing, replicas=4).reason == "FailedJobs"
        assert decide_now(replace(failing, failed=14), replicas=4).desired == 10
        assert decide_now(replace(failing, failed=19, finished=19), replicas=4).desired == 10
        careless = replace(TEN_A_POD, failure=Failure(error_percent=None))
        assert decide_now(failing, careless, replicas=4).desired == 10

    def test_a_queue_that_keeps_few_of_its_completed_jobs_does_not_seem_to_fail(self) -> None:
        shot = snapshot(QueueFacts(active=5), at=0, replicas=1)
        history = History.begin(shot)
        for second in range(400):  # 20 jobs a second, of which Redis keeps the last 100, and all of the 200 that failed
            busy = QueueFacts(waiting=100, active=5, added=20 * second, failed=200, finished=300)
            decision = decide(replace(shot, at=second, queues=(busy,)), TEN_A_POD, history)
            history = decision.history
            assert decision.reason == "Backlog", second

    def test_a_new_operator_does_not_judge_failures_of_which_it_has_seen_nothing_else(self) -> None:
        shot = snapshot(QueueFacts(waiting=100, failed=200, finished=300), replicas=4)
        history = History.begin(shot)
        for at, reason in ((1000, "Backlog"), (1299, "Backlog"), (1300, "FailedJobs")):
            assert decide(replace(shot, at=at), TEN_A_POD, history).reason == reason

    def test_broken_pods_hold_the_number(self) -> None:
        decision = decide_now(QueueFacts(waiting=100), replicas=4, broken="2 pods crash again and again")
        assert (decision.desired, decision.reason) == (4, "BrokenPods")
        assert "2 pods crash again and again" in sentence(decision.steps[-1])

    def test_a_budget_caps(self) -> None:
        decision = decide_now(QueueFacts(waiting=100), replicas=4, share=6, budget="fleet")
        assert (decision.desired, decision.reason) == (6, "Budget")
        assert [step.rule for step in decision.limits] == ["Budget"]
        assert sentence(decision.steps[-1]) == "FleetBudget fleet leaves it 6 pods"

    def test_a_budget_of_which_nobody_knows_how_much_it_is_lets_nothing_grow_and_says_why(self) -> None:
        trouble = "there is no FleetBudget fleet"
        decision = decide_now(QueueFacts(waiting=100), replicas=4, share=4, budget="fleet", budget_trouble=trouble)
        assert (decision.desired, decision.reason) == (4, "Budget")
        assert sentence(decision.steps[-1]).startswith(f"{trouble}, ")


class TestLulls:
    """The default: by and by, as long as a start-up would take."""

    def after_a_peak(self, most: int = 20) -> tuple[Snapshot, History]:
        """A lull, and what is remembered a second before it from a time in which twenty pods were wanted or more."""
        busy = snapshot(QueueFacts(waiting=3000), replicas=most)
        return snapshot(QueueFacts(waiting=20), replicas=most), decide(busy, TEN_A_POD, long_ago(busy)).history

    def test_pods_go_by_and_by_and_the_first_when_one_could_have_started(self) -> None:
        quiet, history = self.after_a_peak()
        for at, desired in ((1001, 20), (1010, 20), (1011, 12), (1020, 12), (1021, 8), (1040, 8), (1042, 6), (1061, 6), (1062, 3)):
            decision = decide(replace(quiet, at=at), TEN_A_POD, history)
            history = decision.history
            assert decision.desired == desired, at
            quiet = replace(quiet, replicas=desired)

    def test_what_nobody_could_have_had_is_missed_by_nobody(self) -> None:
        quiet, history = self.after_a_peak()
        history = decide(replace(quiet, at=1001), TEN_A_POD, history).history
        decision = decide(replace(quiet, at=1021), TEN_A_POD, history)
        assert decision.desired == 8, "a quarter of 17 pods, not of 300"

    def test_it_says_so_in_one_sentence(self) -> None:
        quiet, history = self.after_a_peak()
        history = decide(replace(quiet, at=1001), TEN_A_POD, history).history
        decision = decide(replace(quiet, at=1013), TEN_A_POD, history)
        assert decision.reason == "Lull"
        assert sentence(decision.steps[-1]) == ("20 pods were wanted 12 s ago, and in a lull all stay for 10 s, half of those too many for "
                                                "twice as long, a quarter for four times: 12 pods")

    def test_it_is_looked_for_when_the_next_ones_may_go(self) -> None:
        quiet, history = self.after_a_peak()
        decision = decide(replace(quiet, at=1001), TEN_A_POD, history)
        assert decision.look_again == pytest.approx(10)
        assert decide(replace(quiet, at=1012), TEN_A_POD, decision.history).look_again == pytest.approx(9)

    def test_a_slow_start_gives_a_lull_more_time(self) -> None:
        quiet, history = self.after_a_peak()
        history = decide(replace(quiet, at=1001), TEN_A_POD, replace(history, startup=40)).history
        desired = [decide(replace(quiet, at=at), TEN_A_POD, history).desired for at in (1040, 1042, 1240, 1242)]
        assert desired == [20, 12, 6, 3]

    def test_who_let_pods_go_too_soon_waits_longer_the_next_time(self) -> None:
        """Two hundred jobs every half minute: some pods are started anew once, and then all stay from burst to burst."""
        shot = snapshot(QueueFacts(), at=0)
        history, replicas, starts = long_ago(shot), 0, []
        for second in range(1800):
            facts = QueueFacts(waiting=200 if second % 30 == 0 else 0)
            decision = decide(replace(shot, at=second, replicas=replicas, queues=(facts,)), TEN_A_POD, history)
            if decision.desired > replicas:
                starts.append(second)
            history, replicas = decision.history, decision.desired
        assert starts == [0, 30]


class TestTime:
    """Targets in time, from what jobs are measured to take."""

    def measured(self, policy: Policy, *, seconds: int = 600, active: int = 5, rate: int = 1) -> tuple[Snapshot, History]:
        """After a time in which ``rate`` jobs a second came and went, ``active`` of them running: each takes ``active / rate`` seconds."""
        shot = snapshot(QueueFacts(active=active), at=0, replicas=1)
        history = History.begin(shot)
        for second in range(seconds):
            shot = replace(shot, at=second, wall=NOON + second, queues=(QueueFacts(active=active, added=rate * second),))
            history = decide(shot, policy, history).history
        return shot, history

    def test_what_a_job_takes_is_measured_by_littles_law(self) -> None:
        _, history = self.measured(TEN_A_POD, active=10, rate=2)
        rates = history.rates[0]
        assert rates.job_seconds == pytest.approx(5, rel=0.01)
        for horizon in (1, 60, 600):
            assert rates.arrivals_per_second(horizon) == pytest.approx(2, rel=0.1)

    def test_a_burst_is_no_lasting_rate_for_whoever_has_hours(self) -> None:
        shot, history = self.measured(TEN_A_POD, rate=1)
        burst = replace(shot, at=601, queues=(QueueFacts(waiting=3000, active=5, added=3600),))
        rates = decide(burst, TEN_A_POD, history).history.rates[0]
        assert rates.arrivals_per_second(10) > 50
        assert rates.arrivals_per_second(7200) == pytest.approx(1, rel=0.1)

    def test_a_longest_wait_is_turned_into_pods(self) -> None:
        policy = replace(TEN_A_POD, target=MaxWait(60), max_replicas=1000)
        shot, history = self.measured(policy)  # 5 s a job, 5 slots a pod, 1 a second
        backlog = replace(shot, at=601, queues=(QueueFacts(waiting=600, active=5, added=1200, oldest_age=1),))
        desired = decide(backlog, policy, replace(history, startup=0)).desired
        # 600 jobs of 5 s in 60 s are 50 busy slots, the arrivals (600 in the last second) aside
        assert desired >= 600 * 5 / 60 / 5
        late = replace(backlog, queues=(replace(backlog.queues[0], oldest_age=120),))  # type: ignore[type-var]
        assert decide(late, policy, replace(history, startup=0)).desired > desired

    def test_without_measurements_each_job_gets_a_slot(self) -> None:
        policy = replace(TEN_A_POD, target=MaxWait(60))
        decision = decide_now(QueueFacts(waiting=41, active=2), policy)
        assert (decision.desired, decision.reason) == (9, "WaitUnmeasured")

    def test_a_deadline_takes_the_fewer_pods_the_farther_it_is(self) -> None:
        shot, history = self.measured(TEN_A_POD, rate=1)
        history = replace(history, startup=0, peaks=())
        numbers = []
        for hour in ("13:00", "14:00", "18:00"):
            policy = replace(TEN_A_POD, max_replicas=10_000, target=DrainBy(minute_of_day=int(hour[:2]) * 60))
            backlog = replace(shot, at=601, queues=(QueueFacts(waiting=100_000, active=5, added=601, oldest_age=60),))
            numbers.append(decide(backlog, policy, history).desired)
        assert numbers[0] > numbers[1] > numbers[2] > 1
        # 100,000 jobs of 5 s, 5 at a time, in 50 minutes: 33 pods, with a margin of a fifth for lumps, and few arrivals
        assert numbers[0] == pytest.approx(100_000 * 5 / 3000 / 5 * 1.2, abs=2)

    def test_a_job_added_after_todays_deadline_has_until_tomorrows(self) -> None:
        berlin = DrainBy(minute_of_day=6 * 60, zone=ZoneInfo("Europe/Berlin"))
        before = datetime(2026, 3, 28, 5, 59, tzinfo=ZoneInfo("Europe/Berlin"))
        after = before.replace(hour=6, minute=1)
        assert datetime.fromtimestamp(berlin.deadline(before.timestamp()), berlin.zone).isoformat() == "2026-03-28T06:00:00+01:00"
        # the clocks go forward in that night
        assert datetime.fromtimestamp(berlin.deadline(after.timestamp()), berlin.zone).isoformat() == "2026-03-29T06:00:00+02:00"
        assert DrainBy(seconds=90).deadline(1000) == 1090

    def test_running_jobs_keep_their_pods(self) -> None:
        policy = replace(TEN_A_POD, target=MaxWait(30))
        shot, history = self.measured(policy)
        busy = replace(shot, at=601, replicas=10, queues=(QueueFacts(active=50, added=600),))
        assert decide(busy, policy, replace(history, peaks=())).desired == 10


class TestLookAgain:
    def test_a_delayed_job_is_looked_for_as_early_as_a_pod_takes_to_start(self) -> None:
        shot = snapshot(QueueFacts(delayed=1, next_due=100))
        history = replace(long_ago(shot), startup=7)
        assert decide(shot, TEN_A_POD, history).look_again == pytest.approx(93)
        assert decide(shot, replace(TEN_A_POD, look_ahead=40), history).look_again == pytest.approx(60)

    def test_the_end_of_a_cooldown_is_looked_for(self) -> None:
        shot = snapshot(QueueFacts(), replicas=1)
        history = replace(long_ago(shot), last_work=shot.at - 100)
        assert decide(shot, TEN_A_POD, history).look_again == pytest.approx(20)

    def test_an_idle_scaler_at_rest_need_not_be_looked_at(self) -> None:
        assert decide_now(QueueFacts()).look_again is None


counts = st.integers(min_value=0, max_value=5000)
queue_facts = st.builds(
    QueueFacts, waiting=counts, active=counts, delayed=counts, due=counts, held=counts, added=counts, failed=st.integers(0, 50),
    finished=st.integers(0, 100), paused=st.booleans(),
    next_due=st.none() | st.floats(0, 1e6), oldest_age=st.none() | st.floats(0, 1e5),
)
readings = queue_facts | st.builds(Unread, st.just("timeout"), st.floats(0, 1000))
targets = st.builds(JobsPerReplica, st.floats(0.1, 1000)) | st.builds(MaxWait, st.floats(1, 10_000)) | st.builds(
    DrainBy, minute_of_day=st.integers(0, 1439)) | st.builds(DrainBy, seconds=st.floats(1, 1e6))
def paces(*stabilizations: float | None) -> st.SearchStrategy[Pace]:
    return st.builds(Pace, stabilization=st.sampled_from(stabilizations), pods=st.none() | st.integers(1, 50),
                     percent=st.none() | st.floats(1, 500), period=st.sampled_from([1, 15, 60]))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    least = draw(st.integers(0, 30))
    return Policy(
        queues=(QUEUE,), target=draw(targets), min_replicas=least, max_replicas=draw(st.integers(max(least, 1), 200)),
        paused=draw(st.booleans()) and draw(st.booleans()), look_ahead=draw(st.none() | st.floats(0, 600)),
        cooldown=draw(st.sampled_from([0, 5, 120])), scale_up=draw(paces(0, 10, 60)),
        scale_down=draw(paces(0, 10, 60, None)),
        fallback=draw(st.none() | st.builds(Fallback, replicas=st.integers(0, 30), after=st.floats(0, 100))),
    )


@st.composite
def shots(draw: st.DrawFn) -> Snapshot:
    replicas = draw(st.integers(0, 250))
    return Snapshot(at=draw(st.floats(0, 1e4)), wall=NOON, queues=(draw(readings),), replicas=replicas,
                    ready=draw(st.integers(0, replicas)), broken=draw(st.sampled_from(["", "a pod crashes"])),
                    share=draw(st.none() | st.integers(0, 100)), budget="fleet")


def histories_of(policy: Policy, earlier: list[Snapshot], shot: Snapshot) -> History:
    """What is remembered after some earlier looks, in the order of time."""
    moments = sorted(one.at for one in earlier)
    looks = [replace(one, at=at) for one, at in zip(earlier, moments, strict=True)]
    history = History.begin(looks[0] if looks else shot)
    for look in looks:
        history = decide(look, policy, history).history
    return history


@settings(max_examples=300, deadline=None)
@given(policies(), st.lists(shots(), max_size=5), shots())
def test_any_snapshot_gives_a_bounded_decision_whose_every_step_is_a_sentence(
    policy: Policy, earlier: list[Snapshot], shot: Snapshot
) -> None:
    shot = replace(shot, at=max([one.at for one in earlier], default=0) + shot.at)
    decision = decide(shot, policy, histories_of(policy, earlier, shot))
    unread = isinstance(shot.queues[0], Unread)
    if policy.paused:
        assert decision.desired == shot.replicas
    else:
        assert 0 <= decision.desired <= (max(policy.max_replicas, shot.replicas) if unread else policy.max_replicas)
        if shot.share is None:
            paced_up = policy.scale_up.pods is not None or policy.scale_up.percent is not None
            assert decision.desired >= (min(policy.min_replicas, shot.replicas) if paced_up else policy.min_replicas)
    if unread:
        assert decision.desired >= shot.replicas
    value = decision.replicas
    for step in decision.steps:
        assert step.before == value
        value = step.after
        assert sentence(step)
    assert value == decision.desired
    assert decision.reason in SENTENCES


@settings(max_examples=300, deadline=None)
@given(policies(), st.lists(shots(), max_size=4), shots(), queue_facts, st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_a_fuller_queue_never_gets_fewer_pods(policy: Policy, earlier: list[Snapshot], shot: Snapshot, facts: QueueFacts,
                                              waiting: int, active: int, due: int) -> None:
    shot = replace(shot, at=max([one.at for one in earlier], default=0) + shot.at, queues=(facts,))
    history = histories_of(policy, earlier, shot)
    # the first look of a new measurement, so that the difference is in the queue alone and not in what is learned of it
    history = replace(history, rates=tuple(replace(rates, at=None) for rates in history.rates))
    fuller = replace(facts, waiting=facts.waiting + waiting, active=facts.active + active, due=facts.due + due)
    few, many = decide(shot, policy, history), decide(replace(shot, queues=(fuller,)), policy, history)
    assert many.desired >= few.desired


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 400) | st.integers(400, 40_000), st.integers(0, 2**32), st.floats(0.5, 10))
def test_a_noisy_constant_load_does_not_make_it_flap(load: int, seed: int, every: float) -> None:
    """An hour of a load that trembles by a twentieth: the number settles, and never goes up again after it has gone down."""
    noise = random.Random(seed)
    policy = replace(TEN_A_POD, max_replicas=10_000)
    shot = snapshot(QueueFacts(), at=0)
    history, replicas, at, moves = History.begin(shot), 0, 0.0, []
    while at < 3600:
        at += every
        waiting = round(load * noise.uniform(0.95, 1.05))
        decision = decide(replace(shot, at=at, replicas=replicas, ready=replicas, queues=(QueueFacts(waiting=waiting),)), policy, history)
        history = decision.history
        if decision.desired != replicas and at > 120:
            moves.append(decision.desired - replicas)
        replicas = decision.desired
    turns = sum(1 for one, other in itertools.pairwise(moves) if (one > 0) != (other > 0))
    assert turns == 0, moves


@settings(max_examples=50, deadline=None)
@given(policies(), st.lists(shots(), min_size=50, max_size=50))
def test_memory_of_the_past_is_bounded(policy: Policy, looks: list[Snapshot]) -> None:
    history = History.begin(looks[0])
    for second, look in enumerate(looks * 8):
        history = decide(replace(look, at=float(second)), policy, history).history
        assert len(history.peaks) <= 70
        assert len(history.valleys) <= 70
        assert len(history.changes) <= 32
