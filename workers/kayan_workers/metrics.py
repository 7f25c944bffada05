"""What Prometheus reads: jobs by outcome, how long they waited and ran, and how deep the queues are, all by queue.

The depth is read from Redis when somebody asks, at most every few seconds; everything else is counted as it happens.
"""

from __future__ import annotations

import asyncio
import math
import time
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each counter was made: a third of the page, and nobody asks

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

STATES = ("waiting", "active", "delayed", "paused", "completed", "failed")

_RUNNING = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_WAITING = (0.005, 0.025, 0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 3600, 21600)


class Counted(Protocol):
    """A queue that can say how many jobs stand in each state, and since when (Unix ms) the next one could have run (``Queue``)."""

    def counts(self) -> Awaitable[object]: ...

    def next_due_ms(self) -> Awaitable[float | None]: ...


class Metrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        by_queue = ["queue"]

        def counter(name: str, text: str, labels: list[str] = by_queue) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._started = counter("kayan_jobs_started_total", "Attempts begun.")
        self._completed = counter("kayan_jobs_completed_total", "Jobs completed.")
        self._retried = counter("kayan_jobs_retried_total", "Attempts that failed and will be repeated.")
        self._postponed = counter("kayan_jobs_postponed_total", "Jobs put off, for want of room or of a lock; no attempt was counted.")
        self._failed = counter("kayan_jobs_failed_total", "Jobs that failed for good.", ["queue", "reason"])
        self._lost = counter("kayan_job_locks_lost_total", "Jobs whose lock was lost while they ran here; nothing was written for them.")
        self._removed = counter("kayan_jobs_removed_total", "Jobs that were deleted while they ran here, or waited without being there.")
        self._handed_back = counter("kayan_jobs_handed_back_total", "Jobs put back unharmed, mostly at shutdown.")
        self._stalled = counter("kayan_jobs_stalled_total", "Jobs whose worker died, found by this process.", ["queue", "outcome"])
        self._overdue = counter("kayan_jobs_overdue_total", "Handlers that went on after they were told to end.")
        self._warnings = counter("kayan_queue_warnings_total", "Oddities on a queue that were worked around.")
        self._seconds = Durations("kayan_job_processing_seconds", "How long an attempt ran.", _RUNNING)
        self._waited = Durations("kayan_job_waiting_seconds", "From due to begun.", _WAITING)
        registry.register(self._seconds)
        registry.register(self._waited)
        self._slots = Gauge("kayan_worker_slots", "Room for running jobs (or batches) in this process.", by_queue, registry=registry)
        self._running = Gauge("kayan_worker_jobs_running", "Jobs running in this process.", by_queue, registry=registry)
        holding = "1 while this process claims nothing: database, bucket or SES cannot be used, or is looked at for the first time."
        self._holding = Gauge("kayan_worker_holding", holding, by_queue, registry=registry)
        usable = "1 while this process can use its database, storage or mail service, 0 while it cannot and takes no jobs that need it."
        self._usable = Gauge("kayan_worker_edge_usable", usable, ["edge"], registry=registry)
        self._depth = Gauge("kayan_queue_jobs", "Jobs of the whole queue by state.", ["queue", "state"], registry=registry)
        waits = "How long the next waiting job has been due; 0 when none waits."
        self._oldest = Gauge("kayan_queue_oldest_waiting_seconds", waits, by_queue, registry=registry)
        self._paused = Gauge("kayan_queue_paused", "1 while the queue is paused.", by_queue, registry=registry)
        self._read = Gauge("kayan_queue_depth_read_ok", "1 if the depth is fresh; 0: the last reading failed.", registry=registry)
        self.redis_up = Gauge("kayan_redis_up", "1 while Redis answers.", registry=registry)
        self.draining = Gauge("kayan_worker_draining", "1 once this process has been told to stop.", registry=registry)

    def of(self, queue: str, slots: int) -> QueueMetrics:
        """The metrics of one queue, looked up once."""
        self._slots.labels(queue).set(slots)
        return QueueMetrics(self, queue)

    def watch_edge(self, edge: str, is_usable: Callable[[], bool]) -> None:
        """Ask ``is_usable`` of an edge whenever somebody looks."""
        self._usable.labels(edge).set_function(is_usable)

    def set_depth(self, queue: str, counts: Mapping[str, int]) -> None:
        """``counts`` by state; a state that is missing keeps its last value."""
        for state in STATES:
            if state in counts:
                self._depth.labels(queue, state).set(counts[state])
        self._paused.labels(queue).set(counts.get("is_paused", 0))

    def set_oldest_waiting(self, queue: str, seconds: float) -> None:
        self._oldest.labels(queue).set(seconds)

    def set_depth_read(self, succeeded: bool) -> None:
        self._read.set(succeeded)

    def exposition(self) -> bytes:
        """Everything in Prometheus's text format."""
        return generate_latest(self.registry)


