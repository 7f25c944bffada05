"""A worker in a process of its own, so that it can be killed; also at a given instruction.

    python worker.py '{"url": "redis://…", "queue": "mail", "handler": "nothing", "die": ["written", "settle", 1], …}'

Prints a JSON line for everything its consumer tells. SIGTERM drains it, as in production. With ``skew_ms`` its clock is wrong by that much.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from kayan_workers.bull.consumer import Consumer, ConsumerSettings
from kayan_workers.bull.line import Line
from kayan_workers.bull.observer import Observer
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.running import ActiveJob
from kayan_workers.bull.server import RedisAddress, Server

_LUA = Path(sys.modules["kayan_workers.bull.line"].__file__ or "").parent / "lua"


def tell(event: str, *args: Any) -> None:
    print(json.dumps({"event": event, "args": args, "at": time.time() * 1000}, default=str), flush=True)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Instructions:
    """Every command to Redis is three instants: before it is written, after it is written, after its answer has come."""

    def __init__(self, fatal: list[Any] | None) -> None:
        """``fatal`` is [instant, name, n]: die at that instant of the n-th command (or script) of that name."""
        from kayan_workers.bull import scripts

        self._fatal = tuple(fatal) if fatal else None
        loaded = [scripts.load(file.stem) for file in _LUA.glob("*.lua")]
        self._names = {script.sha: script.name for script in loaded} | {script.text: script.name for script in loaded}
        self._counts: Counter[str] = Counter()

    def watch(self) -> None:
        """From now on every line tells its instants, and dies at the fatal one."""
        send = Line.send

        def watched(line: Line, *command: Any) -> asyncio.Future[Any]:
            name = self._names[command[1]] if command[0] in ("EVALSHA", "EVAL") else str(command[0])
            self._counts[name] += 1
            number = self._counts[name]
            self._pass("before", name, number)
            answer = send(line, *command)
            self._pass("written", name, number)
            answer.add_done_callback(lambda _: self._pass("answered", name, number))
            return answer

        Line.send = watched  # type: ignore[method-assign]

    def _pass(self, instant: str, name: str, number: int) -> None:
        if self._fatal is None:
            tell("instant", instant, name, number)
        elif self._fatal == (instant, name, number):
            die()


class Telling(Observer):
    """Prints what the consumer tells."""

    def job_started(self, job: ActiveJob) -> None:
        tell("start", job.id, job.attempt)

    def job_completed(self, job: ActiveJob, value: Any, seconds: float) -> None:
        tell("completed", job.id)

    def job_retried(self, job: ActiveJob, error: BaseException, delay_ms: int, seconds: float) -> None:
        tell("retried", job.id, delay_ms)

    def job_failed(self, job: ActiveJob, error: BaseException, seconds: float) -> None:
        tell("failed", job.id, str(error))

    def job_lost(self, job: ActiveJob, why: str) -> None:
        tell("lost", job.id, why)

    def job_handed_back(self, job: ActiveJob, why: str) -> None:
        tell("handed_back", job.id, why)

    def queue_warning(self, queue: str, message: str) -> None:
        tell("warning", message)


async def main(config: dict[str, Any]) -> None:
    server = Server(RedisAddress(url=config["url"]))
    queue = Queue(config["queue"], server)
    observer = Telling()

    async def nothing(job: ActiveJob) -> Any:
        # the effect that must not be lost: how often each job's handler ran to its end
        await server.commands.hincrby(f"effects:{config['queue']}", job.id, 1)

    async def flaky(job: ActiveJob) -> Any:
        await nothing(job)
        if job.attempt == 1:
            raise ValueError("once")

    async def slow(job: ActiveJob) -> Any:
        await asyncio.sleep(config["seconds"])

    def thread(job: ActiveJob) -> Any:
        time.sleep(config["seconds"])

    async def block(job: ActiveJob) -> Any:
        time.sleep(config["seconds"])  # blocks the whole loop, as a careless handler would

    async def suicide(job: ActiveJob) -> Any:
        await asyncio.sleep(0.05)
        die()

    handlers = {"nothing": nothing, "flaky": flaky, "slow": slow, "thread": thread, "block": block, "suicide": suicide}
    consumer = Consumer(
        queue,
        handlers[config["handler"]],
        concurrency=config.get("concurrency", 1),
        settings=ConsumerSettings(**config["settings"]),
        observer=observer,
        pod=config.get("pod", f"pod-{os.getpid()}"),
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, consumer.stop)
    if "die" in config or config.get("trace"):
        Instructions(config.get("die")).watch()
    tell("ready")
    await consumer.run()
    await queue.close()
    await server.close()
    tell("over")


def set_clock_wrong(skew_ms: int) -> None:
    right = time.time_ns
    time.time_ns = lambda: right() + skew_ms * 1_000_000


if __name__ == "__main__":
    config = json.loads(sys.argv[1])
    set_clock_wrong(config.get("skew_ms", 0))
    asyncio.run(main(config))
