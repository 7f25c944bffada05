"""What a consumer tells whoever runs it. Plain calls on the event loop: log, count, and return at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kayan_workers.bull.outcome import Completed
    from kayan_workers.bull.running import ActiveJob


class Observer:
    """Every method does nothing; override what you want to hear. ``seconds`` is how long the attempt ran."""

    def jobs_started(self, jobs: Sequence[ActiveJob]) -> None:
        """The handler is about to run on them: on one job, or on a batch."""
        for job in jobs:
            self.job_started(job)

    def jobs_completed(self, completed: Sequence[Completed]) -> None:
        """Redis has their results: of all that one call has written."""
        for one in completed:
            self.job_completed(one.job, one.value, one.seconds)

    def job_started(self, job: ActiveJob) -> None:
        """The handler is about to run."""

    def job_completed(self, job: ActiveJob, value: Any, seconds: float) -> None:
        """Redis has the result."""

    def job_retried(self, job: ActiveJob, error: BaseException, delay_ms: int, seconds: float) -> None:
        """The attempt failed; another follows in ``delay_ms``."""

    def job_postponed(self, job: ActiveJob, error: BaseException, delay_ms: int, seconds: float) -> None:
        """There was no room for the job yet; it comes again in ``delay_ms``, and no attempt was counted."""

    def job_failed(self, job: ActiveJob, error: BaseException, seconds: float) -> None:
        """The job failed for good."""

    def job_lost(self, job: ActiveJob, why: str) -> None:
        """Another worker owns the job now, or nobody; nothing was written."""

    def job_removed(self, job: ActiveJob, why: str) -> None:
        """The job was deleted while it ran here; nothing was written."""

    def job_handed_back(self, job: ActiveJob, why: str) -> None:
        """The job waits again at the head of the line; no attempt and no stall was counted."""

    def job_overdue(self, job: ActiveJob, seconds: float) -> None:
        """The handler ignores its cancellation; its slot stays taken until it returns."""

    def jobs_stalled(self, queue: str, job_ids: list[str]) -> None:
        """Jobs whose worker died were put back."""

    def jobs_given_up(self, queue: str, job_ids: list[str]) -> None:
        """Jobs failed because they stalled too often."""

    def jobs_forgiven(self, queue: str, job_ids: list[str]) -> None:
        """Jobs whose worker died before it started them were put back, without counting a stall."""

    def jobs_dropped(self, queue: str, job_ids: list[str]) -> None:
        """Ids that were next, and had no job behind them: somebody deleted their hashes and left the ids, or Redis evicted them."""

    def queue_warning(self, queue: str, message: str) -> None:
        """Something is odd and was worked around; the message says what and what to do."""

    def queue_fenced(self, queue: str, fenced: bool) -> None:
        """This pod may claim nothing more (True), or may again (False)."""
