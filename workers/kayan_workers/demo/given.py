"""The demo on servers that are there already: the Redis, database and bucket that the environment names, and whatever workers they have.

``seed`` fills them once, and never a database that is anybody's; ``verify`` checks what the workers made of it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import RedisError
from rich.console import Console

from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import Server
from kayan_workers.demo import jobs, queues, schema, seeded, summary
from kayan_workers.demo.check import Evidence, Outcome, look
from kayan_workers.demo.seeded import Seeded
from kayan_workers.demo.summary import Finished, Places
from kayan_workers.demo.world import PEOPLE, build_world
from kayan_workers.edges import Edges
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.settings import Settings
from kayan_workers.storage import S3Storage

if TYPE_CHECKING:

    from kayan_workers.database import Connection

_TRY_AGAIN_SECONDS = 1.0

T = TypeVar("T")


async def seed(server: Server, settings: Settings, *, wait_seconds: float) -> int:
    """Fill what is empty: rows, files and jobs. Does nothing where that has been done. Returns the exit code.

    Raises TemporaryError when a server stays away for ``wait_seconds``, PermanentError when database or queues hold something else.
    """
    with _edges_of(settings) as edges:
        seeding = _Given(server, settings, edges, wait_seconds)
        return await seeding.seed()


async def verify(server: Server, settings: Settings, *, wait_seconds: float) -> int:
    """Wait until the jobs of a seeding are done and check what is there now. Returns the exit code: 0 when all is as it should be.

    Raises TemporaryError when a server, or the seeding itself, stays away for ``wait_seconds``.
    """
    with _edges_of(settings) as edges:
        return await _Given(server, settings, edges, wait_seconds).verify()


@contextmanager
def _edges_of(settings: Settings) -> Iterator[Edges]:
    edges = Edges(settings)
    try:
        yield edges
    finally:
        edges.close()


class _Given:
    def __init__(self, server: Server, settings: Settings, edges: Edges, wait_seconds: float) -> None:
        self.server = server
        self.settings = settings
        self.edges = edges
        self.console = Console(width=None if sys.stdout.isatty() else 140)
        self.wait_seconds = wait_seconds
        self._deadline = time.monotonic() + wait_seconds

    # -- seeding -------------------------------------------------------------------------------------------------------------

    async def seed(self) -> int:
        await self._servers()
        async with queues.opened(self.server, self.settings.prefix) as open_queues:
            standing = await asyncio.to_thread(self._standing)
            if standing is None:
                await _refuse_strange_jobs(open_queues)
                await self._until("the bucket", lambda: asyncio.to_thread(self._make_bucket))
                standing = await asyncio.to_thread(self._fill)
            if standing.queued_at is not None:
                when = f"{standing.queued_at:%Y-%m-%d at %H:%M} UTC"
                self._say(f"Seeded before, on {when}: nothing to do. `kayan demo verify` checks what came of it.")
                return 0
            planned = jobs.plan(standing.world)
            for number, job in enumerate(planned):
                # An id of the demo's own: whoever finishes a seeding that was cut short adds no job a second time.
                await open_queues[job.queue].add(job.data, options=replace(job.options, job_id=f"demo-{number + 1}"))
            await asyncio.to_thread(self._note_queued)
        files = len(standing.world.uploads) + 1
        self._say(f"Seeded: {files} uploaded files, their rows, and {len(planned)} jobs in {len(open_queues)} queues.")
        return 0

    def _standing(self) -> Seeded | None:
        with self.edges.database.transaction() as connection:
            found = seeded.found(connection)
            if found is None:
                _refuse_strange_users(connection)
            return found

    def _make_bucket(self) -> None:
        storage = self.edges.storage
        if isinstance(storage, S3Storage) and storage.make_bucket():
            self._say(f"Made the bucket {storage.bucket}.")

    def _fill(self) -> Seeded:
        from kayan_workers.demo.samples import make_samples

        self._say("Making sample files …")
        with TemporaryDirectory(prefix="kayan-demo-samples-", dir=self.settings.temp_dir) as folder:
            samples = make_samples(Path(folder), self.edges.ffmpeg)
            with self.edges.database.transaction() as connection:
                seeded.take_turn(connection)
                if found := seeded.found(connection):
                    return found  # somebody was faster
                schema.make_missing(connection)
                _refuse_strange_users(connection)
                world = build_world(connection, self.edges.storage, samples)
                seeded.remember(connection, world)
        return Seeded(world, None)

    def _note_queued(self) -> None:
        with self.edges.database.transaction() as connection:
            seeded.remember_queued(connection)

    # -- verifying -----------------------------------------------------------------------------------------------------------

    async def verify(self) -> int:
        await self._servers()
        standing = await self._until("`kayan demo seed`", lambda: asyncio.to_thread(self._queued))
        planned = jobs.plan(standing.world)
        async with queues.opened(self.server, self.settings.prefix) as open_queues:
            left = max(0.0, self._deadline - time.monotonic())
            trouble = await queues.watch(self.console, open_queues, planned, seconds=left, trouble=lambda: None)
            finished = await queues.finished(open_queues)
        outcome = await asyncio.to_thread(self._check, standing, planned, finished)
        if trouble:
            outcome.differences.insert(0, f"{trouble}; is a worker there for each queue? `kayan queues` tells")
        summary.show(self.console, finished, outcome, self._places())
        return 1 if outcome.differences else 0

    def _queued(self) -> Seeded:
        with self.edges.database.transaction() as connection:
            found = seeded.found(connection)
        if found is None or found.queued_at is None:
            raise TemporaryError("the database does not hold the demo, or not all of its jobs are queued yet", "run `kayan demo seed`")
        return found

    def _check(self, standing: Seeded, planned: list[jobs.Planned], finished: Mapping[str, Finished]) -> Outcome:
        failed = {queue: list(its.failed) for queue, its in finished.items()}
        with self.edges.database.transaction() as connection:
            return look(Evidence(standing.world, planned, connection, self.edges.storage, None, failed, self.settings.temp_dir))

    def _places(self) -> Places:
        store = f"bucket {self.settings.bucket}" if self.settings.storage_folder is None else str(self.settings.storage_folder)
        return Places("Where to look:", {
            store: "assets/ as uploaded, thumbnails/, variants/ and previews as made from them",
            "database": "the app's tables, and kayan_workers.mails for whom a mail went to",
            "Redis": "the jobs: `kayan queues`, `kayan jobs QUEUE --state completed`, `kayan job QUEUE ID`",
        })

    # -- waiting -------------------------------------------------------------------------------------------------------------

    async def _servers(self) -> None:
        await self._until(f"Redis at {self.settings.redis}", lambda: self.server.commands.ping())
        await self._until("the database", lambda: asyncio.to_thread(self.edges.database.check))

    async def _until(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it works or time is up, and say for what we wait, and why, whenever that changes. Raises TemporaryError."""
        said = ""
        while True:
            try:
                return await attempt()
            except (TemporaryError, RedisError, OSError) as error:
                why = str(error).rstrip(".") or type(error).__name__
                if time.monotonic() > self._deadline:
                    raise TemporaryError(f"waited {self.wait_seconds:g} s for {what}: {why}") from error
            if why != said:
                said = why
                self._say(f"Waiting for {what}: {why}")
            await asyncio.sleep(_TRY_AGAIN_SECONDS)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _refuse_strange_users(connection: Connection) -> None:
    """Raises PermanentError when somebody is there already: of a seeding there would be a record."""
    if connection.execute("""SELECT to_regclass('"User"') IS NULL""").fetchone() == (True,):
        return
    addresses = [f"{who}@kayanlive.example" for who in PEOPLE]
    row = connection.execute('SELECT count(*), count(*) FILTER (WHERE email <> ALL(%s)) FROM "User"', [addresses]).fetchone()
    users, strangers = row or (0, 0)
    if strangers:
        raise PermanentError(
            f"the database holds users who are not the demo's ({strangers} of them): it is somebody's, and nothing in it was changed",
            "name an empty database in DATABASE_URL",
        )
    if users:
        raise PermanentError("the database holds the demo's users, but no record of `kayan demo seed`", "empty it, or name another one")


async def _refuse_strange_jobs(open_queues: Mapping[str, Queue]) -> None:
    """Raises PermanentError when the queues have jobs of somebody else's. A cleanup may have been queued by the clock meanwhile."""
    for name, queue in open_queues.items():
        counts = await queue.counts()
        if name != "cleanup" and counts.backlog + counts.delayed + counts.completed + counts.failed:
            raise PermanentError(
                f"queue {name} holds jobs already, and the database knows of no seeding: this Redis is somebody's, or was the demo's with "
                "another database",
                "name an empty Redis, another REDIS_DB or another BULL_PREFIX",
            )
