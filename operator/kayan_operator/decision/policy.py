"""What a QueueScaler asks for, typed: the input of ``decide`` that people write.

Durations are seconds, times of day are minutes of a time zone's day. Whoever builds a Policy has checked it (``spec.py`` for resources of
the cluster and for files): ``min_replicas <= max_replicas``, a target, at least one queue.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Mode = Literal["direct", "hpa", "advisory"]
Busy = Literal["wait", "drain"]

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One queue that the target serves."""

    name: str
    weight: float = 1
    """How many jobs one of its jobs counts as, for ``JobsPerReplica``."""
    concurrency: int | None = None
    """How many of its jobs one pod runs at a time. None: as many as a pod has been seen with."""
    redis: str = "default"
    """Which of the operator's Redis servers has it."""
    prefix: str = "bull"

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class JobsPerReplica:
    """One pod for so many jobs that wait, run or are due soon."""

    jobs: float


@dataclass(frozen=True, slots=True)
class MaxWait:
    """Pods enough that no job waits longer, from what jobs are measured to take."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DrainBy:
    """Pods enough that what waits now is done by a time of day, or within so many seconds of when the oldest job was added."""

    minute_of_day: int | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    seconds: float | None = None

    def deadline(self, added: float) -> float:
        """The deadline, in Unix seconds, of a job that was added at ``added``."""
        if self.seconds is not None:
            return added + self.seconds
        assert self.minute_of_day is not None
        then = datetime.fromtimestamp(added, self.zone)
        hour, minute = divmod(self.minute_of_day, 60)
        deadline = then.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if deadline <= then:
            deadline = (deadline + timedelta(days=1)).replace(hour=hour, minute=minute)
        return deadline.timestamp()


Target = JobsPerReplica | MaxWait | DrainBy


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How quickly the number may change in one direction: by the larger of ``pods`` and ``percent`` in any ``period`` seconds."""

    stabilization: float | None = 0
    """A lower (or higher) number must have been wanted for so long. None, of shrinking alone: the fewer stay the longer a lull lasts
    (``lulls.py``)."""
    pods: int | None = None
    percent: float | None = None
    period: float = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A floor for certain hours of certain days. One that ends at or before its beginning ends on the next day."""

    name: str
    replicas: int
    start: int
    """Minute of the day."""
    end: int
    zone: ZoneInfo
    days: frozenset[int] = frozenset(range(7))
    """On which it begins, Monday is 0."""

    def is_open(self, wall: float) -> bool:
        now = datetime.fromtimestamp(wall, self.zone)
        minute, today = now.hour * 60 + now.minute, now.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        return (today in self.days and minute >= self.start) or ((today - 1) % 7 in self.days and minute < self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """When more pods would not help: what they do goes wrong, or they do not come up."""

    error_percent: float | None = 50
    """The share of finished jobs that failed for good, within ``window`` seconds; None never holds."""
    window: float = 300
    min_jobs: int = 20
    """Fewer finished jobs than that say nothing."""
    broken_pods: bool = True
    """Whether pods that crash again and again, cannot be placed or whose image cannot be pulled hold the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """How many pods there are at least once a queue could not be read for ``after`` seconds. Never fewer than there were: nobody can
    tell then which of them are idle."""

    replicas: int
    after: float = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Whether pods that run a job for more than ``after`` seconds are marked for node autoscalers to leave alone."""

    enabled: bool = True
    after: float = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One QueueScaler's spec."""

    queues: tuple[Queue, ...]
    target: Target = JobsPerReplica(10)
    min_replicas: int = 0
    max_replicas: int = 10
    mode: Mode = "hpa"
    paused: bool = False
    look_ahead: float | None = None
    """Delayed jobs that are due within so many seconds count as if they waited. None: as long as a pod is seen to take to become ready."""
    cooldown: float = 120
    """The last pod stays until nothing was waiting or running for so long."""
    scale_up: Pace = Pace()
    scale_down: Pace = Pace(stabilization=None)
    busy: Busy = "wait"
    """What scale-in does when all pods are busy: wait for the first to finish, or end some, whose jobs have their grace period."""
    schedule: tuple[Window, ...] = ()
    failure: Failure = Failure()
    fallback: Fallback | None = None
    protection: Protection = Protection()
    budget: str | None = None
    priority: int = 0
