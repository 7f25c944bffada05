"""The halving of a batch around its poisonous entries, without a database."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.errors import NotNowError, PermanentError, TemporaryError
from kayan_workers.processors import batching
from kayan_workers.processors.batching import APART, TOGETHER, Outcome, Patience


def in_as_few_as_possible(work: Sequence[int], apply: Callable[[Sequence[int], Patience], list[Outcome]]) -> list[Outcome]:
    """Entries of the same last digit need the same row."""
    return batching.in_as_few_as_possible(work, apply, locks=lambda entry: str(entry % 10))


class Table:
    """Takes a batch whole or not at all, like a transaction."""

    def __init__(self, poison: set[int]) -> None:
        self.poison = poison
        self.rows: list[int] = []
        self.calls = 0

    def apply(self, some: Sequence[int], _: Patience) -> list[Outcome]:
        self.calls += 1
        if self.poison & set(some):
            raise psycopg.DataError("bad value")
        self.rows += some
        return [f"done {entry}" for entry in some]


@given(st.integers(0, 60), st.sets(st.integers(0, 59), max_size=6))
def test_every_healthy_entry_is_applied_once_and_every_poisonous_one_fails_alone(size: int, poison: set[int]) -> None:
    table = Table(poison)

    outcomes = in_as_few_as_possible(range(size), table.apply)

    assert len(outcomes) == size
    assert sorted(table.rows) == [entry for entry in range(size) if entry not in poison]
    for entry, outcome in enumerate(outcomes):
        assert isinstance(outcome, PermanentError) if entry in poison else outcome == f"done {entry}"


def test_a_healthy_batch_is_one_call_and_one_bad_entry_in_a_hundred_costs_a_few_more() -> None:
    healthy, poisoned = Table(set()), Table({37})
    in_as_few_as_possible(range(100), healthy.apply)
    in_as_few_as_possible(range(100), poisoned.apply)

    assert healthy.calls == 1
    assert poisoned.calls <= 15


@given(st.integers(1, 500), st.data())
def test_k_bad_entries_among_n_cost_about_k_times_log_n_calls(size: int, data: st.DataObject) -> None:
    poison = data.draw(st.sets(st.integers(0, size - 1), max_size=5))
    table = Table(poison)

    in_as_few_as_possible(range(size), table.apply)

    assert table.calls <= 1 + 2 * len(poison) * math.ceil(math.log2(size))


def test_batches_that_waited_for_each_other_go_on_in_halves_at_once() -> None:
    calls: list[int] = []

    def apply(some: Sequence[int], _: Patience) -> list[Outcome]:
        calls.append(len(some))
        if len(calls) == 1:
            raise TemporaryError("database: deadlock detected") from psycopg.errors.DeadlockDetected("deadlock detected")
        return ["done"] * len(some)

    assert in_as_few_as_possible(range(10), apply) == ["done"] * 10
    assert calls == [10, 5, 5]


def test_trouble_that_is_nobodys_fault_is_not_searched_for() -> None:
    calls = []

    def away(some: Sequence[int], _: Patience) -> list[Outcome]:
        calls.append(len(some))
        raise TemporaryError("the database is away")

    outcomes = in_as_few_as_possible(range(100), away)

    assert calls == [100]
    assert {type(outcome) for outcome in outcomes} == {TemporaryError}


def test_a_surprise_stays_the_surprise_it_is_for_the_entry_that_causes_it() -> None:
    def broken(some: Sequence[int], _: Patience) -> list[Outcome]:
        return [1 // entry for entry in some]

    outcomes = in_as_few_as_possible([1, 0, 1], broken)

    assert [type(outcome) for outcome in outcomes] == [int, ZeroDivisionError, int]


def test_an_entry_nested_too_deep_to_be_written_fails_for_good_and_alone() -> None:
    def apply(some: Sequence[int], _: Patience) -> list[Outcome]:
        if 2 in some:
            raise RecursionError("maximum recursion depth exceeded")
        return ["done"] * len(some)

    outcomes = in_as_few_as_possible(range(4), apply)

    assert isinstance(outcomes[2], PermanentError)
    assert [outcomes[entry] for entry in (0, 1, 3)] == ["done"] * 3


def locked(sqlstate: type[psycopg.Error] = psycopg.errors.LockNotAvailable) -> TemporaryError:
    error = TemporaryError("database: canceling statement due to lock timeout")
    error.__cause__ = sqlstate("canceling statement due to lock timeout")
    return error


@pytest.mark.parametrize("sqlstate", [psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled])
def test_who_needs_a_locked_row_waits_for_another_time_and_the_others_go_through(sqlstate: type[psycopg.Error]) -> None:
    patience: list[Patience] = []

    def apply(some: Sequence[int], limits: Patience) -> list[Outcome]:
        patience.append(limits)
        if any(entry % 10 == 7 for entry in some):
            raise locked(sqlstate)
        return [f"done {entry}" for entry in some]

    outcomes = in_as_few_as_possible(range(100), apply)

    put_off = NotNowError if sqlstate is psycopg.errors.LockNotAvailable else TemporaryError
    for entry, outcome in enumerate(outcomes):
        assert type(outcome) is put_off if entry % 10 == 7 else outcome == f"done {entry}"
    assert patience == [TOGETHER] + [APART] * (len(patience) - 1)
    assert len(patience) <= 30  # those ten are found together, not one by one


def test_where_everything_is_locked_the_search_ends_in_time_and_all_are_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "SEARCH_SECONDS", 0.05)
    calls: list[int] = []

    def apply(some: Sequence[int], _: Patience) -> list[Outcome]:
        calls.append(len(some))
        time.sleep(0.02)
        raise locked()

    outcomes = in_as_few_as_possible(range(500), apply)

    assert {type(outcome) for outcome in outcomes} == {NotNowError}
    assert len(calls) < 20
