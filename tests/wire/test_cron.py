"""The next slot of a cron expression: ours is cron-parser's. Wire document 3.19 and section 9, scenario 33."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kayan_workers.bull import cron
from wire.cron_cases import Case, ask_node, cases


def our_answer(case: Case) -> int | str | None:
    try:
        return cron.next_ms(case["cron"], case["at"], tz=case["tz"], end=case.get("end"))
    except ValueError as error:
        return str(error)


@pytest.mark.usefixtures("bull_installed")
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.large_base_example,
        HealthCheck.data_too_large,
    ],
)
@given(st.lists(cases(), min_size=40, max_size=80))
def test_every_slot_is_cron_parsers_also_when_clocks_change(some: list[Case]):
    for case, theirs in zip(some, ask_node(some), strict=True):
        ours = our_answer(case)
        if isinstance(theirs, str):
            assert isinstance(ours, str), f"{case}: refused there ({theirs}), {ours} here"
        else:
            assert ours == theirs, case
