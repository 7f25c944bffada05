"""One run: adds the jobs, lets the faults happen meanwhile, waits until the dust has settled, and opens the books."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Iterator

import redis
from chaos import verdict
from chaos.crew import Crew
from chaos.faults import Faults, Plan
from chaos.workload import DEFAULTS, QUEUES, some_job
from kayan_workers.bull.producer import BulkJob
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server
from proxy import Proxy
from redis_process import RedisProcess

_CHUNK = 250
_QUIET_LOOKS = 3
"""How often in a row nothing may be left before a run counts as done: a job may be between two lists when one looks."""


async def run(plan: Plan, *, seed: int, workers: int = 3) -> verdict.Verdict:
    """Do what ``plan`` says; ``seed`` decides which jobs and which instants."""
    began = time.monotonic()
    server = RedisProcess("--appendonly", "yes", "--appendfsync", "always").start()
    sink = RedisProcess().start()
    try:
        async with Proxy(server.port) as proxy:
            crew = Crew(workers, proxy.url, sink.url, plan.settings)
            await crew.start()
            faults = Faults(plan, server, proxy, crew, seed)
            adding = asyncio.create_task(_add_all(plan, proxy.url, random.Random(seed)))
            await faults.run()
            added = await adding
            trouble = time.monotonic() - began
            settled = await _until_quiet(server, plan.recovery_seconds)
            codes = await crew.leave()
        found = verdict.compare(server, sink, added)
    finally:
        server.remove()
        sink.remove()
    found.kills, found.died_running, found.told, found.warnings = crew.kills, crew.died_running, crew.told, crew.warnings
    found.faults = faults.done
    found.seconds, found.seconds_of_trouble = time.monotonic() - began, trouble
    found.unexpected += crew.unexpected + [f"a worker that was told to stop ended with {code}" for code in codes if code]
    if not settled:
        found.unexpected.append(f"not everything was done {plan.recovery_seconds:g} s after the last fault")
    return found


async def _add_all(plan: Plan, url: str, dice: random.Random) -> dict[int, float]:
    """Add every job once, through the same faults that the workers suffer. Returns payload number -> Unix time it is due."""
    server = Server(RedisAddress(url=url), call_timeout=5)
    queues = {name: Queue(name, server, defaults=DEFAULTS) for name in QUEUES}
    due: dict[int, float] = {}
    began = time.monotonic()
    for first in range(0, plan.jobs, _CHUNK):
        chunks: dict[str, list[BulkJob]] = {name: [] for name in QUEUES}
        for number in range(first, min(first + _CHUNK, plan.jobs)):
            name, job = some_job(number, dice)
            chunks[name].append(job)
            due[number] = time.time() + ((job.options.delay_ms or 0) / 1000 if job.options else 0)
        await asyncio.gather(*_adds(queues, chunks, in_bulk=dice.random() < 0.5))
        await asyncio.sleep(max(0.0, began + plan.seconds * (first + _CHUNK) / plan.jobs - time.monotonic()))
    for queue in queues.values():
        await queue.close()
    await server.close()
    return due


def _adds(queues: dict[str, Queue], chunks: dict[str, list[BulkJob]], *, in_bulk: bool) -> Iterator[Awaitable[object]]:
    """The two ways to add, by turns of the dice: a call for many, or one by one and all at the same time."""
    for name, jobs in chunks.items():
        if in_bulk:
            yield queues[name].add_bulk(jobs)
        else:
            yield from (queues[name].add(job.data, options=job.options) for job in jobs)


async def _until_quiet(server: RedisProcess, seconds: float) -> bool:
    """Wait until no job waits, runs or is delayed; False when that does not come."""
    deadline = time.monotonic() + seconds
    quiet = 0
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.RedisError):
            quiet = quiet + 1 if not any(verdict.unfinished(server)) else 0
            if quiet == _QUIET_LOOKS:
                return True
        await asyncio.sleep(0.1)
    return False
