"""How many jobs a consumer claims, for which slots."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.bull.capacity import Capacity


def proved_quick(capacity: Capacity) -> Capacity:
    """After enough work that took next to no time."""
    for _ in range(200):
        capacity.claimed(1, 1, 1)
        capacity.free -= 1
        capacity.freed(0.00001)
    return capacity


def test_the_watch_takes_all_free_slots_and_one_of_heavy_work() -> None:
    assert Capacity(10, batch=1, spread=False).reserve_for_watch() == 10
    assert Capacity(10, batch=1, spread=True).reserve_for_watch() == 1
    assert Capacity(3, batch=50, spread=False).reserve_for_watch() == 150


def test_a_lane_takes_half_of_the_slots_so_that_the_other_has_as_much() -> None:
    capacity = Capacity(10, batch=1, spread=False)

    assert [capacity.reserve_for_lane(0), capacity.reserve_for_lane(0), capacity.reserve_for_lane(0)] == [5, 5, 0]


def test_quick_work_is_claimed_once_more_for_every_slot() -> None:
    capacity = proved_quick(Capacity(10, batch=1, spread=False))

    assert [capacity.reserve_for_lane(10), capacity.reserve_for_lane(0), capacity.reserve_for_lane(0)] == [10, 10, 0]
    assert capacity.free == -10
    assert capacity.reserve_for_watch() == 0


def test_one_slow_job_ends_claiming_ahead() -> None:
    capacity = proved_quick(Capacity(10, batch=1, spread=False))
    capacity.free -= 1
    capacity.freed(2.0)

    assert [capacity.reserve_for_lane(0) for _ in range(3)] == [5, 5, 0]


def test_jobs_that_had_to_go_back_end_claiming_ahead() -> None:
    capacity = proved_quick(Capacity(4, batch=1, spread=False))
    assert capacity.reserve_for_lane(4) + capacity.reserve_for_lane(0) == 8
    capacity.claimed(8, 8, 8)
    capacity.given_back(4)

    assert capacity.reserve_for_lane(0) == 0


def test_heavy_work_is_claimed_by_lanes_only_in_exchange() -> None:
    capacity = proved_quick(Capacity(10, batch=1, spread=True))

    assert [capacity.reserve_for_lane(0), capacity.reserve_for_lane(3)] == [0, 1]


def test_nothing_more_is_claimed_by_lanes_after_a_claim_that_found_too_little() -> None:
    capacity = Capacity(4, batch=1, spread=False)
    capacity.claimed(1, capacity.reserve_for_watch(), 1)

    assert capacity.is_for_the_watch
    assert (capacity.is_for_a_lane, capacity.reserve_for_lane(1)) == (False, 0)


@given(
    slots=st.integers(1, 20), batch=st.integers(1, 30), spread=st.booleans(),
    steps=st.lists(st.tuples(st.sampled_from(["lane", "watch", "end"]), st.floats(0, 1), st.sampled_from([0.00001, 0.2])), max_size=60),
)  # fmt: skip
def test_whatever_happens_no_more_than_twice_the_slots_are_promised(
    slots: int, batch: int, spread: bool, steps: list[tuple[str, float, float]]
) -> None:
    capacity = Capacity(slots, batch=batch, spread=spread)
    taken = 0
    for step, share, seconds in steps:
        if step == "end":
            if taken:
                taken -= 1
                capacity.freed(seconds)
            continue
        asked = capacity.reserve_for_lane(taken) if step == "lane" else capacity.reserve_for_watch()
        assert asked >= 0
        if asked:
            found = round(asked * share)
            filled = -(-found // batch)
            capacity.claimed(found, asked, filled)
            taken += filled
        assert capacity.free == slots - taken
        assert -slots <= capacity.free <= slots
