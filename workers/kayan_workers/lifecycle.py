"""Hears what a consumer does, logs it as lifecycle events and counts it for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kayan_workers import logs
from kayan_workers.bull.observer import Observer
from kayan_workers.bull.outcome import JobTimeoutError, message_of
from kayan_workers.errors import KayanError, PermanentError, TemporaryError

if TYPE_CHECKING:
    from kayan_workers.bull.outcome import Completed
    from kayan_workers.bull.running import ActiveJob
    from kayan_workers.metrics import QueueMetrics


_DROPPED = (
    "it waited, but there is no such job, so its id is dropped. Unless somebody deleted its hash by hand, Redis evicted it: "
    "set maxmemory-policy to noeviction"
)


class Lifecycle(Observer):
    """The observer of one queue."""

    def __init__(
        self,
        queue: str,
        metrics: QueueMetrics,
        *,
        level: str,
        on_given_up: Callable[[Sequence[str]], None] | None = None,
        on_trouble: Callable[[], None] | None = None,
    ) -> None:
        """``level`` is the lowest that is logged; what lies below it costs nothing. ``on_given_up`` gets the ids of such jobs;
        ``on_trouble`` is called when a job fails for what may be wrong with the world, not with the job."""
        self._on_given_up = on_given_up
        self._on_trouble = on_trouble
        self._queue = queue
        self._metrics = metrics
        self._log = logs.get(queue=queue)
        self._notes_jobs = logs.LEVELS[level] <= logs.LEVELS["info"]

    def jobs_started(self, jobs: Sequence[ActiveJob]) -> None:
        self._metrics.started.inc(len(jobs))
        self._metrics.waited.observe([job.waited_ms / 1000 for job in jobs if job.attempt == 1])
        if self._notes_jobs:
            same = {"event": "job.started", "queue": self._queue}
            logs.together("info", same, [{"job_id": job.id, "attempt": job.attempt} for job in jobs])

    def jobs_completed(self, completed: Sequence[Completed]) -> None:
        self._metrics.completed.inc(len(completed))
        self._metrics.seconds.observe([one.seconds for one in completed])
        if self._notes_jobs:
            same = {"event": "job.completed", "queue": self._queue}
            each = [{"job_id": one.job.id, "attempt": one.job.attempt, "duration_ms": _ms(one.seconds)} for one in completed]
            logs.together("info", same, each)

    def job_retried(self, job: ActiveJob, error: BaseException, delay_ms: int, seconds: float) -> None:
        self._metrics.retried.inc()
        self._metrics.seconds.observe([seconds])
        self._log.warning(
            "job.retried", job_id=job.id, attempt=job.attempt, duration_ms=_ms(seconds), delay_ms=delay_ms, **_described(error)
        )
        self._tell_trouble(error)

    def job_postponed(self, job: ActiveJob, error: BaseException, delay_ms: int, seconds: float) -> None:
        self._metrics.postponed.inc()
        if self._notes_jobs:
            ran_ms, why = _ms(seconds), message_of(error)
            self._log.info("job.postponed", job_id=job.id, attempt=job.attempt, duration_ms=ran_ms, delay_ms=delay_ms, error=why)

    def job_failed(self, job: ActiveJob, error: BaseException, seconds: float) -> None:
        permanent = isinstance(error, PermanentError)
        (self._metrics.failed_permanently if permanent else self._metrics.failed_exhausted).inc()
        self._metrics.seconds.observe([seconds])
        self._log.error(
            "job.failed", job_id=job.id, attempt=job.attempt, duration_ms=_ms(seconds), permanent=permanent, **_described(error)
        )
        self._tell_trouble(error)

    def _tell_trouble(self, error: BaseException) -> None:
        if self._on_trouble and isinstance(error, TemporaryError | JobTimeoutError):
            self._on_trouble()

    def job_lost(self, job: ActiveJob, why: str) -> None:
        self._metrics.lost.inc()
        self._log.warning("job.lost", job_id=job.id, attempt=job.attempt, duration_ms=_ms(job.seconds), error=why)

    def job_removed(self, job: ActiveJob, why: str) -> None:
        self._metrics.removed.inc()
        self._log.warning("job.removed", job_id=job.id, attempt=job.attempt, duration_ms=_ms(job.seconds), error=why)

    def job_handed_back(self, job: ActiveJob, why: str) -> None:
        self._metrics.handed_back.inc()
        self._log.info("job.handed_back", job_id=job.id, attempt=job.attempt, error=why)

    def job_overdue(self, job: ActiveJob, seconds: float) -> None:
        self._metrics.overdue.inc()
        self._log.warning("job.overdue", job_id=job.id, attempt=job.attempt, duration_ms=_ms(seconds))

    def jobs_stalled(self, queue: str, job_ids: list[str]) -> None:
        self._metrics.stalled.inc(len(job_ids))
        for job_id in job_ids:
            self._log.warning("job.stalled", job_id=job_id)

    def jobs_given_up(self, queue: str, job_ids: list[str]) -> None:
        self._metrics.given_up.inc(len(job_ids))
        for job_id in job_ids:
            self._log.error("job.given_up", job_id=job_id, error="job stalled more than allowable limit")
        if self._on_given_up:
            self._on_given_up(job_ids)

    def jobs_forgiven(self, queue: str, job_ids: list[str]) -> None:
        self._metrics.forgiven.inc(len(job_ids))
        for job_id in job_ids:
            self._log.info("job.forgiven", job_id=job_id)

    def jobs_dropped(self, queue: str, job_ids: list[str]) -> None:
        self._metrics.removed.inc(len(job_ids))
        self._metrics.warnings.inc(len(job_ids))
        for job_id in job_ids:
            self._log.warning("job.removed", job_id=job_id, error=_DROPPED)

    def queue_warning(self, queue: str, message: str) -> None:
        self._metrics.warnings.inc()
        self._log.warning("queue.warning", message=message)

    def queue_fenced(self, queue: str, fenced: bool) -> None:
        self._log.info("queue.fenced" if fenced else "queue.released")


def _described(error: BaseException) -> dict[str, Any]:
    """The error's own words; with its traceback when nobody raised it on purpose."""
    said = {"error": message_of(error) or type(error).__name__, "error_type": type(error).__name__}
    return said if isinstance(error, KayanError | JobTimeoutError) else said | {"exc_info": error}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
