"""What a status says, when it is worth a write, and what is worth an event."""

from __future__ import annotations

from typing import Any

from kayan_operator.decision.decide import decide
from kayan_operator.decision.facts import QueueFacts, Snapshot, Unread
from kayan_operator.decision.history import History
from kayan_operator.decision.policy import Policy, Queue
from kayan_operator.scaling.status import Condition, differs, of_decision, of_limits, of_queues, of_work, transitions, with_conditions

POLICY = Policy(queues=(Queue(name="email"), Queue(name="notification")), max_replicas=5)


def status_of(*facts: QueueFacts | Unread, replicas: int = 0, before: dict[str, Any] | None = None, now: float = 0, generation: int = 1,
              waits_for: str = "") -> dict[str, Any]:
    snapshot = Snapshot(at=1000, wall=1000, queues=facts, replicas=replicas, ready=replicas)
    history = History.begin(Snapshot(at=0, wall=0, queues=facts, replicas=0))
    decision = decide(snapshot, POLICY, history)
    numbers = of_decision(decision, snapshot, mode="hpa", published=decision.desired, waits_for=waits_for)
    conditions = [of_queues(snapshot, ["email", "notification"]), of_work(decision, snapshot), of_limits(decision)]
    return with_conditions(numbers, conditions, before=before or {}, generation=generation, now=now)


def condition(status: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in status["conditions"] if one["type"] == name)


def test_it_tells_the_numbers_and_the_reason_as_a_sentence() -> None:
    status = status_of(QueueFacts(waiting=12, active=3, oldest_age=4.4), QueueFacts(due=1))
    expected = {"backlog": 16, "waiting": 12, "active": 3, "due": 1, "oldestWaitingSeconds": 4, "desiredReplicas": 2, "reason": "Backlog"}
    assert status.items() >= expected.items()
    assert status["message"] == "12 waiting, 3 active and 1 due soon, at 10 jobs for each pod, deserve 2 pods"


def test_what_scale_in_waits_for_is_told() -> None:
    status = status_of(QueueFacts(active=2), QueueFacts(), replicas=5, waits_for="5 of 5 pods are busy")
    assert status["message"].endswith("; 5 of 5 pods are busy")


def test_conditions_name_what_is_wrong() -> None:
    status = status_of(Unread("connection refused"), QueueFacts())
    assert condition(status, "QueuesReadable")["status"] == "False"
    assert condition(status, "QueuesReadable")["message"] == "queue email: connection refused. Replicas stay as they are"
    assert condition(status, "Active")["status"] == "Unknown"
    status = status_of(QueueFacts(waiting=1000), QueueFacts())
    assert condition(status, "ScalingLimited") | {"lastTransitionTime": ""} == {
        "type": "ScalingLimited", "status": "True", "reason": "MaxReplicas", "message": "100 wanted: never more than 5 pods (maxReplicas)",
        "observedGeneration": 1, "lastTransitionTime": "",
    }


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    first = status_of(QueueFacts(), QueueFacts(), now=100)
    same = status_of(QueueFacts(), QueueFacts(), now=200, before=first, generation=2)
    other = status_of(QueueFacts(waiting=1), QueueFacts(), now=300, before=same)
    assert condition(same, "Active")["lastTransitionTime"] == "1970-01-01T00:01:40Z"
    assert condition(same, "Active")["observedGeneration"] == 2
    assert condition(other, "Active")["lastTransitionTime"] == "1970-01-01T00:05:00Z"


def test_numbers_that_change_with_every_job_are_worth_no_write_of_their_own() -> None:
    one, other = status_of(QueueFacts(waiting=12), QueueFacts()), status_of(QueueFacts(waiting=13), QueueFacts())
    assert not differs(one, other, closely=False)
    assert differs(one, other, closely=True)
    assert differs(one, status_of(QueueFacts(waiting=33), QueueFacts()), closely=False)


def test_events_tell_of_trouble_and_of_its_end_and_of_nothing_else() -> None:
    well = status_of(QueueFacts(), QueueFacts())
    ill = status_of(Unread("timeout"), QueueFacts(), before=well)
    assert transitions({}, well) == []
    assert [one["type"] for one in transitions(well, ill)] == ["QueuesReadable"]
    assert transitions(ill, ill) == []
    assert [one["type"] for one in transitions(ill, status_of(QueueFacts(waiting=1), QueueFacts(), before=ill))] == ["QueuesReadable"]
    assert [one["type"] for one in transitions(well, status_of(QueueFacts(waiting=900), QueueFacts()))] == ["ScalingLimited"]


def test_a_condition_without_a_message_is_one_all_the_same() -> None:
    status = with_conditions({}, [Condition("Ready", True, "Scaling")], before={}, generation=3, now=0)
    assert status["conditions"][0]["message"] == ""
    assert status["observedGeneration"] == 3
