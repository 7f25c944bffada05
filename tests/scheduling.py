"""How a run is shared out among several workers (pytest-xdist): which tests stay together, in one worker and in order, and which begin.

A plugin of pytest; without workers (``pytest tests/unit/x.py``) it does nothing.
"""

from __future__ import annotations

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "tests/cluster/test_operator_": "the operator",
    "tests/cluster/": "the cluster",
    "tests/chart/test_cluster_takes_it.py": "the cluster",
    "tests/chart/test_definitions_on_a_cluster.py": "the cluster",
    "tests/chart/test_rights.py": "the cluster",
    "tests/images/": "the images",
}
"""Files that share something of which there is one. Every other file is a group of its own: its fixtures are made for all of it."""

LONGEST = (
    "the cluster",
    "the operator",
    "the images",
)
"""The groups that take minutes, the longest first: one that began last would be all that still runs."""


def group_of(test: str) -> str:
    """The group of a test, by its node id."""
    file = test.partition("::")[0]
    return next((group for beginning, group in TOGETHER.items() if file.startswith(beginning)), file)


def turn_of(group: str) -> int:
    """Groups are begun by this number; those with the same one, as they were collected."""
    return LONGEST.index(group) if group in LONGEST else len(LONGEST)


class ByGroup(LoadScopeScheduling):
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("numprocesses") and os.environ.get("KAYAN_TEST_REDIS_URL"):
        raise pytest.UsageError("KAYAN_TEST_REDIS_URL names one Redis, which every test empties: several workers cannot share it (-n 0)")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    config.option.loadscopereorder = False  # by the number of tests, which says nothing about how long they take
    return ByGroup(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers collect in the order in which groups are to begin."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: turn_of(group_of(item.nodeid)))
