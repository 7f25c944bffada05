"""Derived ids: shaped like the app's, the same for ever, different for different jobs."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.ids import derive_id

parts = st.lists(st.one_of(st.text(), st.integers()), max_size=4)


@given(parts)
def test_an_id_looks_like_prismas_cuid(some: list[str | int]) -> None:
    assert re.fullmatch("c[0-9a-z]{24}", derive_id(*some))


def test_an_id_never_changes_between_versions_of_the_fleet() -> None:
    """A job may be run again by a newer worker than the one that wrote its row."""
    assert derive_id("notification", "notification", "4711", 1795431282192) == "cdama1b5osjlmbzhplphgbwi8"


@given(parts, parts)
def test_different_parts_give_different_ids(some: list[str | int], others: list[str | int]) -> None:
    same = [str(part) for part in some] == [str(part) for part in others]
    assert (derive_id(*some) == derive_id(*others)) == same


def test_parts_do_not_run_into_each_other() -> None:
    assert len({derive_id("ab", "c"), derive_id("a", "bc"), derive_id("abc"), derive_id("1:a", "bc"), derive_id("abc", "")}) == 5
