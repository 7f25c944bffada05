"""How a run is shared out among several workers (pytest-xdist): which tests stay together, in one worker and in order, which begin, and
which wait until nothing else runs.

A plugin of pytest; without workers (``pytest tests/unit/x.py``) it does nothing.
"""

from __future__ import annotations

import os

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ALONE = "alone"
"""The group that runs when nothing else does: of what it looks at, a busy machine makes something else."""

TO_THE_MILLISECOND = (
    "tests/integration/bull/test_consumer.py::test_a_retry_or_delayed_job_starts_within_milliseconds_of_its_time",
    "tests/integration/test_health_table.py::test_three_workers_share_one_table_and_another_goes_on_when_its_teller_dies",
    "tests/integration/test_suppression_list.py::test_in_a_burst_every_suppressed_address_fails_and_no_other_mail_waits",
    "tests/wire/test_delayed.py",
    "tests/wire/test_events.py::test_bulls_finished_resolves_with_our_result",
    "tests/wire/test_limiter.py",
    "tests/wire/test_pause.py",
    "tests/wire/test_processing.py::test_an_idle_worker_starts_a_job_within_milliseconds",
    "tests/wire/test_repeat.py::test_both_sides_keep_a_schedule_going_in_turns",
    "tests/wire/test_retry.py::test_three_attempts_wait_as_bull_waits_whichever_side_fails_them",
)
"""What is late here is wrong. How node ids of tests begin: files, or functions."""

TOGETHER = {
    "tests/cluster/test_operator_unreachable.py": "the cluster",
    "tests/cluster/test_interop.py": "the operator",
    "tests/cluster/test_metrics_api.py": "the operator",
    "tests/cluster/test_operator_": "the operator",
    "tests/cluster/": "the cluster",
    "tests/chart/test_cluster_takes_it.py": "the cluster",
    "tests/chart/test_definitions_on_a_cluster.py": "the cluster",
    "tests/chart/test_rights.py": "the cluster",
    "tests/images/": "the images",
}
"""Files that share something of which there is one. Every other file is a group of its own: its fixtures are made for all of it."""

LAST_OF_THEIR_GROUP = (
    "tests/cluster/test_install.py",
    "tests/cluster/test_scaling.py",
    "tests/cluster/test_skaffold.py",
    "tests/cluster/test_operator_unreachable.py",
)
"""In this order. They have the cluster's one APIService of external metrics for minutes, as do those with which the operator's group begins
(``cluster.registration``: who comes meanwhile waits). In the last one nobody can reach it, and as long no namespace can be deleted."""

LONGEST = (
    "the cluster",
    "the operator",
    "the images",
    "tests/integration/test_cli.py",
    "tests/integration/killed/test_media.py",
    "tests/integration/media/test_corpus.py",
    "tests/integration/test_mounted_settings.py",
    "tests/integration/test_demo.py",
    "tests/integration/test_email.py",
    "tests/chart/test_monitoring.py",
    "tests/wire/test_cron.py",
)
"""The groups that take minutes, the longest first: one that began last would be all that still runs."""


def group_of(test: str) -> str:
    """The group of a test, by its node id."""
    if test.startswith(TO_THE_MILLISECOND):
        return ALONE
    file = test.partition("::")[0]
    return next((group for beginning, group in TOGETHER.items() if file.startswith(beginning)), file)


def turn_of(group: str) -> int:
    """Groups are begun by this number; those with the same one, as they were collected."""
    if group == ALONE:
        return len(LONGEST) + 1
    return LONGEST.index(group) if group in LONGEST else len(LONGEST)


def place_of(test: str) -> int:
    """Tests of one group are run by this number; those with the same one, as they were collected."""
    file = test.partition("::")[0]
    return LAST_OF_THEIR_GROUP.index(file) + 1 if file in LAST_OF_THEIR_GROUP else 0


class ByGroup(LoadScopeScheduling):
    """Hands out whole groups, ``ALONE`` when all others have been run."""

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        super().mark_test_complete(node, item_index, duration)
        if ALONE in self.workqueue:  # somebody may wait for just this test
            for each in self.nodes:
                self._reschedule(each)

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if ALONE in self.workqueue:
            self.workqueue.move_to_end(ALONE)  # what a worker that died has left comes before it
            if len(self.workqueue) == 1 and any(self._pending_of(work) for each, work in self.assigned_work.items() if each is not node):
                if any(not each.shutting_down for each in self.nodes if each is not node):
                    node.shutdown()  # when it has run what it has
                return
        super()._assign_work_unit(node)


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
        items.sort(key=lambda item: (turn_of(group_of(item.nodeid)), place_of(item.nodeid)))