class Durations(Collector):
    """A histogram of seconds by queue. Prometheus's own takes two microseconds over each observation, a tenth of a small job."""

    def __init__(self, name: str, text: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._text = text
        self._bounds = (*bounds, math.inf)
        self._queues: dict[str, QueueDurations] = {}

    def of(self, queue: str) -> QueueDurations:
        return self._queues.setdefault(queue, QueueDurations(self._bounds))

    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._text, labels=["queue"])
        for queue, durations in self._queues.items():
            upto = zip(map(floatToGoString, self._bounds), accumulate(durations.counts), strict=True)
            family.add_metric([queue], list(upto), durations.sum)
        return [family]


class QueueDurations:
    """The seconds of one queue."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * len(bounds)
        """How many lie between each bound and the one before it."""
        self.sum = 0.0

    def observe(self, seconds: Sequence[float]) -> None:
        bounds, counts = self._bounds, self.counts
        for value in seconds:
            counts[bisect_left(bounds, value)] += 1
        self.sum += sum(seconds)


class QueueMetrics:
    """The metrics of one queue, with its label bound, so that counting a job costs next to nothing."""

    def __init__(self, metrics: Metrics, queue: str) -> None:
        self.started = metrics._started.labels(queue)
        self.completed = metrics._completed.labels(queue)
        self.retried = metrics._retried.labels(queue)
        self.postponed = metrics._postponed.labels(queue)
        self.failed_permanently = metrics._failed.labels(queue, "permanent")
        self.failed_exhausted = metrics._failed.labels(queue, "attempts")
        self.lost = metrics._lost.labels(queue)
        self.removed = metrics._removed.labels(queue)
        self.handed_back = metrics._handed_back.labels(queue)
        self.stalled = metrics._stalled.labels(queue, "repeated")
        self.given_up = metrics._stalled.labels(queue, "given_up")
        self.forgiven = metrics._stalled.labels(queue, "forgiven")
        self.overdue = metrics._overdue.labels(queue)
        self.warnings = metrics._warnings.labels(queue)
        self.seconds = metrics._seconds.of(queue)
        self.waited = metrics._waited.of(queue)
        self.running = metrics._running.labels(queue)
        self.holding = metrics._holding.labels(queue)


class Depths:
    """Reads the counts of all queues, at most once every ``keep_seconds``."""

    def __init__(self, queues: Mapping[str, Counted], metrics: Metrics, *, keep_seconds: float = 3, timeout_seconds: float = 3) -> None:
        self._queues = queues
        self._metrics = metrics
        self._keep_seconds = keep_seconds
        self._timeout_seconds = timeout_seconds
        self._read_at = float("-inf")
        self._turn = asyncio.Lock()
        self.last: dict[str, dict[str, int]] = {}
        """The latest counts by queue and state."""

    async def refresh(self) -> bool:
        """Read the counts anew, unless they are fresh. False when Redis does not say; ``last`` is then as it was."""
        async with self._turn:
            if time.monotonic() - self._read_at < self._keep_seconds:
                return True
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    counted = await asyncio.gather(*(queue.counts() for queue in self._queues.values()))
                    due = await asyncio.gather(*(queue.next_due_ms() for queue in self._queues.values()))
            except Exception:  # unreachable, loading, refused: readiness tells which
                self._metrics.set_depth_read(False)
                return False
            self.last = {name: _by_state(counts) for name, counts in zip(self._queues, counted, strict=True)}
            self._read_at = time.monotonic()
            now_ms = time.time() * 1000
        for name, counts in self.last.items():
            self._metrics.set_depth(name, counts)
        for name, due_ms in zip(self._queues, due, strict=True):
            self._metrics.set_oldest_waiting(name, 0 if due_ms is None else max(0, now_ms - due_ms) / 1000)
        self._metrics.set_depth_read(True)
        return True


def _by_state(counts: object) -> dict[str, int]:
    return {name: int(getattr(counts, name)) for name in (*STATES, "is_paused")}
