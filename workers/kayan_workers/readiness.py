"""Whether a worker can work now: is Redis there, are database, bucket and SES when its queues need them, has nobody told it to stop."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from kayan_workers.errors import TemporaryError

if TYPE_CHECKING:
    from kayan_workers.bull.server import Server
    from kayan_workers.edges import Edges

_SECONDS = 2.0
_FRESH_SECONDS = 3.0
_BUCKET_FRESH_SECONDS = 30.0
_SES_AGAIN_SECONDS = 5.0
"""How long bad news of SES counts: what is not for sending mails it answers to an account about once a second."""
ASIDE_AGAIN_SECONDS = 15.0
"""How long bad news of a process that looked for us counts."""
_ASIDE_SECONDS = 50.0
_REACH_SECONDS = 5.0
_ANSWER_SECONDS = 20.0
"""How long an edge may think about a question before it counts as unusable."""

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


class DatabaseCheck:
    """While no job uses the database, only whether something listens there, and once, from a process of its own, whether we may log in:
    no driver is loaded and no connection held for a probe. After trouble, whether we may log in, each time until we may."""

    def __init__(self, edges: Edges, url: str) -> None:
        self._edges = edges
        self._url = url
        self._aside = _Aside("kayan_workers.database", told=url)
        self._asking: asyncio.Future[None] | None = None
        self._is_doubtful = False

    def begin(self) -> None:
        """Begin the first look, which a call then waits for: there need be no loop yet."""
        self._aside.begin()

    def doubt(self) -> None:
        """Somebody has had trouble with it: what was known does not count for the next call."""
        self._is_doubtful = True

    def close(self) -> None:
        self._aside.close()

    async def __call__(self) -> None:
        try:
            if self._edges.has("database"):
                await self._ask()
            else:
                await self._look()
        except Exception:
            self._is_doubtful = True
            raise
        self._is_doubtful = False

    async def _look(self) -> None:
        try:
            await _reach(self._url)
        except ConnectionError:
            self._aside.forget()  # whoever listens there next may be another
            raise
        await self._aside.look()

    async def _ask(self) -> None:
        is_in_use = self._edges.database.in_use
        if self._is_doubtful or not is_in_use:
            await _reach(self._url)  # which tells at once what a pool waits for
        if self._is_doubtful or is_in_use:
            if self._asking is None or self._asking.done():
                self._asking = _in_background(lambda: _ask(self._edges))
            await _answer(self._asking)


class _ClientCheck:
    """Of an edge that is used through boto3. Until a job has used it, a process of its own looks: boto3 stays out of this one."""

    def __init__(self, edges: Edges, edge: str, ask: Callable[[], None], aside: _Aside | None, *, good: float, bad: float) -> None:
        """``good`` and ``bad`` are for how many seconds such news of ``ask`` counts."""
        self._edges = edges
        self._edge = edge
        self._ask = ask
        self._aside = aside
        self._good, self._bad = good, bad
        self._asking: asyncio.Future[None] | None = None
        self._asked_at = float("-inf")

    def begin(self) -> None:
        """Begin the first look, which a call then waits for: there need be no loop yet."""
        if self._aside:
            self._aside.begin()

    def doubt(self) -> None:
        """Somebody has had trouble with it: what was known does not count for the next call."""
        self._asked_at = float("-inf")

    def close(self) -> None:
        if self._aside:
            self._aside.close()

    async def __call__(self) -> None:
        if self._aside and not self._edges.has(self._edge):
            await self._aside.look()
            return
        if self._asking is None or _is_old(self._asking, self._asked_at, good=self._good, bad=self._bad):
            self._asked_at = time.monotonic()
            self._asking = _in_background(self._ask)
        await _answer(self._asking)


class StorageCheck(_ClientCheck):
    """Whether the bucket (None: a folder) can be used."""

    def __init__(self, edges: Edges, bucket: str | None, region: str) -> None:
        aside = _Aside("kayan_workers.storage", bucket, region) if bucket else None
        super().__init__(edges, "storage", lambda: edges.storage.check(), aside, good=_BUCKET_FRESH_SECONDS, bad=_FRESH_SECONDS)


class MailCheck(_ClientCheck):
    """Whether SES can be used. It is asked once, and then only after trouble: the mailer knows whether its last mail had an answer."""

    def __init__(self, edges: Edges, region: str) -> None:
        self._region = region
        aside = _Aside("kayan_workers.mailer", region)
        super().__init__(edges, "mailer", lambda: edges.mailer.check(), aside, good=_FRESH_SECONDS, bad=_SES_AGAIN_SECONDS)

    async def __call__(self) -> None:
        try:
            await super().__call__()
        except TimeoutError as error:
            remedy = "check the way to SES and to whoever hands out the keys of the pod's role, AWS_SES_REGION and AWS_ENDPOINT_URL_SES"
            raise TemporaryError(f"SES in {self._region} cannot be used: {error}", remedy) from error


class _Aside:
    """A look by a process of its own, whose libraries go with it. It is started again after bad news, not after good."""

    def __init__(self, module: str, *arguments: str, told: str = "") -> None:
        """``told`` is what the process reads: secrets, which arguments are not."""
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._told = told
        self._looking: asyncio.Future[None] | None = None
        self._looked_at = float("-inf")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._is_closed = False

    def begin(self) -> None:
        """Start the process that the first ``look`` waits for."""
        with self._lock:
            if self._process is None and not self._is_closed:
                self._process = subprocess.Popen(  # noqa: S603  ourselves
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
                assert self._process.stdin is not None
                with contextlib.suppress(OSError), self._process.stdin as stdin:
                    stdin.write(self._told)  # less than a pipe takes at once
                self._process.stdin = None

    def forget(self) -> None:
        """Look again next time, whatever was found."""
        if self._looking is not None and self._looking.done():
            self._looking = None

    async def look(self) -> None:
        """Raises what the process said, as a TemporaryError."""
        if self._looking is None or _is_old(self._looking, self._looked_at, good=float("inf"), bad=ASIDE_AGAIN_SECONDS):
            self._looked_at = time.monotonic()
            self._looking = _in_background(self._run)
        await asyncio.shield(self._looking)

    def close(self) -> None:
        """End a process that still looks: it would outlive an ``exec``, and stay as a zombie of the worker that follows."""
        with self._lock:
            self._is_closed = True
            process = self._process
        if process is not None:
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)

    def _run(self) -> None:
        self.begin()
        if (process := self._process) is None:
            return  # closed
        try:
            said, complained = process.communicate(timeout=_ASIDE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise TemporaryError(
                f"no answer within {_ASIDE_SECONDS:g} s", "is the worker's CPU limit too low, or does a firewall drop what it sends?"
            ) from None
        finally:
            self._process = None
        if process.returncode:
            raise TemporaryError((said or complained).strip()[-500:] or f"{self._command[-1]} ended with {process.returncode}")


def _is_old(answer: asyncio.Future[None], asked_at: float, *, good: float, bad: float) -> bool:
    """Whether it is time to ask again: good news counts for ``good`` seconds, bad for ``bad``."""
    return answer.done() and time.monotonic() - asked_at >= (bad if answer.exception() else good)


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
        except BaseException as error:  # a library in Rust panics with one: whoever waits must hear of that too
            problem = error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")
        with contextlib.suppress(RuntimeError):  # the loop has gone meanwhile
            loop.call_soon_threadsafe(settle, problem)

    threading.Thread(target=call, name="readiness", daemon=True).start()
    return future


async def _answer(asking: asyncio.Future[None]) -> None:
    """Raises what was answered; TimeoutError for no answer, which may still come."""
    done, _ = await asyncio.wait([asking], timeout=_ANSWER_SECONDS)
    if not done:
        raise TimeoutError(f"no answer within {_ANSWER_SECONDS:g} s")
    asking.result()


def _ask(edges: Edges) -> None:
    """Through a connection that is there anyway, while jobs use the database; else by logging in. When all of ours are at work the server
    is there, and no more is asked: the role may be allowed no more connections than these."""
    from kayan_workers.database import AllBusyError, remedy

    database = edges.database
    if not database.in_use:
        database.check()
        return
    try:
        with contextlib.suppress(AllBusyError), database.transaction(wait_seconds=_SECONDS / 2, counts_as_use=False) as connection:
            connection.execute("SELECT 1")
    except TemporaryError as error:
        raise TemporaryError(error.says, error.remedy or remedy(error.says)) from error


async def _reach(url: str) -> None:
    """Open and close a connection to one of the hosts of a PostgreSQL URL; PostgreSQL takes no offence at that."""
    *others, last = _addresses(url)
    for host, port in others:
        with contextlib.suppress(ConnectionError):
            await _connect(host, port)
            return
    await _connect(*last)


async def _connect(host: str, port: int) -> None:
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            if host.startswith("/"):
                _reader, writer = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            else:
                _reader, writer = await asyncio.open_connection(host, port)
    except TimeoutError as error:
        raise ConnectionError(f"{host}:{port} does not answer within {_REACH_SECONDS:g} s") from error
    except OSError as error:
        raise ConnectionError(f"{host}:{port} cannot be reached: {error.strerror or error}") from error
    writer.close()


def _addresses(url: str) -> list[tuple[str, int]]:
    """The hosts of a PostgreSQL URL with their ports: its authority's, or those that a parameter lists."""
    address, _, parameters = url.partition("?")
    query = parse_qs(parameters)
    authority = address.partition("://")[2].partition("/")[0]  # not by urlsplit, which fails where libpq takes a password as it is
    ports = [int(port) for port in query.get("port", ["5432"])[0].split(",")]
    named = [_host_and_port(one) for one in authority.rpartition("@")[2].split(",")]
    if not named[0][0]:
        ports = [named[0][1]] if named[0][1] else ports
        named = [(host or "localhost", 0) for host in query.get("host", [""])[0].split(",")]
    return [(host, port or ports[n if n < len(ports) else 0]) for n, (host, port) in enumerate(named)]


def _host_and_port(authority: str) -> tuple[str, int]:
    parts = urlsplit(f"//{authority}")
    return parts.hostname or "", parts.port or 0
