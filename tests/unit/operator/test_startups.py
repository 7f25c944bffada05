"""What a Deployment's numbers say of how long its pods take to start."""

from __future__ import annotations

import pytest
from kayan_operator.decision.startups import Startups

Look = tuple[float, int, int]
"""When, replicas, and ready ones."""


def measured(*looks: Look, asked: float | None = None, broken_at: float | None = None) -> list[float]:
    startups, found = Startups(), []
    for at, replicas, ready in looks:
        if asked is not None and at >= asked:
            startups.asked(asked)
            asked = None
        if (seconds := startups.look(at, replicas, ready, broken=at == broken_at)) is not None:
            found.append(seconds)
    return found


@pytest.mark.parametrize(("looks", "asked", "expected"), [
    pytest.param([(0, 0, 0), (10, 8, 0), (12, 8, 3), (14, 8, 4), (20, 8, 8)], 9.5, [4.5], id="a wake, from when it was asked for"),
    pytest.param([(0, 4, 4), (10, 8, 4), (13, 8, 5), (15, 8, 7), (16, 8, 8)], None, [5], id="growth, from when it was seen"),
    pytest.param([(0, 0, 0), (10, 1, 1)], 9.5, [0.5], id="one that is quicker than the looks"),
    pytest.param([(0, 2, 2), (10, 3, 3)], None, [], id="one of which nobody saw the beginning"),
    pytest.param([(0, 0, 0), (5, 4, 0), (8, 9, 1), (10, 9, 2), (15, 9, 9)], None, [5], id="more are asked for meanwhile"),
    pytest.param([(0, 0, 0), (5, 4, 0), (8, 1, 0), (60, 1, 1)], None, [], id="taken back before they were ready"),
    pytest.param([(0, 3, 3), (5, 3, 1), (9, 3, 3)], None, [], id="a rollout is no growth"),
    pytest.param([(0, 3, 0), (9, 3, 3)], None, [], id="nor is what was there when we came"),
    pytest.param([(0, 0, 0), (5, 2, 0), (9, 2, 2), (20, 4, 2), (23, 4, 4)], None, [4, 3], id="each time anew"),
])
def test_half_of_the_pods_that_were_asked_for_say_how_long_one_takes(looks: list[Look], asked: float | None, expected: list[float]) -> None:
    assert measured(*looks, asked=asked) == expected


def test_pods_that_do_not_come_up_are_not_measured() -> None:
    looks = [(0.0, 0, 0), (5.0, 2, 0), (90.0, 2, 0), (200.0, 2, 2)]
    assert measured(*looks) == [195]
    assert measured(*looks, broken_at=90) == []
