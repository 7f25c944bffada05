"""The commands that change a queue or single jobs. Each says what it did; one job that cannot be changed keeps no other from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal

import typer

from kayan_workers.cli.session import FAILED, complain, queue_of
from kayan_workers.errors import KayanError
from kayan_workers.tables import printable

if TYPE_CHECKING:
    from kayan_workers.bull.options import State
    from kayan_workers.bull.queue import Queue
    from kayan_workers.bull.server import Server
    from kayan_workers.settings import Settings

OneJob = Literal["retry", "promote", "remove"]

_DONE: dict[OneJob, str] = {"retry": "waits again", "promote": "waits now", "remove": "is removed"}


async def each_job(server: Server, settings: Settings, *, name: str, job_ids: Sequence[str], what: OneJob) -> None:
    """Retry, promote or remove jobs one by one. Ends with exit code 1 when one of them could not be."""
    failures = 0
    async with queue_of(server, settings, name) as queue:
        act: dict[OneJob, Callable[[str], Awaitable[None]]] = {"retry": queue.retry, "promote": queue.promote, "remove": queue.remove}
        for job_id in job_ids:
            try:
                await act[what](job_id)
                print(printable(f"{job_id} {_DONE[what]}"))
            except KayanError as error:
                failures += 1
                complain(str(error))
    if failures:
        raise typer.Exit(FAILED)


async def retry_all_failed(server: Server, settings: Settings, *, name: str) -> None:
    async with queue_of(server, settings, name) as queue:
        print(f"{await queue.retry_all_failed()} failed jobs of {name} wait again")


async def promote_all(server: Server, settings: Settings, *, name: str) -> None:
    """Let every delayed job run now, those that wait for a retry too; the next runs of schedules keep their time."""
    promoted = 0
    async with queue_of(server, settings, name) as queue:
        for job_id in await queue.ids("delayed"):
            if not job_id.startswith("repeat:") and await _promoted(queue, job_id):
                promoted += 1
    print(f"{promoted} delayed jobs of {name} wait now")


async def _promoted(queue: Queue, job_id: str) -> bool:
    try:
        await queue.promote(job_id)
    except KayanError:  # its time came by itself meanwhile
        return False
    return True


async def pause(server: Server, settings: Settings, *, queues: Sequence[str], resume: bool) -> None:
    for name in queues:
        async with queue_of(server, settings, name) as queue:
            await (queue.resume() if resume else queue.pause())
        print(f"{name} is {'resumed' if resume else 'paused: no worker takes another job, running ones go on'}")


async def empty(server: Server, settings: Settings, *, name: str) -> None:
    async with queue_of(server, settings, name) as queue:
        print(f"{await queue.empty()} waiting and delayed jobs of {name} are removed")


async def clean(server: Server, settings: Settings, *, name: str, state: State, older_than_seconds: float, limit: int) -> None:
    async with queue_of(server, settings, name) as queue:
        removed = await queue.clean(round(older_than_seconds * 1000), state, limit)
    print(f"{len(removed)} {state} jobs of {name} are removed")


async def count(server: Server, settings: Settings, *, name: str) -> tuple[int, int]:
    """Jobs that ``empty`` would remove: waiting (or paused), and delayed."""
    async with queue_of(server, settings, name) as queue:
        counts = await queue.counts()
    return counts.waiting + counts.paused, counts.delayed
