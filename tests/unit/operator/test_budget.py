"""One cap for several scalers, by priority and then fairly."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_operator.decision.budget import Claim, shares


@pytest.mark.parametrize(
    ("cap", "claims", "expected"),
    [
        pytest.param(10, {"a": (4, 0), "b": (5, 0)}, {"a": 4, "b": 5}, id="room for all"),
        pytest.param(10, {"a": (20, 0), "b": (20, 0)}, {"a": 5, "b": 5}, id="equals share equally"),
        pytest.param(10, {"a": (2, 0), "b": (20, 0), "c": (20, 0)}, {"a": 2, "b": 4, "c": 4}, id="small wishes are met whole"),
        pytest.param(10, {"a": (8, 5), "b": (20, 0)}, {"a": 8, "b": 2}, id="the more important goes first"),
        pytest.param(3, {"a": (5, 0), "b": (1, 9), "c": (5, 9)}, {"a": 0, "b": 1, "c": 2}, id="the last may get nothing"),
    ],
)
def test_a_cap_is_shared_by_priority_and_then_fairly(cap: int, claims: dict[str, tuple[int, int]], expected: dict[str, int]) -> None:
    assert shares(cap, [Claim(name=name, wanted=wanted, priority=priority) for name, (wanted, priority) in claims.items()]) == expected


def test_floors_come_before_anybodys_more() -> None:
    claims = [Claim(name="important", wanted=10, priority=9), Claim(name="small", wanted=4, floor=2)]
    assert shares(6, claims) == {"important": 4, "small": 2}


def test_nobody_grows_into_what_another_still_uses() -> None:
    claims = [Claim(name="important", wanted=8, priority=9, present=2), Claim(name="other", wanted=8, present=8)]
    assert shares(10, claims) == {"important": 2, "other": 2}
    claims = [Claim(name="important", wanted=8, priority=9, present=2), Claim(name="other", wanted=8, present=5)]
    assert shares(10, claims) == {"important": 5, "other": 2}


def test_costs_are_shared_and_not_pods() -> None:
    claims = [Claim(name="heavy", wanted=10, cost=2), Claim(name="light", wanted=10, cost=0.5)]
    assert shares(8, claims) == {"heavy": 2, "light": 8}


claim_lists = st.lists(
    st.builds(Claim, name=st.text("abcdefgh", min_size=1, max_size=4), wanted=st.integers(0, 60), floor=st.integers(0, 10),
              priority=st.integers(-2, 2), cost=st.sampled_from([0.0, 0.1, 0.25, 1.0, 3.0]), present=st.integers(0, 60)),
    max_size=8, unique_by=lambda claim: claim.name,
)


@given(st.floats(0, 200), claim_lists)
def test_the_cap_is_kept_and_nobody_gets_more_than_it_can_use(cap: float, claims: list[Claim]) -> None:
    given_ = shares(cap, claims)
    used = sum(max(given_[claim.name], claim.present) * claim.cost for claim in claims)
    present = sum(claim.present * claim.cost for claim in claims)
    assert used <= max(cap, present) + 1e-6
    for claim in claims:
        assert 0 <= given_[claim.name] <= max(claim.wanted, claim.floor)


@given(st.integers(0, 60), claim_lists)
def test_without_anybody_present_nothing_is_left_over_that_somebody_wants(cap: int, claims: list[Claim]) -> None:
    claims = [Claim(name=claim.name, wanted=claim.wanted, priority=claim.priority) for claim in claims]
    given_ = shares(cap, claims)
    assert sum(given_.values()) == min(cap, sum(claim.wanted for claim in claims))
    for one in claims:
        for other in claims:
            if one.priority == other.priority and given_[one.name] < one.wanted:
                assert given_[other.name] <= given_[one.name] + 1
            if one.priority > other.priority and given_[other.name] > 0:
                assert given_[one.name] == one.wanted
    assert all(math.isfinite(value) for value in given_.values())
