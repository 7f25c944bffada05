"""Job options: what they say on the wire, what is refused, and which names and ids may be used."""

from __future__ import annotations

from typing import Any

import pytest
from kayan_workers.bull.names import check_job_id, check_queue_name
from kayan_workers.bull.options import Backoff, Debounce, JobOptions, KeepJobs, Repeat


@pytest.mark.parametrize(("options", "wire"), [
    (JobOptions(), {"attempts": 1, "delay": 0}),
    (JobOptions(backoff=500), {"backoff": {"type": "fixed", "delay": 500}, "attempts": 1, "delay": 0}),
    (JobOptions(backoff=Backoff(type="mine", options=[1])), {"backoff": {"type": "mine", "options": [1]}, "attempts": 1, "delay": 0}),
    (JobOptions(priority=0, lifo=False), {"attempts": 1, "delay": 0}),
    (JobOptions(debounce=Debounce(id="x", ttl_ms=5), delay_ms=10.5), {"debounce": {"id": "x", "ttl": 5}, "attempts": 1, "delay": 10.5}),
    (JobOptions(attempts=3, extra={"team": "a", "attempts": 9}), {"team": "a", "attempts": 3, "delay": 0}),
], ids=repr)
def test_options_are_written_as_bull_writes_them(options: JobOptions, wire: dict[str, Any]):
    assert options.to_wire() == wire


@pytest.mark.parametrize(("policy", "written"), [
    (True, True), (False, None), (None, None), (0, True), (5, 5), (-1, None), (KeepJobs(count=0, age_seconds=9), True), (KeepJobs(), None),
    (KeepJobs(count=2, age_seconds=60), {"age": 60, "count": 2}), (KeepJobs(age_seconds=60), {"age": 60}),
], ids=repr)
def test_retention_is_never_written_as_zero_or_null(policy: Any, written: Any):
    """Windows W11 and W12: Bull's stalled pass would delete every failed job, or choke."""
    wire = JobOptions(remove_on_fail=policy, remove_on_complete=policy).to_wire()

    assert (wire.get("removeOnFail"), wire.get("removeOnComplete")) == (written, written)
    assert ("removeOnFail" in wire) == (written is not None)


def test_options_of_a_job_win_over_those_of_the_queue():
    defaults = JobOptions(attempts=3, remove_on_complete=True, backoff=100, extra={"a": 1, "b": 1})

    merged = JobOptions(attempts=1, remove_on_complete=False, extra={"b": 2}).over(defaults)

    assert merged.to_wire() == {"a": 1, "b": 2, "backoff": {"type": "fixed", "delay": 100}, "attempts": 1, "delay": 0}


@pytest.mark.parametrize("make", [
    lambda: JobOptions(attempts=0), lambda: JobOptions(priority=-1), lambda: JobOptions(delay_ms=float("nan")), lambda: Debounce(id=""),
    lambda: Debounce(id="x", ttl_ms=0), lambda: Repeat(), lambda: Repeat(cron="* * * * *", every_ms=5), lambda: Repeat(every_ms=0),
])
def test_impossible_options_are_refused(make: Any):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize("job_id", ["", "7", "007", "wait", "id", "meta-paused", "metrics:completed", "x:lock", "x:logs", "de:x",
                                    "limiter:g", "repeat:abc:1", "a\nb", "x" * 2000])
def test_an_id_that_would_hit_something_else_is_refused(job_id: str):
    with pytest.raises(ValueError, match="job id"):
        check_job_id(job_id)


@pytest.mark.parametrize("job_id", ["order-7", "a:b", "waiting", "7a", "ü 世界", "logs", "00-7"])
def test_any_other_id_may_be_used(job_id: str):
    check_job_id(job_id)


@pytest.mark.parametrize("name", ["", "a*", "a?", "a[b]", "a\\b", "a@b", "a\x00"])
def test_a_queue_name_that_patterns_would_misread_is_refused(name: str):
    with pytest.raises(ValueError):
        check_queue_name(name, "bull")
    with pytest.raises(ValueError):
        check_queue_name("mail", name)


def test_a_hash_tag_and_colons_may_be_used():
    check_queue_name("mail:vip", "{bull}")
