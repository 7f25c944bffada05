"""Durations, rates and spreads, as people write them."""

from __future__ import annotations

import random
import statistics
from typing import Any

import pytest
from kayan_operator.simulate.amounts import Spread, duration, rate
from kayan_operator.simulate.clock import Clock
from kayan_operator.simulate.trouble import SimulationError


@pytest.mark.parametrize(("written", "seconds"), [(2, 2), (0.5, 0.5), ("3", 3), ("250ms", 0.25), ("1h30m", 5400), ("1.5s", 1.5)])
def test_a_duration_is_a_number_of_seconds_or_has_units(written: Any, seconds: float) -> None:
    assert duration(written, "at") == seconds


@pytest.mark.parametrize("written", ["soon", "", -1, True, None, "40d", float("nan"), "5 s"])
def test_what_is_no_duration_is_refused_with_its_field(written: Any) -> None:
    with pytest.raises(SimulationError, match=r"^traffic\[0\]\.at "):
        duration(written, "traffic[0].at")


@pytest.mark.parametrize(("written", "per_second"), [(2, 2), ("5/s", 5), ("120/min", 2), ("1800 / h", 0.5), ("86400/d", 1)])
def test_a_rate_is_a_number_per_second_or_says_per_what(written: Any, per_second: float) -> None:
    assert rate(written, "rate") == per_second


@pytest.mark.parametrize("written", ["5", "5/week", "-1/s", -1, None])
def test_what_is_no_rate_is_refused_with_an_example(written: Any) -> None:
    with pytest.raises(SimulationError, match="no rate: write 5/s"):
        rate(written, "rate")


@pytest.mark.parametrize(
    ("written", "mean", "middle"),
    [("2s", 2, 2), ("exponential 2s", 2, 1.386), ("uniform 1s 3s", 2, 2), ("lognormal 2s 0.5", 2.266, 2), (0.25, 0.25, 0.25), ("0", 0, 0)],
)
def test_a_spread_has_the_mean_and_the_median_that_it_says(written: Any, mean: float, middle: float) -> None:
    chance, spread = random.Random(1), Spread.parse(written, "takes")
    drawn = [spread.draw(chance) for _ in range(20_000)]
    assert statistics.mean(drawn) == pytest.approx(mean, rel=0.03)
    assert statistics.median(drawn) == pytest.approx(middle, rel=0.03)
    assert min(drawn) >= 0


@pytest.mark.parametrize("written", ["normal 2s", "exponential", "uniform 3s", "uniform 3s 1s", "lognormal 2s 5s", "", None, "2s 3s"])
def test_what_is_no_spread_is_refused_with_examples(written: Any) -> None:
    with pytest.raises(SimulationError, match=r"^takes is "):
        Spread.parse(written, "takes")


@pytest.mark.parametrize(("moment", "strike"), [(-1, 6), (5.9, 6), (6, 21), (20.9, 21), (21, 36), (1e6, 1_000_011)])
def test_a_clock_strikes_after_a_moment_and_never_at_it(moment: float, strike: float) -> None:
    assert Clock(15, 6).after(moment) == strike


def test_a_clock_whose_period_is_no_binary_number_does_not_strike_twice_at_once() -> None:
    clock, moment = Clock(0.1, 0.3), 0.0
    for _ in range(1000):
        later = clock.after(moment)
        assert later > moment
        moment = later
    assert moment == pytest.approx(0.3 + 99.9)
