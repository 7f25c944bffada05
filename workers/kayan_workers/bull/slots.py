"""The slots of a consumer: room for running jobs. A job goes in claimed and comes out as an outcome."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from kayan_workers.bull import outcome, repeat, settle
from kayan_workers.bull.attempt import AttemptAbandonedError, Handler, Runner
from kayan_workers.bull.ending import end
from kayan_workers.bull.outcome import Completed, Failed, JobTimeoutError
from kayan_workers.bull.running import ActiveJob

if TYPE_CHECKING:
    from kayan_workers.bull.backoff import Series, Strategies
    from kayan_workers.bull.keys import Keys
    from kayan_workers.bull.line import Line
    from kayan_workers.bull.observer import Observer
    from kayan_workers.bull.queue import Queue

_NUDGE_SECONDS = 10.0


class Foreman(Protocol):
    """What the slots ask of their consumer."""

    queue: Queue
    keys: Keys
    observer: Observer

    @property
    def line_now(self) -> Line | None:
        """The connection as it stands."""

    def finished(self, result: Completed | Failed) -> None:
        """An attempt has ended; write it down."""

    def gave_up(self, job: ActiveJob) -> None:
        """An attempt was abandoned; there is nothing to write."""

    def slot_freed(self, seconds: float) -> None:
        """There is room for one more, where work was for this long."""

    def warn(self, message: str) -> None: ...


class Slots:
    """``count`` slots, each with one job, or one batch of up to ``batch`` jobs, at a time."""

    def __init__(
        self,
        foreman: Foreman,
        handler: Handler,
        *,
        count: int,
        batch: int,
        timeout_ms: float | None,
        series: Series,
        strategies: Strategies | None,
    ) -> None:
        self._foreman = foreman
        self._runner = Runner(handler, count, foreman.queue.name)
        self._count = count
        self._batch = batch
        self._timeout_ms = timeout_ms
        self._series = series
        self._strategies = strategies
        self._waiting: deque[Sequence[ActiveJob]] = deque()
        """Claimed and not yet in a slot: one entry a slot."""
        self._idle: deque[asyncio.Future[None]] = deque()
        self._begun: dict[str, ActiveJob] = {}
        """Jobs whose handler has begun and whose beginning Redis has not been told of."""
        self._telling = False
        self._closed = False

    async def run(self) -> None:
        """Work what ``put`` brings, until cancelled."""
        name = self._foreman.queue.name
        slots = [asyncio.create_task(self._slot(), name=f"slot {n} of {name}") for n in range(self._count)]
        try:
            await asyncio.gather(*slots)
        finally:
            await end(slots)
            self._runner.close()

    def put(self, jobs: Sequence[ActiveJob]) -> int:
        """Take claimed jobs in; returns how many slots they will fill."""
        size = self._batch
        work = [jobs[at : at + size] for at in range(0, len(jobs), size)] if size > 1 else [(job,) for job in jobs]
        self._waiting.extend(work)
        self._wake()
        return len(work)

    @property
    def oldest_waiting(self) -> Sequence[ActiveJob] | None:
        """What has waited longest for a slot."""
        return self._waiting[0] if self._waiting else None

    def close(self) -> tuple[list[ActiveJob], int]:
        """Begin nothing more; what waits is given back as by ``take_back``."""
        self._closed = True
        return self.take_back()

    def take_back(self) -> tuple[list[ActiveJob], int]:
        """The jobs that wait for a slot, and how many slots they would have filled."""
        unstarted = [job for jobs in self._waiting for job in jobs]
        slots = len(self._waiting)
        self._waiting.clear()
        return unstarted, slots

    # -- a slot --------------------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        while self._waiting and self._idle:
            slot = self._idle.popleft()
            if not slot.done():
                slot.set_result(None)
                return

    async def _slot(self) -> None:
        """Work jobs one after another. A slot wakes the next one before it begins, so that a burst never waits for one handler."""
        loop = asyncio.get_running_loop()
        while True:
            while not self._waiting or self._closed:
                idle = loop.create_future()
                self._idle.append(idle)
                await idle
            jobs = self._waiting.popleft()
            if self._waiting:
                self._wake()
            began = time.monotonic()
            await self._work(jobs)
            self._foreman.slot_freed(time.monotonic() - began)

    async def _work(self, jobs: Sequence[ActiveJob]) -> None:
        """Carry jobs from claimed to settled: completed, delayed or failed."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for job in jobs:
            job.started_monotonic = now
            self._begun[job.token] = job
        self._foreman.observer.jobs_started(jobs)
        for job in jobs:
            if job.options.repeat:
                await self._schedule_next(job)
        if not self._telling:
            self._telling = True
            loop.call_soon(self._tell_begun)
        results = await self._attempt(jobs)
        lingering: asyncio.Future[object] | None = None
        for job, result in zip(jobs, results, strict=True):
            self._begun.pop(job.token, None)
            if result is None or job.abandoned:
                self._foreman.gave_up(job)
            else:
                if isinstance(result, Failed) and isinstance(result.error, JobTimeoutError):
                    lingering = result.error.lingering
                self._foreman.finished(result)
        if lingering is not None:
            await self._until_it_returns(lingering, jobs[0])

    async def _attempt(self, jobs: Sequence[ActiveJob]) -> Sequence[Completed | Failed | None]:
        """Run the handler once and name what happened to each job; None when nobody wants to know. Raises nothing of the jobs' own."""
        batch = self._batch > 1
        try:
            value = await self._runner.run(list(jobs) if batch else jobs[0], jobs, self._timeout_of(jobs))
            if not batch:
                return (outcome.completed(jobs[0], value),)
            if not isinstance(value, list | tuple) or len(value) != len(jobs):
                raise TypeError(f"the batch handler of {self._foreman.queue.name} must return one entry for each of its {len(jobs)} jobs")
        except AttemptAbandonedError:
            return [None] * len(jobs)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return [self._failed(job, error) for job in jobs]
        texts: dict[int, str] = {}
        return [
            self._failed(job, one) if isinstance(one, BaseException) else outcome.completed(job, one, texts)
            for job, one in zip(jobs, value, strict=True)
        ]

    def _failed(self, job: ActiveJob, error: BaseException) -> Failed:
        if not isinstance(error, Exception):  # SystemExit in a handler ends the attempt, not the worker
            error = RuntimeError(f"the handler ended with {type(error).__name__}: {error}")
        return outcome.failed(job, error, series=self._series, strategies=self._strategies)

    def _timeout_of(self, jobs: Sequence[ActiveJob]) -> float | None:
        """A job's own timeout, else the consumer's; in ms. A batch may take as long as the most patient of its jobs."""
        own = [job.options.timeout for job in jobs]
        timeouts = [timeout for timeout in own if isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout > 0]
        return max(timeouts) if len(timeouts) == len(jobs) else self._timeout_ms

    async def _until_it_returns(self, lingering: asyncio.Future[object], job: ActiveJob) -> None:
        """The job has failed, but its thread sits in code that cannot be interrupted: the slot stays taken until it comes back."""
        while not lingering.done():
            self._foreman.observer.job_overdue(job, job.seconds)
            await asyncio.wait([lingering], timeout=_NUDGE_SECONDS)

    async def _schedule_next(self, job: ActiveJob) -> None:
        """The next run of a repeatable job is queued when this one is picked up, whatever becomes of this one."""
        try:
            await repeat.schedule_next(self._foreman.queue, job)
        except Exception as error:
            self._foreman.warn(f"the next run of {job.id} could not be queued; a broken chain is mended within a minute: {error}")

    def _tell_begun(self) -> None:
        """Tell Redis which handlers have begun and are not through already: from now on their worker's death is a stall."""
        self._telling = False
        line = self._foreman.line_now
        if self._begun and line is not None and line.is_open:
            settle.mark_started(line, self._foreman.keys, self._begun.values())
        self._begun.clear()
