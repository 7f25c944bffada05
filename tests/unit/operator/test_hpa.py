"""The shape of the HPA, and the tenth that it ignores."""

from __future__ import annotations

from typing import Any

import pytest
from kayan_operator.cluster import hpa
from kayan_operator.cluster.fleet import Fleet, Key, Scaler


def scaler(**spec: Any) -> Scaler:
    fleet = Fleet(prefix="bull")
    fleet.see_scaler({
        "metadata": {"namespace": "kayan", "name": "email", "uid": "u-1", "generation": 1, "resourceVersion": "1"},
        "spec": {"scaleTargetRef": {"name": "kayan-email"}, "queues": [{"name": "email"}], "maxReplicas": 50, **spec},
    })
    return fleet.scalers[Key("kayan", "email")]


def bounds(*, current: int, published: int, exact: bool = False, **spec: Any) -> tuple[int, int]:
    written = hpa.body(scaler(**spec), current=current, published=published, exact=exact)["spec"]
    return written["minReplicas"], written["maxReplicas"]


def test_it_belongs_to_its_scaler_and_asks_for_the_desired_pods() -> None:
    body = hpa.body(scaler(), current=3, published=3, exact=False)
    assert body["metadata"]["ownerReferences"][0]["uid"] == "u-1"
    assert body["metadata"]["ownerReferences"][0]["controller"] is True
    [metric] = body["spec"]["metrics"]
    assert metric["external"]["metric"] == {"name": "kayan-desired-replicas", "selector": {"matchLabels": {"queuescaler": "email"}}}
    assert metric["external"]["target"] == {"type": "AverageValue", "averageValue": "1"}


@pytest.mark.parametrize(("current", "published", "ignored"), [
    (10, 11, True), (20, 21, True), (20, 22, True), (20, 23, False), (20, 18, True), (20, 17, False), (5, 6, False), (0, 1, False),
    (7, 7, False),
])
def test_a_difference_of_a_tenth_is_ignored_by_an_hpa(current: int, published: int, ignored: bool) -> None:
    assert hpa.within_tolerance(current, published) is ignored


@pytest.mark.parametrize(("current", "published", "expected"), [
    pytest.param(5, 20, (1, 50), id="a large step needs no help"),
    pytest.param(20, 21, (21, 50), id="a small step up is the least"),
    pytest.param(21, 21, (1, 50), id="and free again once it is made"),
    pytest.param(20, 19, (1, 19), id="a small step down is the most"),
    pytest.param(0, 0, (1, 50), id="an HPA goes not below one"),
])
def test_small_steps_are_made_by_its_bounds(current: int, published: int, expected: tuple[int, int]) -> None:
    assert bounds(current=current, published=published) == expected


def test_a_floor_is_kept_and_bounds_stay_in_order() -> None:
    assert bounds(current=20, published=19, minReplicas=19) == (19, 19)
    assert bounds(current=50, published=50, minReplicas=50) == (50, 50)


def test_where_a_tolerance_of_zero_is_kept_nothing_is_moved() -> None:
    assert bounds(current=20, published=21, exact=True) == (1, 50)
    written = hpa.body(scaler(), current=1, published=1, exact=False)["spec"]
    assert hpa.is_exact(written)
    kept = {**written, "behavior": {direction: {name: value for name, value in rules.items() if name != "tolerance"}
                                    for direction, rules in written["behavior"].items()}}
    assert not hpa.is_exact(kept)
    assert not hpa.differs(written, kept)
    assert hpa.differs(written, {**kept, "maxReplicas": 9})
