"""How pods go that a lull leaves without work: a few at a time, and no sooner than a lull is wont to end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_operator.decision.lulls import Lull, Taper, Wish, ended

TEN = Taper(patience=10, window=60)


@pytest.mark.parametrize(("age", "staying"), [(0, 100), (9.9, 100), (10, 50), (19.9, 50), (20, 25), (40, 13), (60, 13), (60.1, 0)])
def test_half_of_those_too_many_stay_for_twice_as_long_and_a_quarter_for_four_times(age: float, staying: int) -> None:
    assert TEN.kept([Wish(1000 - age, 103)], 3, at=1000)[0] == 3 + staying


def test_one_too_many_stays_to_the_end_of_the_window() -> None:
    assert [TEN.kept([Wish(0, 5)], 4, at=age)[0] for age in (0, 30, 60, 61)] == [5, 5, 5, 4]


def test_what_was_wanted_last_counts_beside_what_was_wanted_most() -> None:
    most, soon = Wish(950, 40), Wish(995, 15)
    assert TEN.kept([most, soon], 0, at=1000) == (15, soon), "an eighth of 40 stays, and all of 15"
    assert TEN.kept([most], 0, at=1000) == (5, most)
    assert TEN.kept([most, soon], 50, at=1000) == (50, None)


@pytest.mark.parametrize(("startup", "taper"), [
    (0.4, Taper(10, 60)), (8, Taper(10, 60)), (20, Taper(20, 120)), (90, Taper(90, 300)), (300, Taper(300, 300)),
])
def test_the_longer_a_pod_takes_to_start_the_longer_all_stay(startup: float, taper: Taper) -> None:
    assert Taper.of(startup) == taper


class TestLullsThatEnded:
    PEAKS = (Wish(970, 20), Wish(990, 6), Wish(1000, 2))

    def test_one_that_cost_a_start_is_remembered(self) -> None:
        assert ended(self.PEAKS, 20, 1001, startup=5, known=None) == Lull(31, 1001)

    @pytest.mark.parametrize(("wanted", "why"), [
        (2, "they are wanted already"), (6, "all of six would have been there still"), (7, "a quarter of 18 would have been there still"),
        (21, "that many were never wanted"),
    ])
    def test_one_that_cost_nothing_is_none(self, wanted: int, why: str) -> None:
        assert ended(self.PEAKS, wanted, 1001, startup=5, known=None) is None, why

    def test_the_longest_counts_until_it_is_half_an_hour_ago(self) -> None:
        longer = Lull(50, 900)
        assert ended(self.PEAKS, 20, 1001, startup=5, known=longer) == longer
        assert ended(self.PEAKS, 20, 1001, startup=5, known=Lull(50, -900)) == Lull(31, 1001)

    def test_the_next_ones_are_given_as_long(self) -> None:
        assert Taper.of(5, Lull(31, 1001), at=1500) == Taper(38.75, 60)
        assert Taper.of(5, Lull(59, 1001), at=1500) == Taper(60, 60)
        assert Taper.of(5, Lull(31, 1001), at=2801) == Taper(10, 60)


tapers = st.builds(Taper.of, st.floats(0, 300), st.none() | st.builds(Lull, st.floats(0, 300), st.just(0)), st.just(0))
peaks = st.lists(st.builds(Wish, st.floats(0, 1000), st.integers(0, 500)), max_size=6)


@given(tapers, peaks, st.integers(0, 500), st.integers(0, 500), st.floats(0, 500))
def test_pods_only_go_while_a_lull_lasts_and_a_fuller_queue_keeps_no_fewer(
    taper: Taper, wishes: list[Wish], now: int, more: int, later: float
) -> None:
    kept, wish = taper.kept(wishes, now, at=1000)
    assert now <= kept <= max([now, *(one.replicas for one in wishes)])
    assert (wish is None) is (kept == now)
    assert taper.kept(wishes, now + more, at=1000)[0] >= kept
    assert taper.kept(wishes, now, at=1000 + later)[0] <= kept


@given(tapers, st.floats(0, 1), st.floats(0.01, 0.99))
def test_between_two_steps_nothing_changes_and_at_a_step_something_does(taper: Taper, when: float, within: float) -> None:
    age = when * taper.window
    step = taper.next_step(age)
    assert taper.share(age + within * step) == taper.share(age)
    assert taper.share(age + step + 1e-6) < taper.share(age)


def test_once_a_window_is_over_there_is_no_next_step() -> None:
    assert TEN.next_step(60.1) < 0
