"""``kayan demo schema``, ``seed`` and ``verify``: the demo's parts for servers that are there, or are yet to start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import typer

from kayan_workers.cli.session import fail, run
from kayan_workers.processors.table import ROLES

if TYPE_CHECKING:
    from kayan_workers.bull.server import Server
    from kayan_workers.settings import Settings


class Part(Protocol):
    """Returns the exit code."""

    async def __call__(self, server: Server, settings: Settings, *, wait_seconds: float) -> int: ...


def on_given_servers(part: Part, *, wait_seconds: float) -> NoReturn:
    """Run a part of the demo with all that the environment names."""
    try:
        code = run(lambda server, settings: part(server, settings, wait_seconds=wait_seconds), roles=ROLES)
    except ImportError as error:
        fail(f"{error}; install what it needs: pip install 'kayan-workers[media]'")
    raise typer.Exit(code)


def write_schema(out: str | None) -> None:
    from kayan_workers.demo.schema import text

    if out is None:
        sys.stdout.write(text())
        return
    try:
        Path(out).write_text(text())
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}. Name another file with --out")
    print(f"wrote {out}: have PostgreSQL run it in an empty database")
