"""What an attempt leaves behind, before Redis hears of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kayan_workers.bull import outcome
from kayan_workers.bull.outcome import retention
from kayan_workers.bull.running import FIELDS, ActiveJob
from kayan_workers.errors import PermanentError, TemporaryError


def job(**fields: Any) -> ActiveJob:
    nobody: Any = None
    values = [fields.get(name.decode()) for name in FIELDS]
    return ActiveJob("mail", str(fields.get("id", "7")), "pod/1", values, 0, nobody)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("keep", "policy"),
    [
        (None, (-1, -1)),
        (False, (-1, -1)),
        (True, (0, -1)),
        (0, (0, -1)),
        (100, (100, -1)),
        ("100", (0, -1)),
        ("", (-1, -1)),
        ({"count": 5}, (5, -1)),
        ({"age": 60}, (-1, 60_000)),
        ({"age": 1.5, "count": 2}, (2, 1500)),
        ({}, (-1, -1)),
    ],
)
def test_retention_is_read_as_bull_reads_it(keep: Any, policy: tuple[int, int]) -> None:
    assert retention(keep) == policy


def test_a_result_travels_as_json_inside_a_json_string() -> None:
    done = outcome.completed(job(), {"ok": True})
    assert isinstance(done, outcome.Completed)
    assert json.loads(done.event) == {"jobId": "7", "val": '{"ok":true}'}
    assert done.text == '{"ok":true}'


def test_a_handler_that_returns_nothing_leaves_null_and_an_event_without_a_value() -> None:
    done = outcome.completed(job(), None)
    assert isinstance(done, outcome.Completed)
    assert (done.text, json.loads(done.event)) == ("null", {"jobId": "7"})


def test_an_id_with_quotes_still_makes_a_well_formed_event() -> None:
    assert json.loads(outcome.completed(job(id='a"b\\'), 1).event) == {"jobId": 'a"b\\', "val": "1"}


def test_a_result_that_is_no_json_fails_the_job_for_good_and_says_why() -> None:
    failure = outcome.completed(job(), object())
    assert isinstance(failure, outcome.Failed)
    assert failure.fate == "failed"
    assert "cannot be written as JSON" in failure.reason


def fail(error: Exception, **fields: Any) -> outcome.Failed:
    return outcome.failed(job(**fields), raised(error), series="documented", strategies=None)


def test_an_error_without_a_message_is_written_as_bull_writes_it() -> None:
    failure = fail(ValueError())
    assert failure.reason == "null"
    assert json.loads(failure.event) == {"jobId": "7"}


def test_a_temporary_error_waits_while_attempts_are_left() -> None:
    opts = b'{"attempts":3,"backoff":{"type":"exponential","delay":2000}}'
    assert [(f.fate, f.delay_ms) for made in (b"0", b"1", b"2") for f in [fail(TemporaryError("x"), opts=opts, attemptsMade=made)]] == [
        ("delayed", 2000),
        ("delayed", 4000),
        ("failed", 0),
    ]


def test_a_permanent_error_fails_at_once_whatever_attempts_are_left() -> None:
    assert fail(PermanentError("no such file"), opts=b'{"attempts":9}').fate == "failed"


def test_without_a_backoff_the_retry_is_immediate() -> None:
    assert fail(ValueError("x"), opts=b'{"attempts":2}').fate == "retry"


def test_options_that_are_no_json_count_as_none() -> None:
    assert fail(ValueError("x"), opts=b'{"attempts":').fate == "failed"


def test_each_attempt_adds_its_trace_and_the_limit_keeps_the_last_ones() -> None:
    kept = fail(ValueError("third"), opts=b'{"stackTraceLimit":2}', stacktrace=b'["first","second"]').stacktrace
    assert [trace.splitlines()[-1] for trace in json.loads(kept)] == ["second", "ValueError: third"]


def test_a_broken_trace_of_earlier_attempts_is_no_obstacle() -> None:
    assert len(json.loads(fail(ValueError("x"), stacktrace=b"not json").stacktrace)) == 1
