"""The real thing: ``kayan worker ROLE`` as a process of its own, with a real PostgreSQL behind it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis_process
import servers
from app import App, app_of

SCHEMA = servers.PROJECT / "workers" / "kayan_workers" / "demo" / "schema.sql"


def command(role: str) -> list[str]:
    return [sys.executable, "-m", "kayan_workers", "worker", role]


@contextmanager
def database() -> Iterator[tuple[str, App]]:
    """The URL of a database with the app's tables, and who fills them. Raises UnavailableError."""
    name = f"kayan_bench_{secrets.token_hex(4)}"
    with servers.postgres_server() as server_url, psycopg.connect(server_url, autocommit=True) as administrator:
        administrator.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
        url = urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(SCHEMA.read_text())  # type: ignore[arg-type]
            with app_of(url) as app:
                yield url, app
        finally:
            administrator.execute(f'DROP DATABASE "{name}" WITH (FORCE)')  # type: ignore[arg-type]


def environment(redis_port: int, database_url: str, health_port: int) -> Mapping[str, str]:
    """What the worker is told, and nothing that this machine happens to say."""
    ours = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return ours | {
        "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis_port), "DATABASE_URL": database_url, "HEALTH_HOST": "127.0.0.1",
        "HEALTH_PORT": str(health_port), "LOG_FORMAT": "json", "NODE_ENV": "production",
    }


def start(
    role: str, redis_port: int, database_url: str, health_port: int = 0, log: IO[bytes] | int = subprocess.DEVNULL, **more: str
) -> subprocess.Popen[bytes]:
    """Start the process. ``health_port`` 0 is any; ``more`` are variables of its environment."""
    variables = environment(redis_port, database_url, health_port or redis_process.free_port())
    return subprocess.Popen(command(role), env={**variables, **more}, stdout=log, stderr=log, cwd=Path("/"))


@contextmanager
def worker(role: str, redis_port: int, database_url: str, health_port: int = 0, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """The process, as long as the block. Raises RuntimeError with its last words when it has ended by itself."""
    with tempfile.TemporaryFile() as log:
        process = start(role, redis_port, database_url, health_port, log, **more)
        try:
            yield process
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(f"the worker ended with {process.returncode}: {log.read()[-1500:].decode(errors='replace')}")
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Let the process leave cleanly, but not for ever: what is measured is over."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
