"""The traffic of a simulation: which jobs are added when, and how long each runs."""

from __future__ import annotations

from dataclasses import dataclass

START = 1_767_571_200.0
"""Monday, 2026-01-05 at midnight UTC: when traffic begins whose times are relative."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job: added ``at`` seconds after the trace's start, and running for ``seconds``."""

    at: float
    seconds: float
    queue: str = ""
    """Empty: the first of a policy's queues."""
    delay: float = 0

    @property
    def due(self) -> float:
        """When a worker may take it."""
        return self.at + self.delay


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Jobs in the order in which they are added."""

    name: str
    jobs: tuple[Job, ...]
    start: float = START
    """Unix seconds of the trace's second zero, for times of day."""
    length: float = 0
    """Seconds that are looked at in any case, even if the last job is done before."""

    def of(self, queues: tuple[str, ...]) -> tuple[Job, ...]:
        """The jobs of these queues; a job that names none is one of the first."""
        return tuple(job for job in self.jobs if not job.queue or job.queue in queues)
