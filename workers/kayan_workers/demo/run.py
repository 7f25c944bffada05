"""The main job of the fleet on one screen: real servers, sample files, two hundred jobs, one worker for all queues, a check of it all.

The worker is the command ``kayan worker all`` in a process of its own, set up by the same environment variables as in the
cluster. A folder stands for the bucket, an outbox for SES.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console

from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server
from kayan_workers.demo import jobs, queues, schema, summary
from kayan_workers.demo.check import Evidence, Outcome, look
from kayan_workers.demo.interrupts import Interrupts
from kayan_workers.demo.results import Results, prepare, save_tables
from kayan_workers.demo.servers import Servers, embedded_servers, require_wheels
from kayan_workers.demo.summary import Finished
from kayan_workers.demo.world import World, build_world
from kayan_workers.storage import FolderStorage, Storage

if TYPE_CHECKING:
    import psycopg

WORKER = ("-m", "kayan_workers", "worker", "all")
PATIENCE_SECONDS = 180.0
"""How long the jobs may take on a slow machine."""
STOP_SECONDS = 30.0

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "FFMPEG_BIN")
"""What the worker keeps of our environment: nobody's real Redis, database or bucket may slip in."""


def demo(keep: Path | None = None, console: Console | None = None) -> int:
    """Run the demo; results go to ``keep`` or to a temporary folder that stays. Returns the exit code: 0 when all is as it should be.

    Raises SettingsError when the embedded servers are not installed or ``keep`` is not ours to fill.
    """
    require_wheels()
    console = console or Console(width=None if sys.stdout.isatty() else 140)
    with Interrupts() as interrupts, prepare(keep) as results:
        try:
            console.print("Starting Valkey and PostgreSQL …", highlight=False)
            with embedded_servers() as servers, TemporaryDirectory(prefix="kayan-demo-files-") as temp_dir:
                return asyncio.run(_Demo(console, results, servers, Path(temp_dir), interrupts).run())
        except (asyncio.CancelledError, OSError):
            if interrupts.received is None:
                raise
        with suppress(OSError):  # the terminal may be gone
            console.print("Interrupted; the worker and the servers are stopped.")
        return interrupts.exit_code


class _Demo:
    def __init__(self, console: Console, results: Results, servers: Servers, temp_dir: Path, interrupts: Interrupts) -> None:
        self.console = console
        self.results = results
        self.servers = servers
        self.temp_dir = temp_dir
        self.interrupts = interrupts
        self.storage: Storage = FolderStorage(results.objects)

    async def run(self) -> int:
        import psycopg

        self.interrupts.guard()
        with psycopg.connect(self.servers.database_url, autocommit=True, options="-c timezone=UTC") as connection:
            self.console.print("Making sample files and the app's tables …")
            world = await asyncio.to_thread(self._build_world, connection)
            planned = jobs.plan(world)
            server = Server(RedisAddress(url=self.servers.redis_url))
            async with AsyncExitStack() as stack:
                stack.push_async_callback(server.close)
                open_queues = await stack.enter_async_context(queues.opened(server))
                for job in planned:
                    self.interrupts.check()
                    await open_queues[job.queue].add(job.data, options=job.options)
                self.console.print(f"{len(planned)} jobs wait in {len(open_queues)} queues. Starting: kayan worker all", highlight=False)
                trouble = await self._work(open_queues, planned)
                finished = await queues.finished(open_queues)
            outcome = self._check(connection, world, planned, finished)
            outcome.differences[:0] = trouble
            save_tables(connection, self.results)
        summary.show(self.console, finished, outcome, self.results.places())
        return 1 if outcome.differences else 0

    def _build_world(self, connection: psycopg.Connection) -> World:
        from kayan_workers.demo.samples import make_samples

        folder = self.temp_dir / "samples"
        folder.mkdir()
        schema.make_missing(connection)
        return build_world(connection, self.storage, make_samples(folder))

    def _check(
        self, connection: psycopg.Connection, world: World, planned: Sequence[jobs.Planned], finished: Mapping[str, Finished]
    ) -> Outcome:
        failed = {queue: list(its.failed) for queue, its in finished.items()}
        return look(Evidence(world, planned, connection, self.storage, self.results.outbox, failed))

    # -- the worker ----------------------------------------------------------------------------------------------------------

    async def _work(self, open_queues: Mapping[str, Queue], planned: Sequence[jobs.Planned]) -> list[str]:
        """Run a worker until all jobs are finished; returns what went wrong with the worker itself."""
        with self.results.worker_log.open("wb") as log:
            worker = await asyncio.create_subprocess_exec(
                sys.executable, *WORKER, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment(),
                start_new_session=True,  # Ctrl-C is for us to hear
            )
            self.interrupts.worker_group = worker.pid
            try:
                trouble = await queues.watch(
                    self.console, open_queues, planned, seconds=PATIENCE_SECONDS, trouble=lambda: self._trouble_with(worker)
                )
            finally:
                stopped = await _stop(worker)
                self.interrupts.worker_group = None
        return [f"{trouble}: {self._last_words()}"] if trouble else stopped

    def _trouble_with(self, worker: asyncio.subprocess.Process) -> str | None:
        self.interrupts.check()
        if worker.returncode is None:
            return None
        return f"the worker ended with exit code {worker.returncode} before the jobs were done"

    def _environment(self) -> dict[str, str]:
        temp_dir = self.temp_dir / "worker"
        temp_dir.mkdir()
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            **kept,
            "REDIS_URL": self.servers.redis_url,
            "DATABASE_URL": self.servers.database_url,
            "KAYAN_STORAGE": f"folder:{self.results.objects}",
            "KAYAN_MAIL": f"outbox:{self.results.outbox}",
            "KAYAN_TEMP_DIR": str(temp_dir),
            "KAYAN_GRACE_SECONDS": "5",
            "HEALTH_HOST": "127.0.0.1",
            "HEALTH_PORT": "0",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "info",
        }

    def _last_words(self) -> str:
        lines = self.results.worker_log.read_text(errors="replace").splitlines()
        return "\n    ".join(["its last lines are", *(line[:300] for line in lines[-5:])]) if lines else "it said nothing"


async def _stop(worker: asyncio.subprocess.Process) -> list[str]:
    """Ask the worker to leave as Kubernetes does; returns a complaint unless it did."""
    if worker.returncode is not None:
        return []
    worker.send_signal(signal.SIGTERM)
    try:
        code = await asyncio.wait_for(worker.wait(), STOP_SECONDS)
    except TimeoutError:
        worker.kill()
        await worker.wait()
        return [f"the worker did not stop within {STOP_SECONDS:.0f} s of SIGTERM"]
    return [f"the worker ended with exit code {code} after SIGTERM, not with 0"] if code else []
