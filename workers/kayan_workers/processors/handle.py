"""What a processor may know of the job it works on. The consumer's running job satisfies it; so does a ten-line double."""

from __future__ import annotations

import threading
from typing import Protocol


class JobHandle(Protocol):
    """A running job as its processor sees it. Every method may be called from any thread and returns at once."""

    @property
    def queue(self) -> str: ...

    @property
    def id(self) -> str: ...

    @property
    def timestamp_ms(self) -> int:
        """When the job was added. Ids start again at 1 when Redis is emptied, so (queue, id, timestamp_ms) names a job for ever."""
        ...

    @property
    def attempt(self) -> int:
        """1 on the first try."""
        ...

    @property
    def is_last_attempt(self) -> bool:
        """True when a temporary error now would fail the job for good."""
        ...

    @property
    def cancelled(self) -> threading.Event:
        """Set when the result is no longer wanted (timeout, lost lock, forced stop). Long work watches it and gives up."""
        ...

    @property
    def abandoned(self) -> str | None:
        """Why the job is no longer this worker's to judge (lost lock, forced stop); None while it is, even when its time is up."""
        ...

    def progress(self, value: float | dict[str, object]) -> None:
        """Publish how far the work is: a percentage 0-100, or any JSON object."""
        ...

    def log(self, row: str) -> None:
        """Append a line to the job's own log in Redis, as Bull's ``job.log`` does."""
        ...
