"""What a producer or administrator of a queue may be told.

QueueError
├── NoSuchJob          the job's hash is gone: removed, evicted, or never there
├── JobIsLocked        a worker holds the job
├── WrongState         the job is not in the list the operation starts from
├── JobFailed          what finished() raises for a job that failed: its reason
├── ScheduleEnded      the repeat options have no further slot
├── QueueIsBusy        obliterate met running jobs
├── QueueUnreachable   Redis did not answer within the deadline of an add (also a TemporaryError)
└── BulkError          some jobs of add_bulk were not added; carries every job's outcome
"""

from __future__ import annotations

from collections.abc import Sequence

from kayan_workers.bull.job import Job
from kayan_workers.errors import KayanError, TemporaryError


class QueueError(KayanError):
    """The root of what this library raises about a queue."""


class NoSuchJob(QueueError):  # noqa: N818  the name says what is the matter
    """The job does not exist."""


class JobIsLocked(QueueError):  # noqa: N818
    """A worker holds the job's lock, so nobody else may touch it."""


class WrongState(QueueError):  # noqa: N818
    """The job is not where this operation expects it."""


class JobFailed(QueueError):  # noqa: N818
    """The job that was waited for has failed. The message is its failed reason."""


class ScheduleEnded(QueueError):  # noqa: N818
    """A repeatable job has no further slot: its limit is used up, or its end date has passed."""


class QueueIsBusy(QueueError):  # noqa: N818
    """Jobs are running, and the operation would pull them away from under their workers."""


class QueueUnreachable(QueueError, TemporaryError):  # noqa: N818
    """Redis did not answer in time. Whether the call has taken effect is unknown."""


class BulkError(QueueError):
    """Some jobs of a bulk were not added; all others were.

    ``outcomes`` has one entry per job, in order: the Job that was added, or the exception that says why it was not.
    """

    def __init__(self, outcomes: Sequence[Job | Exception]) -> None:
        self.outcomes = tuple(outcomes)
        failures = [(index, outcome) for index, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
        index, first = failures[0]
        super().__init__(f"{len(failures)} of {len(outcomes)} jobs were not added; the first is number {index + 1}: {first}")
