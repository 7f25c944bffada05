"""What is left to do for a job that was given up because every worker that took it died: nobody else will tell the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from kayan_workers import logs
from kayan_workers.bull.ending import end
from kayan_workers.errors import PermanentError

if TYPE_CHECKING:
    from kayan_workers.binding import Processors, RawJob
    from kayan_workers.bull.queue import Queue
    from kayan_workers.processors.table import Role

_FIRST_WAIT_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 60.0


class GivenUp:
    """Lets a role's processor tell, and keeps at it while the world is away. Whatever goes wrong costs a warning, never the worker."""

    def __init__(self, processors: Processors) -> None:
        self._processors = processors
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, role: Role, queue: Queue) -> Callable[[Sequence[str]], None]:
        """Who hears of the jobs of ``queue`` that were given up, on the event loop; returns at once."""

        def hear(job_ids: Sequence[str]) -> None:
            task = asyncio.create_task(self._tell_all(role, queue, job_ids), name=f"given up jobs of {queue.name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return hear

    async def close(self) -> None:
        """Leave what has not been told by now."""
        await end(self._tasks)

    async def _tell_all(self, role: Role, queue: Queue, job_ids: Sequence[str]) -> None:
        try:
            tell = await asyncio.to_thread(self._processors.given_up, role)
        except Exception as error:
            logs.get(queue=queue.name).warning("queue.warning", message=f"{role.module} cannot hear of jobs that were given up: {error}")
            return
        if tell is not None:
            for job_id in job_ids:
                await self._insist(tell, queue, job_id)

    async def _insist(self, tell: Callable[[RawJob], None], queue: Queue, job_id: str) -> None:
        log = logs.get(queue=queue.name, job_id=job_id)
        wait = _FIRST_WAIT_SECONDS
        while True:
            try:
                job = await queue.get_job(job_id)
                if job is not None and job.failed_reason:  # or its own options had it removed, or somebody has retried it
                    await asyncio.to_thread(tell, job)
                return
            except PermanentError as error:
                log.warning("job.untold", error=str(error))
                return
            except Exception as error:
                log.warning("job.untold", error=str(error), delay_ms=round(wait * 1000))
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
