"""Who of a budget may grow, and when: not before everybody has said what it wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from kayan_operator.cluster.fleet import Fleet, Key
from kayan_operator.cluster.kube import Kube
from kayan_operator.decision.facts import QueueFacts, Snapshot, Unread
from kayan_operator.decision.history import History
from kayan_operator.metrics import Metrics
from kayan_operator.scaling.allotment import Allotment


@dataclass
class Stage:
    """A budget of ten pods, its scalers, and who is to be looked at again."""

    fleet: Fleet = field(default_factory=lambda: Fleet(prefix="bull"))
    now: float = 1000
    again: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.allotment = Allotment(Kube(cast(Any, None)), self.fleet, Metrics(), lambda key: self.again.append(key.name), lambda: self.now)
        self.fleet.see_budget({"metadata": metadata("fleet"), "spec": {"maxReplicas": 10}})

    def add(self, name: str, *, priority: int = 0, replicas: int = 0) -> None:
        spec = {"replicas": replicas, "selector": {}, "template": {"spec": {"containers": []}}}
        self.fleet.see_deployment({"metadata": metadata(name), "spec": spec, "status": {"replicas": replicas}})
        self.fleet.see_scaler({"metadata": metadata(name), "spec": {
            "scaleTargetRef": {"name": name}, "queues": [{"name": name}], "maxReplicas": 20, "priority": priority,
            "budgetRef": {"name": "fleet"},
        }})

    def share(self, name: str, facts: QueueFacts | Unread = QueueFacts(waiting=1000)) -> int | None:  # noqa: B008  it is frozen
        """What it is left after a look at its queue."""
        key = Key("kayan", name)
        target = self.fleet.deployments[key]
        shot = Snapshot(at=self.now, wall=self.now, queues=(facts,), replicas=target.replicas, ready=target.replicas)
        return self.allotment.allot(self.fleet.scalers[key], target, shot, History.begin(shot)).share


def metadata(name: str) -> dict[str, Any]:
    return {"namespace": "kayan", "name": name, "uid": name, "resourceVersion": "1", "generation": 1}


def test_whoever_is_looked_at_first_does_not_take_the_share_of_a_more_important_one() -> None:
    stage = Stage()
    stage.add("early")
    stage.add("important", priority=9)
    assert stage.share("early") == 0, "nobody knows yet what the other wants"
    assert stage.share("important") == 10
    assert stage.share("early") == 0


def test_what_the_others_leave_is_given_once_all_have_been_looked_at() -> None:
    stage = Stage()
    stage.add("early", replicas=2)
    stage.add("important", priority=9)
    assert stage.share("early") == 2, "it keeps what it has"
    assert stage.share("important", QueueFacts(waiting=30)) == 3
    assert "early" in stage.again, "and is looked at at once"
    assert stage.share("early") == 7


def test_a_new_scaler_of_a_budget_is_heard_before_the_others_grow() -> None:
    stage = Stage()
    stage.add("first", replicas=2)
    assert stage.share("first") == 10, "alone it waits for nobody"
    stage.add("new", priority=9)
    assert stage.share("first") == 2
    assert stage.share("new", QueueFacts(waiting=60)) == 6
    assert stage.share("first") == 4


def test_a_redis_that_cannot_be_read_counts_as_having_been_looked_at() -> None:
    stage = Stage()
    stage.add("first")
    stage.add("deaf", priority=9, replicas=3)
    assert stage.share("first") == 0
    assert stage.share("deaf", Unread("timeout", 2)) == 3
    assert stage.share("first") == 7


def test_one_that_nobody_can_look_at_holds_up_the_others_for_three_seconds_once() -> None:
    stage = Stage()
    stage.add("first")
    stage.add("hindered", priority=9, replicas=3)
    found = []
    for stage.now in (1000, 1001, 1002.9, 1003, 1004, 1100):
        found.append(stage.share("first"))
    assert found == [0, 0, 0, 7, 7, 7]


def test_one_that_has_gone_is_waited_for_no_more() -> None:
    stage = Stage()
    stage.add("first")
    stage.add("gone")
    assert stage.share("first") == 0
    stage.fleet.lose_scaler(Key("kayan", "gone"))
    assert stage.share("first") == 10
