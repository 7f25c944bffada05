"""Whether a worker can work now: is Redis there, is the database there when its queues need one, and has nobody told it to stop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from kayan_workers.bull.server import Server
    from kayan_workers.edges import Edges

_SECONDS = 2.0
_FRESH_SECONDS = 3.0

Check = Callable[[], Awaitable[None]]
"""Returns when all is well, raises when it is not."""


class Readiness:
    """Asks every check at once and remembers the answers for a moment, so that eager probes cost nothing."""

    def __init__(self, checks: dict[str, Check]) -> None:
        self._checks = checks
        self._answers: dict[str, str] = {}
        self._asked_at = float("-inf")
        self._turn = asyncio.Lock()

    async def problems(self) -> dict[str, str]:
        """What is the matter, by the name of the check; empty when the worker is ready."""
        async with self._turn:
            if time.monotonic() - self._asked_at >= _FRESH_SECONDS:
                said = await asyncio.gather(*(_problem(check) for check in self._checks.values()))
                self._answers = {name: problem for name, problem in zip(self._checks, said, strict=True) if problem}
                # Bad news is asked for again at once: whoever waits for a recovery wants to know.
                self._asked_at = time.monotonic() if not self._answers else float("-inf")
        return self._answers


async def _problem(check: Check) -> str | None:
    try:
        async with asyncio.timeout(_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {_SECONDS:g} s"
    except Exception as error:
        return str(error) or type(error).__name__
    return None


def redis_check(server: Server) -> Check:
    async def check() -> None:
        await server.commands.ping()
        if server.trouble:  # it answers, and takes no work: it follows another, loads its file, or its disk is full
            raise server.trouble

    return check


def database_check(edges: Edges, url: str) -> Check:
    """Until a job has used the database, only whether something listens there: its driver is not loaded for a probe."""
    asking: asyncio.Future[None] | None = None

    async def check() -> None:
        nonlocal asking
        if "database" not in edges.__dict__:
            await _reach(url)
            return
        if asking is None or asking.done():
            asking = _in_background(lambda: _ask(edges))
        await asyncio.shield(asking)

    return check


def _in_background(function: Callable[[], None]) -> asyncio.Future[None]:
    """Call ``function`` in a thread that nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())  # a failure that nobody asks for any more is no news

    def settle(error: Exception | None) -> None:
        if not future.done():
            future.set_exception(error) if error else future.set_result(None)

    def call() -> None:
        problem: Exception | None = None
        try:
            function()
        except Exception as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop has gone meanwhile
            loop.call_soon_threadsafe(settle, problem)

    threading.Thread(target=call, name="readiness", daemon=True).start()
    return future


def _ask(edges: Edges) -> None:
    with edges.database.transaction() as connection:
        connection.execute("SELECT 1")


async def _reach(url: str) -> None:
    """Open and close a connection to the first host of a PostgreSQL URL; PostgreSQL takes no offence at that."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    authority = parts.netloc.rpartition("@")[2].partition(",")[0]
    host, port = _host_and_port(authority)
    host = host or query.get("host", [""])[0] or "localhost"
    port = port or int(query.get("port", ["5432"])[0])
    try:
        if host.startswith("/"):
            _reader, writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            _reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        raise ConnectionError(f"{host}:{port} cannot be reached: {error.strerror or error}") from error
    writer.close()


def _host_and_port(authority: str) -> tuple[str, int]:
    parts = urlsplit(f"//{authority}")
    return parts.hostname or "", parts.port or 0
