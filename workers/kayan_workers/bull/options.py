"""What a job may be told: typed, frozen values and the form Bull writes them in.

Every member that is None is not set: the queue's defaults apply, then Bull's. Source: wire document, section 2.2.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from kayan_workers.bull.stringify import stringify


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long a failed job waits before its next attempt.

    ``type`` is ``fixed``, ``exponential`` or the name of a strategy that the worker knows. ``delay_ms`` is what the built-in
    types start from; ``options`` is handed to a named strategy.
    """

    type: str
    delay_ms: float | None = None
    options: Any = None

    def to_wire(self) -> dict[str, Any]:
        return _present(type=self.type, delay=self.delay_ms, options=self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepJobs:
    """Which finished jobs stay: the newest ``count``, and none older than ``age_seconds``. None: no such limit."""

    count: int | None = None
    age_seconds: float | None = None


Retention = bool | int | KeepJobs
"""True: forget the job at once. False: keep every job. A number: keep the newest so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Debounce:
    """While a job with this ``id`` exists (or for ``ttl_ms``), further adds with the same id are dropped."""

    id: str
    ttl_ms: int | None = None

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError("a debounce id must not be empty")
        if self.ttl_ms is not None and self.ttl_ms < 1:
            raise ValueError(f"the debounce time of {self.id} is {self.ttl_ms} ms; it must be at least 1, or None for the job's lifetime")

    def to_wire(self) -> dict[str, Any]:
        return _present(id=self.id, ttl=self.ttl_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """When a repeatable job runs: by ``cron`` expression in time zone ``tz``, or ``every_ms``, aligned to the epoch.

    ``start_date`` and ``end_date`` are datetimes, ISO texts or ms. ``limit`` is the number of runs. ``job_id`` tells two
    schedules of the same name and times apart. ``count`` and ``key`` are the library's own.
    """

    cron: str | None = None
    every_ms: int | None = None
    tz: str | None = None
    start_date: dt.datetime | str | int | None = None
    end_date: dt.datetime | str | int | None = None
    limit: int | None = None
    job_id: str | None = None

    def __post_init__(self) -> None:
        if (self.cron is None) == (self.every_ms is None):
            raise ValueError("a repeatable job needs either cron or every_ms, and not both")
        if self.every_ms is not None and self.every_ms < 1:
            raise ValueError(f"a repeatable job cannot run every {self.every_ms} ms; the least is 1")

    def to_wire(self) -> dict[str, Any]:
        return _present(cron=self.cron, every=self.every_ms, tz=self.tz, startDate=self.start_date, endDate=self.end_date,
                        limit=self.limit, jobId=self.job_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Everything a producer can say about one job. Times are in ms unless the name says otherwise."""

    attempts: int | None = None
    """How often the job is tried in all; 1 when not set."""
    backoff: Backoff | float | None = None
    """A number is a fixed delay in ms."""
    delay_ms: float | None = None
    """How long until the job may first run."""
    priority: int | None = None
    """1 is the most urgent; 0 or None comes after all that have one."""
    lifo: bool | None = None
    """Run before all that wait now."""
    timeout_ms: int | None = None
    """How long one attempt may take; the worker ends it then."""
    job_id: str | None = None
    """An id of the caller's own. While a job with it exists, adding another is a no-op that returns the first one's id."""
    remove_on_complete: Retention | None = None
    remove_on_fail: Retention | None = None
    stack_trace_limit: int | None = None
    """How many of the failed attempts' stack traces are kept, the newest."""
    repeat: Repeat | None = None
    debounce: Debounce | None = None
    timestamp_ms: int | None = None
    """When the job was created; now when not set."""
    prevent_parsing_data: bool | None = None
    """Node hands its processor the payload as text."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further members of ``opts``, written as they are."""

    def __post_init__(self) -> None:
        if self.attempts is not None and self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}; a job needs at least 1")
        if self.priority is not None and not 0 <= self.priority <= 2**53:
            raise ValueError(f"priority is {self.priority}; it must be 0 (none) or a positive number")
        if self.delay_ms is not None and not self.delay_ms <= 2**53:
            raise ValueError(f"delay_ms is {self.delay_ms}; it must be a number of milliseconds")

    def over(self, defaults: JobOptions) -> JobOptions:
        """These options where they say something, ``defaults`` where they do not."""
        own = {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None and each.name != "extra"}
        return replace(defaults, **own, extra={**defaults.extra, **self.extra})

    def to_wire(self) -> dict[str, Any]:
        """``opts`` without ``timestamp``: the caller's members, then ``attempts`` and ``delay``, which Bull always writes."""
        wire = _present(
            priority=self.priority or None,
            lifo=self.lifo or None,
            timeout=self.timeout_ms,
            backoff=_backoff(self.backoff),
            removeOnComplete=_retention(self.remove_on_complete),
            removeOnFail=_retention(self.remove_on_fail),
            stackTraceLimit=self.stack_trace_limit,
            repeat=self.repeat.to_wire() if self.repeat else None,
            debounce=self.debounce.to_wire() if self.debounce else None,
            preventParsingData=self.prevent_parsing_data,
            jobId=self.job_id,
        )
        return {**self.extra, **wire, "attempts": self.attempts or 1, "delay": self.delay_ms or 0}


NO_OPTIONS = JobOptions()


def opts_text(wire: Mapping[str, Any], timestamp_ms: int) -> str:
    """The JSON of ``opts``, its ``timestamp`` filled in."""
    return stringify({**wire, "timestamp": timestamp_ms})


def _backoff(backoff: Backoff | float | None) -> dict[str, Any] | None:
    if backoff is None:
        return None
    return backoff.to_wire() if isinstance(backoff, Backoff) else {"type": "fixed", "delay": backoff}


def _retention(policy: Retention | None) -> bool | int | dict[str, Any] | None:
    """The policy in a form that is safe with every Bull: never null, never 0.

    Bull's own stalled pass reads ``removeOnFail: 0`` as *delete every failed job* and chokes on null half-way through
    (wire document, W11 and W12); ``true`` says "keep none" to all of its code.
    """
    if isinstance(policy, KeepJobs):
        if policy.count == 0:
            return True
        return _present(age=policy.age_seconds, count=policy.count) or None
    if policy is None or policy is True:
        return policy
    return None if policy is False or policy < 0 else (policy or True)


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


State = Literal["waiting", "active", "delayed", "paused", "completed", "failed"]
"""Where a job can stand. Bull's key of ``waiting`` is ``wait``."""
