"""A real worker process that is killed at a moment of the test's choice, and a second one that finds what the first has left.

    uploaded = scene.upload("plan.jpg", picture, "IMAGE")
    await scene.kill_a_worker("thumbnail", [uploaded.payload()], at=Stored("thumbnails/"))
    await scene.let_another_finish()

Nothing in the worker helps with that. Its lines to Redis and to the store lead through proxies, its tables can be locked by the test:
so it stands where the test wants it, and SIGKILL finds it there.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
from app import App, owner_of
from at_work import queue_at
from kayan import WorkerProcess, worker
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.producer import BulkJob
from kayan_workers.cli.adding import APP_OPTIONS
from kayan_workers.processors.table import ROLES
from proxy import Proxy
from psycopg import sql
from redis.asyncio import Redis
from servers import S3Server
from waiting import wait_until

PATIENCE = 80
"""Seconds for a worker to come to a place, on a machine that does many other things."""


Arrival = Callable[[], Awaitable[object]]


class Moment(Protocol):
    """Where in a job's life the worker is to die."""

    def prepared(self, scene: Scene) -> AbstractAsyncContextManager[Arrival]:
        """Set the trap; the arrival is awaited, and then says that the worker stands in it. The trap is taken away at the end."""


@dataclass
class Scene:
    """The outside systems of a worker, and how to look at what it left behind. ``app`` is the web app's side of the database."""

    redis_url: str
    redis: Redis
    database_url: str
    app: App
    s3: S3Server
    redis_line: Proxy
    store_line: Proxy
    temp_dir: Path
    variables: dict[str, str] = field(default_factory=dict)
    """Further variables of both workers."""
    victims: dict[str, str] = field(default_factory=dict)
    """Further variables of the worker that is killed."""
    role: str = ""
    job_ids: list[str] = field(default_factory=list)

    @property
    def queue(self) -> str:
        return next(role.queue for role in ROLES if role.name == self.role)

    def upload(self, name: str, content: bytes, file_type: str, **columns: Any) -> dict[str, Any]:
        """Store a file with its asset, as the app does; returns what the app queues for it."""
        key = f"assets/2025/11/V1StGXR8_Z-{name}"
        self.s3.client.put_object(Bucket=self.s3.bucket, Key=key, Body=content)
        asset = self.app.asset(fileKey=key, type=file_type, processingStatus="PENDING", **columns)
        return {"assetId": asset, "fileKey": key, "fileType": file_type, "mimeType": "", "originalFilename": name}

    def store(self, key: str) -> str:
        """Put something under ``key``, as an earlier run may have left it."""
        self.s3.client.put_object(Bucket=self.s3.bucket, Key=key, Body=b"made earlier")
        return key

    def content(self, key: str) -> bytes:
        """An object's bytes."""
        found: bytes = self.s3.client.get_object(Bucket=self.s3.bucket, Key=key)["Body"].read()
        return found

    async def kill_a_worker(self, role: str, payloads: Sequence[dict[str, Any]], *, at: Moment) -> None:
        """Queue jobs with the app's own options, let a worker take them, and kill it at that moment."""
        self.role = role
        async with queue_at(self.redis_url, self.queue, defaults=APP_OPTIONS) as queue:
            self.job_ids = [job.id for job in await queue.add_bulk([BulkJob(payload) for payload in payloads])]
        through_proxies = {"REDIS_URL": self.redis_line.url, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.store_line.port}"}
        async with at.prepared(self) as come:
            with worker(role, variables=self._settings(**through_proxies, **self.victims)) as victim:
                await _while_it_lives(victim, come())
                victim.process.kill()
                assert victim.exit_code() == -signal.SIGKILL
                assert victim.events("job.completed") == []
            for line in (self.redis_line, self.store_line):
                line.cut_all()
        await wait_until(lambda: not self.connections(), what="PostgreSQL to notice that the worker is gone")

    async def let_another_finish(self) -> None:
        """Start a second worker and wait until it has run every job that the first one held."""
        keys = Keys(self.queue)
        # What time does in production: the locks of the dead worker run out, and the chores it did for all.
        offices = await self.redis.keys(f"{keys.chore('*')}")
        await self.redis.delete(keys.watcher, *offices, *map(keys.lock, self.job_ids))
        with worker(self.role, variables=self._settings(REDIS_URL=self.redis_url, AWS_ENDPOINT_URL_S3=self.s3.endpoint)) as survivor:
            await _while_it_lives(survivor, wait_until(lambda: self._all_ended(survivor), PATIENCE, what="the second worker's jobs"))
            assert survivor.ids("job.completed") == sorted(self.job_ids), survivor.output()[-4000:]
            # "forgiven" is one that the first worker had claimed and not yet begun
            assert sorted(survivor.ids("job.stalled") + survivor.ids("job.forgiven")) == sorted(self.job_ids)
            survivor.signal(signal.SIGTERM)
            assert survivor.exit_code() == 0

    def connections(self, more: str = "") -> int:
        """How many connections of workers the database has, that fulfil one ``more`` condition."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'kayan-workers%' AND datname = current_database()"
        row = self.app.connection.execute(query + (f" AND {more}" if more else "")).fetchone()  # type: ignore[arg-type]
        return int(row[0]) if row else 0

    def named_objects(self) -> list[str]:
        """The keys that rows name, of originals and of what was made of them. An object under any other key is nobody's."""
        assets = [key for row in self.app.rows("assets", "fileKey", "thumbnailKey", "previewKey") for key in row if key]
        return sorted({*assets, *self.app.rows("asset_variants", "fileKey")})

    def _settings(self, **more: str) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url, "AWS_S3_BUCKET": self.s3.bucket, "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key, "KAYAN_TEMP_DIR": str(self.temp_dir), "KAYAN_MAIL": "outbox:/nowhere",
            "STALLED_INTERVAL_MS": "200", **self.variables, **more,
        }  # fmt: skip

    def _all_ended(self, survivor: WorkerProcess) -> bool:
        ended = {job_id for end in ("completed", "failed", "retried", "given_up") for job_id in survivor.ids(f"job.{end}")}
        return ended >= set(self.job_ids)


