"""Our side: a process that works and fills queues as told by JSON lines on stdin. ``node/peer.js`` is its twin; keep them alike."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from kayan_workers.bull.consumer import Consumer
from kayan_workers.bull.locks import LockKeeper
from kayan_workers.bull.observer import Observer
from kayan_workers.bull.options import Backoff, JobOptions
from kayan_workers.bull.producer import BulkJob
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.running import ActiveJob
from kayan_workers.bull.server import RedisAddress, Server

APP_OPTIONS = JobOptions(attempts=3, backoff=Backoff(type="exponential", delay_ms=2000), remove_on_complete=100, remove_on_fail=500)
"""What the web app gives every job."""


class Counting(Observer):
    """Counts what Redis has the result of."""

    def __init__(self) -> None:
        self.completed = 0
        self.wanted = 0
        self.reached: asyncio.Future[None] | None = None

    def job_completed(self, job: ActiveJob, value: Any, seconds: float) -> None:
        self.completed += 1
        if self.completed == self.wanted and self.reached is not None:
            self.reached.set_result(None)


class Ops:
    """Every public method is a request."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._server = Server(RedisAddress(url=url))
        self._keeper = LockKeeper(self._server)
        self._counting = Counting()
        self._latencies: list[float] = []
        self._running: list[tuple[Consumer, asyncio.Task[None]]] = []
        self._sampler: Any = None

    async def ping(self) -> str:
        return "pong"

    async def work(self, queue: str, workers: int = 1, concurrency: int = 1, handler: str = "nothing", spread: bool = False,
                   name: str = "bench") -> None:
        """Start workers. Each has connections and a pod name of its own, as a process of its own would."""
        run = getattr(self, f"_handle_{handler}")
        for number in range(workers):
            consumer = Consumer(Queue(queue, Server(RedisAddress(url=self._url))), run, concurrency=concurrency, spread=spread,
                                observer=self._counting, pod=f"{name}-{number}", keeper=self._keeper)
            self._running.append((consumer, asyncio.create_task(consumer.run())))

    async def reset(self) -> None:
        self._counting.completed = 0
        self._latencies.clear()

    async def count(self) -> int:
        return self._counting.completed

    async def completed(self, count: int) -> None:
        """Answer when ``count`` jobs have been completed since ``reset``."""
        counting = self._counting
        if counting.completed < count:
            counting.wanted, counting.reached = count, asyncio.get_running_loop().create_future()
            await counting.reached

    async def latencies(self) -> list[float]:
        """Ms from ``data.at`` to the start of the handler, of every job since ``reset``."""
        return self._latencies

    async def cpu(self) -> float:
        """Seconds of CPU this process has used."""
        return time.process_time()

    async def add(self, queue: str, jobs: int, data: Any, how: str, size: int) -> float:
        """Add jobs and return how many seconds it took: ``concurrent`` (``size`` adds under way) or ``bulk`` (``size`` a call)."""
        producer = Queue(queue, self._server, defaults=APP_OPTIONS)
        await producer.add(data)  # the connection stands and the script is loaded, as in a web app that has run for a while
        began = time.perf_counter()
        if how == "bulk":
            for first in range(0, jobs, size):
                await producer.add_bulk([BulkJob(data) for _ in range(min(size, jobs - first))])
        else:
            async def one_after_another(share: int) -> None:
                for _ in range(share):
                    await producer.add(data)

            await asyncio.gather(*(one_after_another(len(range(n, jobs, size))) for n in range(size)))
        took = time.perf_counter() - began
        await producer.close()
        return took

    async def profile_start(self) -> None:
        from bench.sampler import Sampler

        self._sampler = Sampler()
        self._sampler.start()

    async def profile_stop(self) -> str:
        return str(self._sampler.stop())

    async def close(self) -> None:
        for consumer, _ in self._running:
            consumer.stop()
        await asyncio.gather(*(task for _, task in self._running), return_exceptions=True)

    # -- handlers ------------------------------------------------------------------------------------------------------------

    async def _handle_nothing(self, job: ActiveJob) -> None:
        pass

    async def _handle_clock(self, job: ActiveJob) -> None:
        self._latencies.append(time.monotonic() * 1000 - job.data["at"])

    async def _handle_sleep(self, job: ActiveJob) -> None:
        await asyncio.sleep(job.data["ms"] / 1000)


async def serve(ops: Ops) -> None:
    """Answer requests until stdin closes. Each runs by itself: a long one holds up nobody."""
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()

    async def answer(request: dict[str, Any]) -> None:
        number, op = request.pop("id"), request.pop("op")
        try:
            method: Callable[..., Awaitable[Any]] = getattr(ops, op)
            reply = {"id": number, "value": await method(**request)}
        except Exception as error:
            reply = {"id": number, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)

    async for line in reader:
        task = asyncio.create_task(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def main() -> None:
    ops = Ops(sys.argv[1])
    if len(sys.argv) > 2:
        await ops.work(sys.argv[2])  # at once: for measuring how long a process takes to its first job
    await serve(ops)
    await ops.close()


if __name__ == "__main__":
    uvloop.run(main())
