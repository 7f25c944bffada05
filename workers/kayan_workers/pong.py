"""The answer to ``kayan ping``: a job by a name of its own, which a worker answers before its processor is loaded or asked.

The app's jobs are all called ``__default__``. A Node worker knows no other name: it fails a ping in Bull's own words and touches nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

PING = "kayan.ping"
_RAW_PING = PING.encode()


class NamedJob(Protocol):
    """What is asked of a job here; the consumer's running job has it."""

    @property
    def raw_name(self) -> bytes: ...

    @property
    def waited_ms(self) -> float: ...


def answering(handler: Callable[[Any], Any], *, batch: bool, pod: str) -> Callable[[Any], Any]:
    """``handler``, of one job or of a list of them, which answers pings itself: ``{"pong": {"pod", "version", "waited_ms"}}``."""

    def pong(job: NamedJob) -> dict[str, Any]:
        from importlib.metadata import version  # here, not above: a worker that nobody asks does without

        return {"pong": {"pod": pod, "version": version("kayan-workers"), "waited_ms": round(job.waited_ms)}}

    def handle(job: NamedJob) -> Any:
        return pong(job) if job.raw_name == _RAW_PING else handler(job)

    def handle_batch(jobs: Sequence[NamedJob]) -> Sequence[Any]:
        others = [job for job in jobs if job.raw_name != _RAW_PING]
        if len(others) == len(jobs):
            found: Sequence[Any] = handler(jobs)
            return found
        results = iter(_each(handler, others))
        return [pong(job) if job.raw_name == _RAW_PING else next(results) for job in jobs]

    return handle_batch if batch else handle


def _each(handler: Callable[[Any], Any], jobs: Sequence[NamedJob]) -> Sequence[Any]:
    """One entry for each job. What is wrong with all of them is no ping's concern."""
    if not jobs:
        return []
    try:
        found: Sequence[Any] = handler(jobs)
    except Exception as error:
        return [error] * len(jobs)
    return found
