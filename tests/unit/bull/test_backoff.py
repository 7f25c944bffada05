"""The arithmetic of retries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.bull.backoff import GIVE_UP, delay_ms

ERROR = ValueError("boom")


def exponential(delay: object) -> dict[str, object]:
    return {"type": "exponential", "delay": delay}


def test_the_documented_series_doubles() -> None:
    assert [delay_ms(exponential(2000), n, ERROR) for n in (1, 2, 3, 4)] == [2000, 4000, 8000, 16000]


def test_bulls_own_series_is_kept_for_a_mixed_fleet() -> None:
    assert [delay_ms(exponential(2000), n, ERROR, series="bull") for n in (1, 2, 3, 4, 5)] == [2000, 6000, 14000, 30000, 62000]


@pytest.mark.parametrize("backoff", [None, False, 0, "", {}, True, "soon", exponential(None), exponential("2000"), {"type": "fixed"}])
def test_no_usable_delay_means_an_immediate_retry(backoff: object) -> None:
    assert delay_ms(backoff, 1, ERROR) == 0


def test_a_number_is_a_fixed_delay() -> None:
    assert [delay_ms(250, n, ERROR) for n in (1, 2, 3)] == [250, 250, 250]


def test_a_type_nobody_here_knows_waits_its_delay_instead_of_stranding_the_job() -> None:
    assert delay_ms({"type": "jitter", "delay": 700}, 2, ERROR) == 700


def test_a_strategy_decides_by_attempt_and_error_and_may_give_up() -> None:
    def patient(attempts_made: int, error: Exception, options: object) -> float:
        return -1 if isinstance(error, KeyError) else attempts_made * 10

    strategies = {"patient": patient}
    assert delay_ms({"type": "patient"}, 3, ERROR, strategies=strategies) == 30
    assert delay_ms({"type": "patient"}, 3, KeyError("x"), strategies=strategies) == GIVE_UP


@given(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.dictionaries(st.text(), st.floats())), st.integers(1, 20)
)
def test_whatever_stands_in_the_options_the_delay_is_a_whole_number_of_milliseconds(backoff: object, attempt: int) -> None:
    delay = delay_ms(backoff, attempt, ERROR)
    assert isinstance(delay, int)
    assert delay >= 0
