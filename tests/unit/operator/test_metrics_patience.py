"""An HPA without an answer is given up after a minute, and had again when the API has been there for half of one."""

from __future__ import annotations

from kayan_operator.cluster.fleet import Deployment, Key
from kayan_operator.decision.policy import Policy, Queue
from kayan_operator.scaling.metrics_patience import MetricsPatience
from kayan_operator.scaling.obstacles import MetricsApiState, mode_to_be_had

HPA = Policy(queues=(Queue(name="mail"),), mode="hpa")
TARGET = Deployment(key=Key("kayan", "mail"), uid="u", version=1, replicas=1, ready=1, present=1, terminating=0, updated=1, is_settled=True,
                    selector="", cpu=0)


class Watch:
    def __init__(self) -> None:
        self.now = 500.0
        self.patience = MetricsPatience(lambda: self.now)

    def see(self, kind: str, after: float = 0) -> str:
        """What is relied on, so many seconds later."""
        self.now += after
        return self.patience.judge(MetricsApiState(kind, f"{kind} it is")).kind


def test_an_api_that_stays_away_for_a_minute_is_given_up() -> None:
    watch = Watch()
    assert watch.see("available") == "available"
    assert watch.see("unavailable", after=5) == "unavailable"
    assert watch.see("unavailable", after=59) == "unavailable"
    assert watch.see("unavailable", after=1) == "unreachable"
    assert watch.see("unavailable", after=3600) == "unreachable"


def test_one_that_comes_back_in_between_was_never_given_up() -> None:
    watch = Watch()
    watch.see("unavailable")
    assert watch.see("available", after=50) == "available"
    assert watch.see("unavailable", after=5) == "unavailable"
    assert watch.see("unavailable", after=50) == "unavailable"


def test_it_is_relied_on_again_when_it_has_been_there_for_a_while() -> None:
    watch = Watch()
    watch.see("unavailable")
    assert watch.see("unavailable", after=60) == "unreachable"
    assert watch.see("available", after=1) == "unreachable"
    assert watch.see("available", after=29) == "unreachable"
    assert watch.see("unavailable", after=0.5) == "unreachable", "it counts from the latest loss"
    assert watch.see("available", after=5) == "unreachable"
    assert watch.see("available", after=30) == "available"
    assert watch.see("unavailable", after=1) == "unavailable"


def test_an_api_that_becomes_anothers_is_anothers_at_once() -> None:
    watch = Watch()
    watch.see("unavailable")
    watch.see("unavailable", after=60)
    for kind in ("foreign", "absent", "forbidden", "off"):
        assert watch.see(kind, after=1) == kind
    assert watch.see("available", after=1) == "available"


def test_the_number_is_written_by_the_operator_while_the_api_is_given_up_and_the_condition_says_so() -> None:
    watch = Watch()
    watch.see("unavailable")
    watch.now += 60
    mode, condition = mode_to_be_had(HPA, TARGET, watch.patience.judge(MetricsApiState("unavailable", "connection refused")))
    assert mode == "direct"
    assert condition
    assert (condition.status, condition.reason) == (False, "Unreachable")
    assert condition.message == "connection refused: the operator writes the number itself"
    watch.see("available")
    mode, condition = mode_to_be_had(HPA, TARGET, watch.patience.judge(MetricsApiState("available", "")))
    assert mode == "direct"
    watch.now += 30
    mode, condition = mode_to_be_had(HPA, TARGET, watch.patience.judge(MetricsApiState("available", "")))
    assert mode == "hpa"
    assert condition
    assert condition.status
