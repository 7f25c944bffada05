"""What is said of pods that do not come up, from their statuses alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from kayan_operator.cluster.pods import trouble

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
ENDED = {"terminated": {"exitCode": 1, "finishedAt": "2026-03-01T11:59:30Z"}}


def started(clock: str) -> dict[str, Any]:
    return {"running": {"startedAt": f"2026-03-01T{clock}Z"}}


@pytest.mark.parametrize(("container", "said"), [
    ({"state": {"waiting": {"reason": "ImagePullBackOff"}}}, "ImagePullBackOff"),
    ({"state": {"waiting": {"reason": "ContainerCreating"}}}, ""),
    ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ENDED, "restartCount": 1}, "CrashLoopBackOff"),
    ({"state": started("11:59:50"), "restartCount": 0}, ""),
    ({"state": started("11:59:50"), "lastState": ENDED, "restartCount": 1}, ""),
    ({"state": started("11:59:50"), "lastState": ENDED, "restartCount": 2}, "CrashLoopBackOff"),
    ({"state": started("11:59:20"), "lastState": ENDED, "restartCount": 2}, ""),
    ({"state": ENDED, "lastState": ENDED, "restartCount": 2}, "CrashLoopBackOff"),
])
def test_a_container_that_crashes_again_and_again_is_not_believed_between_two_crashes(container: dict[str, Any], said: str) -> None:
    assert trouble({"containerStatuses": [container]}, NOW) == said
    assert trouble({"initContainerStatuses": [container]}, NOW) == said


def test_a_pod_without_a_node_is_in_trouble_when_there_is_none_for_it() -> None:
    placed = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    assert trouble({"conditions": [placed]}, NOW) == "Unschedulable"
    assert not trouble({"conditions": [placed | {"reason": "SchedulingGated"}]}, NOW)
    assert not trouble({}, NOW)
