"""The fleet's queues as the demo sees them: opened, filled, and watched until their jobs are done."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from rich.console import Console

from kayan_workers.bull.keys import DEFAULT_PREFIX
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.reader import Counts
from kayan_workers.bull.server import Server
from kayan_workers.demo import jobs, progress
from kayan_workers.demo.summary import Finished
from kayan_workers.processors.table import ROLES

_LOOK_EVERY_SECONDS = 0.2


@asynccontextmanager
async def opened(server: Server, prefix: str = DEFAULT_PREFIX) -> AsyncIterator[dict[str, Queue]]:
    """Every queue by its name, with the app's own options for each job."""
    async with AsyncExitStack() as stack:
        queues = {role.queue: Queue(role.queue, server, prefix=prefix, defaults=jobs.COMMON) for role in ROLES}
        for queue in queues.values():
            stack.push_async_callback(queue.close)
        yield queues


async def watch(
    console: Console, queues: Mapping[str, Queue], planned: Sequence[jobs.Planned], *, seconds: float, trouble: Callable[[], str | None]
) -> str | None:
    """Show how far the queues are until their jobs are done. Returns why they never will be, if ``trouble`` or the time says so."""
    given_up = time.monotonic() + seconds
    with progress.shown(console, Counter(job.queue for job in planned)) as display:
        while True:
            counts = {name: await queue.counts() for name, queue in queues.items()}
            display.update(counts)
            if all(map(_is_finished, counts.values())):
                return None
            if reason := trouble():
                return reason
            if time.monotonic() > given_up:
                return f"the jobs were not done after {seconds:.0f} s"
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


async def finished(queues: Mapping[str, Queue]) -> dict[str, Finished]:
    return {name: Finished(await queue.jobs("completed"), await queue.jobs("failed")) for name, queue in queues.items()}


def _is_finished(counts: Counts) -> bool:
    return not (counts.backlog or counts.delayed)