async def _while_it_lives(running: WorkerProcess, waiting: Awaitable[object]) -> None:
    """Wait, and say what the worker said when it ends or the time does."""
    try:
        await waiting
    except AssertionError as error:
        raise AssertionError(f"{error}\nthe worker (exit code {running.process.poll()}) said:\n{running.output()[-4000:]}") from error


# -- moments ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """An object under ``prefix`` is in the store, and the worker does not know yet."""

    prefix: str

    @asynccontextmanager
    async def prepared(self, scene: Scene) -> AsyncIterator[Arrival]:
        scene.store_line.withhold_replies_to(f"PUT /{scene.s3.bucket}/{self.prefix}".encode())
        yield lambda: wait_until(lambda: scene.store_line.holding, PATIENCE, what=f"an object under {self.prefix}")
        scene.store_line.release()


@dataclass(frozen=True)
class Removing:
    """Objects are to go: the request has not reached the store, or with ``done`` they are gone and the worker does not know yet."""

    done: bool = False

    @asynccontextmanager
    async def prepared(self, scene: Scene) -> AsyncIterator[Arrival]:
        removal = f"POST /{scene.s3.bucket}?delete".encode()
        (scene.store_line.withhold_replies_to if self.done else scene.store_line.hold_request)(removal)
        yield lambda: wait_until(lambda: scene.store_line.holding, PATIENCE, what="objects to be removed")
        scene.store_line.release()


@dataclass(frozen=True)
class Writing:
    """The worker is in a transaction and waits for ``table``: what it wrote before is not committed."""

    table: str

    @asynccontextmanager
    async def prepared(self, scene: Scene) -> AsyncIterator[Arrival]:
        with psycopg.connect(owner_of(scene.database_url)) as somebody:
            somebody.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(self.table)))
            yield lambda: wait_until(lambda: scene.connections("wait_event_type = 'Lock'"), PATIENCE, what=f"a wait for {self.table}")


@dataclass(frozen=True)
class Unreported:
    """Everything is done, as ``effect`` sees, and Redis has not heard of it. The worker is on its way when it reaches ``table``."""

    table: str
    effect: Callable[[Scene], bool]

    @asynccontextmanager
    async def prepared(self, scene: Scene) -> AsyncIterator[Arrival]:
        with psycopg.connect(owner_of(scene.database_url)) as somebody:
            somebody.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(self.table)))

            async def come() -> None:
                await wait_until(lambda: scene.connections("wait_event_type = 'Lock'"), PATIENCE, what=f"a wait for {self.table}")
                scene.redis_line.silent = True
                somebody.rollback()
                await wait_until(lambda: self.effect(scene), PATIENCE, what="the effect")

            yield come
        scene.redis_line.silent = False


