"""Threads are for the processors a container was given, not for those of its machine."""

from __future__ import annotations

import os

import pytest
from kayan_workers.media import cpus


@pytest.mark.parametrize(
    ("granted", "count"),
    [("200000 100000\n", 2), ("150000 100000\n", 2), ("10000 100000\n", 1), ("max 100000\n", None), ("", None), ("1 0", None)],
)
def test_a_containers_quota_is_whole_processors(granted: str, count: int | None) -> None:
    assert cpus.quota(granted) == count


def test_there_is_at_least_one_processor_and_no_more_than_the_machine_has() -> None:
    assert 1 <= cpus.usable() <= (os.cpu_count() or 1)
