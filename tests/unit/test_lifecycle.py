"""What a consumer does, as lines and as numbers."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from kayan_workers import logs
from kayan_workers.bull.outcome import Completed, JobTimeoutError
from kayan_workers.errors import NotNowError, PermanentError, TemporaryError
from kayan_workers.lifecycle import Lifecycle
from kayan_workers.metrics import Metrics


@dataclass
class RunningJob:
    """As much of a running job as the observer looks at; times are ms."""

    id: str = "7"
    attempt: int = 1
    waited_ms: float = 2_000
    seconds: float = 0.5


def done(job: RunningJob, value: object, seconds: float) -> Completed:
    return Completed(job, value, "", seconds)  # type: ignore[arg-type]


class Seen:
    """An observer with the metrics and the lines it writes to."""

    def __init__(self, level: str = "info") -> None:
        self.stream = io.StringIO()
        logs.configure(level=level, stream=self.stream)
        self.metrics = Metrics()
        self.observer: Any = Lifecycle("email", self.metrics.of("email", 10), level=level)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def number(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"queue": "email", **labels})


def test_trouble_is_what_the_world_may_be_to_blame_for() -> None:
    calls: list[str] = []
    observer: Any = Lifecycle("email", Metrics().of("email", 1), level="error", on_trouble=lambda: calls.append("trouble"))
    for error, expected in ((TemporaryError("refused"), 2), (JobTimeoutError(5), 2), (PermanentError("gone"), 0), (KeyError("x"), 0)):
        calls.clear()
        observer.job_retried(RunningJob(), error, 2_000, 0.5)
        observer.job_failed(RunningJob(), error, 0.5)
        assert len(calls) == expected, error


def test_a_completed_job_is_two_lines_and_is_counted_with_its_times() -> None:
    seen = Seen()
    seen.observer.jobs_started([RunningJob()])
    seen.observer.jobs_completed([done(RunningJob(), {"a": "payload"}, 0.184)])
    started, completed = seen.events()
    assert (started["event"], started["queue"], started["job_id"], started["attempt"]) == ("job.started", "email", "7", 1)
    assert (completed["event"], completed["duration_ms"]) == ("job.completed", 184)
    assert "payload" not in seen.stream.getvalue()
    assert seen.number("kayan_jobs_completed_total") == 1
    assert seen.number("kayan_job_processing_seconds_sum") == pytest.approx(0.184)
    assert seen.number("kayan_job_waiting_seconds_sum") == 2.0


def test_a_batch_leaves_the_lines_of_each_of_its_jobs() -> None:
    seen = Seen()
    jobs = [RunningJob("7"), RunningJob("8", attempt=2)]
    seen.observer.jobs_started(jobs)
    seen.observer.jobs_completed([done(job, None, 0.5) for job in jobs])
    assert [(event["event"], event["job_id"], event["attempt"]) for event in seen.events()] == [
        ("job.started", "7", 1), ("job.started", "8", 2), ("job.completed", "7", 1), ("job.completed", "8", 2)]  # fmt: skip
    assert [seen.number(f"kayan_jobs_{name}_total") for name in ("started", "completed")] == [2, 2]


def test_a_second_attempt_does_not_count_as_waiting() -> None:
    seen = Seen()
    seen.observer.jobs_started([RunningJob(attempt=2)])
    assert seen.number("kayan_job_waiting_seconds_count") == 0


def test_failures_are_counted_by_what_they_mean() -> None:
    seen = Seen()
    seen.observer.job_retried(RunningJob(), TemporaryError("SES is away"), 2000, 0.1)
    seen.observer.job_failed(RunningJob(attempt=3), TemporaryError("SES is away"), 0.1)
    seen.observer.job_failed(RunningJob(), PermanentError("no recipient"), 0.1)
    assert [(event["event"], event["level"]) for event in seen.events()] == [
        ("job.retried", "warning"), ("job.failed", "error"), ("job.failed", "error")]  # fmt: skip
    assert seen.number("kayan_jobs_retried_total") == 1
    assert seen.number("kayan_jobs_failed_total", reason="attempts") == 1
    assert seen.number("kayan_jobs_failed_total", reason="permanent") == 1
    assert seen.number("kayan_job_processing_seconds_count") == 3


def test_a_job_that_was_put_off_has_neither_failed_nor_been_retried() -> None:
    seen = Seen()
    seen.observer.job_postponed(RunningJob(), NotNowError("the quota is used up", again_in_seconds=600), 600_000, 0.1)
    [event] = seen.events()
    assert (event["event"], event["level"], event["delay_ms"], event["error"]) == ("job.postponed", "info", 600_000, "the quota is used up")
    assert seen.number("kayan_jobs_postponed_total") == 1
    assert seen.number("kayan_jobs_retried_total") == 0


@pytest.mark.parametrize(("error", "traceback"), [(TemporaryError("raised on purpose"), False), (ZeroDivisionError("a surprise"), True)])
def test_only_a_surprise_brings_its_traceback(error: Exception, traceback: bool) -> None:
    seen = Seen()
    seen.observer.job_retried(RunningJob(), error, 2000, 0.1)
    [event] = seen.events()
    assert ("exception" in event, event["error_type"]) == (traceback, type(error).__name__)


def test_lost_stalled_and_returned_jobs_are_counted_each_for_itself() -> None:
    seen = Seen()
    seen.observer.job_lost(RunningJob(), "its lock is lost")
    seen.observer.job_handed_back(RunningJob(), "this worker stops")
    seen.observer.jobs_stalled("email", ["1", "2"])
    seen.observer.jobs_given_up("email", ["3"])
    seen.observer.jobs_forgiven("email", ["4"])
    seen.observer.queue_warning("email", "odd")
    assert [event["event"] for event in seen.events()] == [
        "job.lost", "job.handed_back", "job.stalled", "job.stalled", "job.given_up", "job.forgiven", "queue.warning"]  # fmt: skip
    assert seen.number("kayan_job_locks_lost_total") == 1
    assert seen.number("kayan_jobs_handed_back_total") == 1
    assert [seen.number("kayan_jobs_stalled_total", outcome=outcome) for outcome in ("repeated", "given_up", "forgiven")] == [2, 1, 1]
    assert seen.number("kayan_queue_warnings_total") == 1


def test_removed_jobs_are_news_of_their_own_and_ids_without_a_job_are_oddities_as_well() -> None:
    seen = Seen()
    seen.observer.job_removed(RunningJob(), "there is no such job any more")
    seen.observer.jobs_dropped("email", ["8"])
    ran, waited = seen.events()
    assert (ran["event"], ran["job_id"], ran["attempt"], ran["duration_ms"]) == ("job.removed", "7", 1, 500)
    assert (waited["event"], waited["job_id"], "noeviction" in waited["error"]) == ("job.removed", "8", True)
    assert (seen.number("kayan_jobs_removed_total"), seen.number("kayan_queue_warnings_total")) == (2, 1)
    assert seen.number("kayan_job_locks_lost_total") == 0


def test_above_info_jobs_are_counted_without_a_line() -> None:
    seen = Seen(level="warning")
    seen.observer.jobs_started([RunningJob()])
    seen.observer.jobs_completed([done(RunningJob(), None, 0.1)])
    assert seen.events() == []
    assert seen.number("kayan_jobs_completed_total") == 1
