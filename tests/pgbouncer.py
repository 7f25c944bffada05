"""The real PgBouncer before the run's PostgreSQL, in transaction mode: after each transaction its session may be somebody else's."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis_process
from psycopg.conninfo import conninfo_to_dict
from waiting import wait_until_ready

_CONSOLE = "watcher"


@dataclass(frozen=True)
class Bouncer:
    """``url`` is what a worker gets as DATABASE_URL."""

    url: str
    port: int

    def show(self, what: str) -> list[dict[str, Any]]:
        """What its console says: ``SHOW POOLS`` …"""
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=_CONSOLE, dbname="pgbouncer", autocommit=True, row_factory=psycopg.rows.dict_row
        ) as console:
            return console.execute(f"SHOW {what}").fetchall()  # type: ignore[arg-type]


def binary() -> str | None:
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def before(database_url: str, *, sessions: int) -> Iterator[Bouncer]:
    """Share ``sessions`` of the server among all who come as the URL's user."""
    command = binary()
    assert command is not None
    server = conninfo_to_dict(database_url)
    port = redis_process.free_port()
    folder = Path(tempfile.mkdtemp(prefix="kayan-pgbouncer-"))
    try:
        folder.chmod(0o755)  # as root it becomes somebody else
        (folder / "users.txt").write_text(f'"{server["user"]}" "{server.get("password", "")}"\n"{_CONSOLE}" ""\n')
        (folder / "pgbouncer.ini").write_text(f"""
[databases]
* = host={server["host"]} port={server.get("port", 5432)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
stats_users = {_CONSOLE}
pool_mode = transaction
default_pool_size = {sessions}
""")
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([command, *_as_whom(str(server["host"])), str(folder / "pgbouncer.ini")], stdout=log, stderr=log)
        parts = urlsplit(database_url)
        netloc = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}"
        bouncer = Bouncer(urlunsplit(parts._replace(netloc=netloc, query="")), port)
        try:
            wait_until_ready(lambda: bouncer.show("VERSION"), 20, what=f"pgbouncer ({(folder / 'log').read_text()[-500:]})")
            yield bouncer
        finally:
            process.kill()
            process.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_whom(host: str) -> list[str]:
    """It refuses to run as root, and must be let into the folder of the server's socket."""
    if os.geteuid() != 0:
        return []
    return ["-u", Path(host).owner() if host.startswith("/") else "nobody"]
