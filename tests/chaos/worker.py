"""One worker process: a consumer for each kind of handler. It is meant to be killed, also by itself.

    python -m chaos.worker NAME REDIS_URL SINK_URL SETTINGS      (SETTINGS: JSON of ConsumerSettings)

Tells what is worth counting as JSON lines. ``fuse N WHEN`` on its input makes it kill itself ``before``, ``sent`` or ``answered`` its N-th
next command to Redis; the end of its input drains it, as SIGTERM does in production.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

import redis
import redis.asyncio
import uvloop
from chaos.sink import Sink
from chaos.workload import ASYNC, BATCH, THREAD
from kayan_workers.bull.consumer import Consumer, ConsumerSettings
from kayan_workers.bull.line import Line
from kayan_workers.bull.locks import LockKeeper
from kayan_workers.bull.observer import Observer
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.running import ActiveJob
from kayan_workers.bull.server import RedisAddress, Server
from kayan_workers.errors import TemporaryError


def tell(event: str, count: int = 1, **more: str) -> None:
    print(json.dumps({"event": event, "count": count, **more}), flush=True)


class Teller(Observer):
    """Tells what the books want to know."""

    def job_lost(self, job: ActiveJob, why: str) -> None:
        tell("lost lock")

    def job_handed_back(self, job: ActiveJob, why: str) -> None:
        tell("handed back")

    def jobs_stalled(self, queue: str, job_ids: list[str]) -> None:
        tell("stalled", len(job_ids))

    def jobs_given_up(self, queue: str, job_ids: list[str]) -> None:
        tell("given up", len(job_ids))

    def jobs_forgiven(self, queue: str, job_ids: list[str]) -> None:
        tell("forgiven", len(job_ids))

    def queue_warning(self, queue: str, message: str) -> None:
        tell("warning", queue=queue, text=message)


class Fuse:
    """Counts this process's commands down to the one at which it dies."""

    def __init__(self) -> None:
        self.left = 0
        self.when = ""
        send = Line.send

        def watched(line: Line, *command: Any) -> asyncio.Future[Any]:
            if not self.left:
                return send(line, *command)
            self.left -= 1
            fatal = self.left == 0
            if fatal and self.when == "before":
                die()
            answer = send(line, *command)
            if fatal and self.when == "sent":
                asyncio.get_running_loop().call_later(0.0005, die)  # the event loop writes at the end of its turn
            elif fatal:
                answer.add_done_callback(lambda _: die())
            return answer

        Line.send = watched  # type: ignore[method-assign]

    def light(self, commands: int, when: str) -> None:
        self.left, self.when = commands, when


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail_if_planned(job: ActiveJob) -> None:
    """After the effect, so that the next attempt must find it done."""
    if job.attempt <= job.data.get("fail", 0):
        raise TemporaryError(f"attempt {job.attempt} was planned to fail")


def handlers(sink_url: str, name: str) -> dict[str, Any]:
    waiting = Sink(redis.asyncio.Redis.from_url(sink_url), name)
    blocking = Sink(redis.Redis.from_url(sink_url), name)

    async def on_loop(job: ActiveJob) -> int:
        await waiting.begin([job])
        try:
            await asyncio.sleep(job.data["ms"] / 1000)
            await waiting.apply([job])
        finally:
            await waiting.end([job])
        fail_if_planned(job)
        return int(job.data["n"])

    def in_batches(jobs: Sequence[ActiveJob]) -> list[Any]:
        blocking.begin(jobs)
        try:
            time.sleep(max(job.data["ms"] for job in jobs) / 1000)
            blocking.apply(jobs)
        finally:
            blocking.end(jobs)
        outcomes: list[Any] = []
        for job in jobs:
            try:
                fail_if_planned(job)
            except TemporaryError as error:
                outcomes.append(error)
            else:
                outcomes.append(job.data["n"])
        return outcomes

    def in_thread(job: ActiveJob) -> Any:
        outcome = in_batches([job])[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return {ASYNC: on_loop, THREAD: in_thread, BATCH: in_batches}


async def listen(fuse: Fuse, consumers: Sequence[Consumer]) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        _, commands, when = line.decode().split()
        fuse.light(int(commands), when)
    for consumer in consumers:
        consumer.stop()


async def main(name: str, redis_url: str, sink_url: str, settings_text: str) -> None:
    settings = ConsumerSettings(**json.loads(settings_text))
    server = Server(RedisAddress(url=redis_url), call_timeout=5)
    keeper = LockKeeper(server, settings.lock_renew_ms)
    work = handlers(sink_url, name)
    consumers = [
        Consumer(
            Queue(queue, server), work[queue], concurrency=slots, batch=batch, settings=settings, observer=Teller(), pod=name,
            keeper=keeper,
        )
        for queue, slots, batch in ((ASYNC, 20, 1), (THREAD, 5, 1), (BATCH, 3, 25))
    ]
    listener = asyncio.create_task(listen(Fuse(), consumers))
    await asyncio.gather(*(consumer.run() for consumer in consumers))
    await listener
    keeper.close()
    await server.close()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
    os._exit(0)
