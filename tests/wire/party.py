"""This library's side of the tests: queues and workers in this process, with times scaled down, and what they saw."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from kayan_workers.bull.consumer import Consumer, ConsumerSettings
from kayan_workers.bull.observer import Observer
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.running import ActiveJob
from kayan_workers.bull.server import RedisAddress, Server
from redis.asyncio import Redis
from waiting import wait_until

FAST = ConsumerSettings(
    lock_duration_ms=1000,
    lock_renew_ms=300,
    stalled_interval_ms=500,
    guard_interval_ms=500,
    grace_seconds=2,
    backoff="bull",
)
"""The same scale as ``peer.FAST_SETTINGS``: the tests' Node and Python workers must agree, as a mixed fleet must."""


@dataclass(frozen=True, slots=True)
class Start:
    """A handler was about to run."""

    job_id: str
    attempt: int
    at_ms: float
    data: Any


class Seen(Observer):
    """Writes down what a consumer tells."""

    def __init__(self) -> None:
        self.starts: list[Start] = []
        self.completed: list[str] = []
        self.failed: list[tuple[str, str]] = []
        self.retried: list[tuple[str, int]] = []
        self.lost: list[tuple[str, str]] = []
        self.removed: list[str] = []
        self.handed_back: list[str] = []
        self.stalled: list[str] = []
        self.given_up: list[str] = []
        self.forgiven: list[str] = []
        self.warnings: list[str] = []

    @property
    def started(self) -> list[str]:
        """The ids of the jobs whose handler was started, in order."""
        return [start.job_id for start in self.starts]

    def job_started(self, job: ActiveJob) -> None:
        try:
            data = job.data
        except Exception as error:
            data = error
        self.starts.append(Start(job.id, job.attempt, time.time() * 1000, data))

    def job_completed(self, job: ActiveJob, value: Any, seconds: float) -> None:
        self.completed.append(job.id)

    def job_retried(self, job: ActiveJob, error: BaseException, delay_ms: int, seconds: float) -> None:
        self.retried.append((job.id, delay_ms))

    def job_failed(self, job: ActiveJob, error: BaseException, seconds: float) -> None:
        self.failed.append((job.id, str(error)))

    def job_lost(self, job: ActiveJob, why: str) -> None:
        self.lost.append((job.id, why))

    def job_removed(self, job: ActiveJob, why: str) -> None:
        self.removed.append(job.id)

    def job_handed_back(self, job: ActiveJob, why: str) -> None:
        self.handed_back.append(job.id)

    def jobs_stalled(self, queue: str, job_ids: list[str]) -> None:
        self.stalled += job_ids

    def jobs_given_up(self, queue: str, job_ids: list[str]) -> None:
        self.given_up += job_ids

    def jobs_forgiven(self, queue: str, job_ids: list[str]) -> None:
        self.forgiven += job_ids

    def queue_warning(self, queue: str, message: str) -> None:
        self.warnings.append(message)


class Worker:
    """A consumer that runs in the test's own loop."""

    def __init__(self, consumer: Consumer, seen: Seen) -> None:
        self.consumer = consumer
        self.seen = seen
        self._task = asyncio.create_task(consumer.run(), name="worker under test")

    @property
    def started(self) -> list[str]:
        return self.seen.started

    async def has_started(self, count: int, timeout: float = 10) -> list[Start]:
        """Wait until ``count`` handlers have been started."""

        def enough() -> bool:
            if self._task.done():
                self._task.result()
            return len(self.seen.starts) >= count

        await wait_until(enough, timeout, what=f"{count} starts")
        return self.seen.starts

    async def stop(self) -> None:
        """Drain, as on SIGTERM. Raises what the consumer raised."""
        self.consumer.stop()
        done, _ = await asyncio.wait([self._task], timeout=15)
        if not done:
            stacks = _stacks()
            self._task.cancel()
            raise AssertionError(f"the worker did not stop within 15 s; its tasks stand at:\n{stacks}")
        self._task.result()

    @property
    def is_running(self) -> bool:
        return not self._task.done()


class Party:
    """Makes queues and workers on one Redis and ends them all."""

    def __init__(self, redis_url: str, **address: Any) -> None:
        self.server = Server(RedisAddress(url=redis_url, **address))
        self._queues: list[Queue] = []
        self._workers: list[Worker] = []
        self._servers: list[Server] = [self.server]

    def at(self, address: RedisAddress) -> Server:
        """Another way to the same Redis: through a proxy, with TLS, as another user."""
        server = Server(address)
        self._servers.append(server)
        return server

    def queue(self, name: str, *, server: Server | None = None, **options: Any) -> Queue:
        queue = Queue(name, server or self.server, **options)
        self._queues.append(queue)
        return queue

    def work(
        self,
        queue: Queue,
        handler: Any,
        *,
        concurrency: int = 1,
        batch: int = 1,
        spread: bool = False,
        pod: str = "test-pod",
        **settings: Any,
    ) -> Worker:
        """Start a worker. ``settings`` are members of ConsumerSettings that differ from FAST."""
        seen = Seen()
        consumer = Consumer(
            queue, handler, concurrency=concurrency, batch=batch, spread=spread, settings=replace(FAST, **settings), observer=seen, pod=pod
        )
        worker = Worker(consumer, seen)
        self._workers.append(worker)
        return worker

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        problems = [problem for worker in self._workers if (problem := await self._end(worker))]
        for queue in self._queues:
            await queue.close()
        for server in self._servers:
            await server.close()
        if problems and error is None:
            raise AssertionError(f"a worker ended with {problems[0]!r}") from problems[0]

    async def _end(self, worker: Worker) -> BaseException | None:
        try:
            await worker.stop()
        except BaseException as problem:
            return problem
        return None


def _stacks() -> str:
    """Where every task of the loop stands."""
    lines: list[str] = []
    for task in asyncio.all_tasks():
        lines.append(f"{task.get_name()}{' (being cancelled)' if task.cancelling() else ''}")
        coroutine: Any = task.get_coro()
        while frame := getattr(coroutine, "cr_frame", None) or getattr(coroutine, "ag_frame", None):
            lines.append(f"    {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}")
            coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return "\n".join(lines)


async def finished(redis: Redis, queue: str, count: int, timeout: float = 15) -> None:
    """Wait until ``count`` jobs stand in completed or failed and nothing is active."""

    async def all_done() -> bool:
        done = await redis.zcard(f"bull:{queue}:completed") + await redis.zcard(f"bull:{queue}:failed")
        return done >= count and not await redis.llen(f"bull:{queue}:active")

    await wait_until(all_done, timeout, what=f"{count} jobs of {queue} finished")


async def nothing(job: ActiveJob) -> None:
    """A handler that has nothing to do and returns nothing."""


async def echo(job: ActiveJob) -> Any:
    """A handler that returns the payload."""
    return job.data
