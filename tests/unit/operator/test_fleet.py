"""What the watches say, in whatever order they say it."""

from __future__ import annotations

from typing import Any

import pytest
from kayan_operator.cluster.fleet import Fleet, Key

KEY = Key("work", "email")


def body(uid: str, version: int, spec: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"namespace": KEY.namespace, "name": KEY.name, "uid": uid, "resourceVersion": str(version)}, "spec": spec}


SPECS: dict[str, dict[str, Any]] = {
    "scaler": {"scaleTargetRef": {"name": "email"}, "queues": [{"name": "email"}]},
    "budget": {"maxReplicas": 10},
    "deployment": {"replicas": 1, "template": {"spec": {}}},
    "autoscaler": {"scaleTargetRef": {"kind": "Deployment", "name": "email"}},
}


@pytest.mark.parametrize("kind", SPECS)
def test_the_end_of_an_object_says_nothing_of_another_that_has_its_name_by_now(kind: str) -> None:
    fleet = Fleet(prefix="bull")
    see, lose, known = getattr(fleet, f"see_{kind}"), getattr(fleet, f"lose_{kind}"), getattr(fleet, f"{kind}s")
    see(body("old", 1, SPECS[kind]))
    see(body("new", 3, SPECS[kind]))
    lose(KEY, "old")
    assert known[KEY].uid == "new"
    lose(KEY, "new")
    assert not known
    see(body("new", 3, SPECS[kind]))
    lose(KEY)
    assert not known


def test_an_older_state_that_comes_late_changes_nothing() -> None:
    fleet = Fleet(prefix="bull")
    fleet.see_deployment(body("one", 5, SPECS["deployment"] | {"replicas": 4}))
    fleet.see_deployment(body("one", 4, SPECS["deployment"] | {"replicas": 2}))
    assert fleet.deployments[KEY].replicas == 4
    fleet.scaled(KEY, 7, 6)
    fleet.see_deployment(body("one", 5, SPECS["deployment"] | {"replicas": 4}))
    assert fleet.deployments[KEY].replicas == 7
