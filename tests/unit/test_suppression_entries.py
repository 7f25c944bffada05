"""A suppression list in memory: whatever was put in comes out, and little room does."""

from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st
from kayan_workers.suppression.entries import Entries

ADDRESSES = st.text("abc@.\ud800é", max_size=3)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(ADDRESSES, st.sampled_from(["BOUNCE", "COMPLAINT", None]))))
def test_it_holds_what_a_dictionary_would(changes: list[tuple[str, str | None]]) -> None:
    entries, expected = Entries(), dict[str, str]()
    for address, reason in changes:
        if reason is None:
            entries.discard(address)
            expected.pop(address, None)
        else:
            assert entries.add(address, reason) is (address not in expected)
            expected[address] = reason

    assert {address: entries.get(address) for address, _ in changes} == {address: expected.get(address) for address, _ in changes}
    assert len(entries) == len(expected)


def test_a_reason_that_ses_invents_later_is_a_reason_too() -> None:
    entries = Entries()
    entries.add("ada@example.com", "WHIM")

    assert entries.get("ada@example.com") == "OTHER"


def test_a_hundred_thousand_addresses_need_less_than_two_megabytes() -> None:
    tracemalloc.start()
    try:
        entries = Entries()
        for number in range(100_000):
            entries.add(f"user{number}@example.com", "BOUNCE")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(entries) == 100_000
    assert held < 2_000_000
