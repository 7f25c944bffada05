"""Pods that are ready and wait at another Redis: said when it is certain, and not before."""

from __future__ import annotations

from typing import Any

import pytest
from kayan_operator.cluster.fleet import Deployment, Key
from kayan_operator.decision.facts import Consumers
from kayan_operator.scaling.attendance import Attendance
from kayan_operator.scaling.status import Condition, is_trouble, with_conditions


def target(ready: int = 2, name: str = "email") -> Deployment:
    return Deployment(key=Key("kayan", name), uid="u", version=1, replicas=2, ready=ready, present=2, terminating=0, updated=2,
                      is_settled=True, selector="", cpu=0)


class Watch:
    """Looks, second by second; the list is read as often as that."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.attendance = Attendance(lambda: self.now)

    def look(
        self, *pods: str, after: float = 0, node: int = 0, active: int = 0, read_at: float | None = None, **of: Any
    ) -> Condition | None:
        self.now += after
        seen = Consumers(frozenset(pods), node, self.now if read_at is None else read_at)
        return self.attendance.look(target(**of), seen, ["email"], active=active)


def test_pods_that_wait_for_jobs_are_told_of() -> None:
    said = Watch().look("email-7d9f8c6b5d-x2x4z", "email-7d9f8c6b5d-abcde", node=1)
    assert said == Condition("Consuming", True, "Connected", "2 pods and 1 Node worker wait for jobs of its queues")


def test_pods_of_which_none_waits_for_a_minute_are_trouble() -> None:
    watch = Watch()
    assert watch.look() is None
    assert watch.look(after=59) is None
    said = watch.look(after=2)
    assert said is not None
    assert (said.status, said.reason) == (False, "NotConnected")
    assert "2 pods are ready, but none of them waits for jobs of queue email" in said.message
    [condition] = with_conditions({}, [said], before={}, generation=1, now=0)["conditions"]
    assert is_trouble(condition)
    well = Condition("Consuming", True, "Connected", "1 pod waits for jobs of its queues")
    assert watch.look("email-7d9f8c6b5d-x2x4z", after=1) == well
    assert watch.look(after=1) == well, "it may have been cut off for a moment"


def test_workers_of_node_do_not_stand_for_pods() -> None:
    watch = Watch()
    watch.look(node=5)
    said = watch.look(node=5, after=61)
    assert said is not None
    assert said.status is False


def test_a_list_that_was_read_before_the_pods_were_ready_proves_nothing() -> None:
    watch = Watch()
    watch.look(read_at=990)
    assert watch.look(after=100, read_at=990) is None
    assert watch.look(after=1, read_at=1100) is not None


def test_pods_that_are_not_ready_yet_have_all_the_time_they_need() -> None:
    watch = Watch()
    for _ in range(5):
        assert watch.look(after=50, ready=0) is None
    assert watch.look(after=50) is None, "the minute begins with the first that is ready"


def test_what_nobody_knows_is_not_said() -> None:
    watch = Watch()
    watch.look()
    watch.now += 100
    assert watch.attendance.look(target(), None, ["email"], active=0) is None
    assert watch.look(after=1) is None


def test_where_jobs_run_though_nobody_bears_a_name_no_pod_is_accused() -> None:
    """A Redis user may be forbidden to name its connections."""
    watch = Watch()
    watch.look(active=1)
    assert watch.look(after=100, active=1) is None


@pytest.mark.parametrize("pod", ["email-bulk-7d9f8c6b5d-x2x4z", "emailer-7d9f8c6b5d-x2x4z", "laptop", "email", "email-0"])
def test_somebody_elses_pods_do_not_count(pod: str) -> None:
    watch = Watch()
    watch.look(pod)
    said = watch.look(pod, after=61)
    assert said is not None
    assert said.status is False


def test_pods_whose_names_kubernetes_has_cut_are_not_accused() -> None:
    watch, name = Watch(), "a" * 60
    watch.look(name=name)
    assert watch.look(after=100, name=name) is None
