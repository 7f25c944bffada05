"""``kayan queues``: how deep every queue is, once or as it changes."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from kayan_workers.bull.queue import Queue
from kayan_workers.cli.session import print_json, print_table, rich_table
from kayan_workers.processors.table import ROLES

if TYPE_CHECKING:
    from kayan_workers.bull.server import Server
    from kayan_workers.processors.table import Role
    from kayan_workers.settings import Settings

_HEADERS = ("queue", "waiting", "active", "delayed", "paused", "completed", "failed", "workers")
_WATCH_SECONDS = 1.0
_PLAIN_WATCH_SECONDS = 5.0

Row = dict[str, Any]


async def show(server: Server, settings: Settings, *, watch: bool, as_json: bool) -> None:
    """Print the counts of all queues; with ``watch`` again and again until interrupted."""
    queues = [Queue(role.queue, server, prefix=settings.prefix) for role in ROLES]
    try:
        if not watch:
            rows = await read(ROLES, queues)
            print_json(rows) if as_json else _print(rows)
        elif as_json or not sys.stdout.isatty():
            await _repeat(queues, as_json)
        else:
            await _live(queues, str(settings.redis))
    finally:
        for queue in queues:
            await queue.close()


async def read(roles: Sequence[Role], queues: Sequence[Queue]) -> list[Row]:
    """One mapping for each role and its queue, in their order."""
    counts = await asyncio.gather(*(queue.counts() for queue in queues))
    workers = await asyncio.gather(*(_workers(queue) for queue in queues))
    return [
        {"role": role.name, "queue": role.queue, "waiting": its.waiting, "active": its.active, "delayed": its.delayed, "paused": its.paused,
         "completed": its.completed, "failed": its.failed, "workers": there, "is_paused": its.is_paused}
        for role, its, there in zip(roles, counts, workers, strict=True)
    ]  # fmt: skip


async def _workers(queue: Queue) -> int | None:
    try:
        return len(await queue.workers())
    except RedisError:  # CLIENT LIST is often forbidden; the rest is worth showing
        return None


def _print(rows: list[Row]) -> None:
    print_table(_HEADERS, [_cells(row) for row in rows])
    for hint in _hints(rows):
        print(hint)


def _cells(row: Row) -> tuple[Any, ...]:
    workers = "?" if row["workers"] is None else row["workers"]
    return (row["queue"], *(row[name] for name in _HEADERS[1:-1]), workers)


def _hints(rows: list[Row]) -> list[str]:
    """What is odd, in lines of their own: the table fills a terminal of 80 columns."""
    hints = []
    for row in rows:
        if row["is_paused"]:
            hints.append(f"{row['queue']} is paused: kayan resume {row['role']}")
        if row["workers"] == 0 and row["waiting"] + row["active"] + row["delayed"] > 0:
            hints.append(f"{row['queue']} has jobs and no worker: kayan worker {row['role']}")
    return hints


async def _repeat(queues: Sequence[Queue], as_json: bool) -> None:
    while True:
        rows = await read(ROLES, queues)
        if as_json:
            import msgspec

            print(msgspec.json.encode(rows).decode(), flush=True)
        else:
            print(time.strftime("%H:%M:%S"))
            _print(rows)
            print(flush=True)
        await asyncio.sleep(_PLAIN_WATCH_SECONDS)


async def _live(queues: Sequence[Queue], address: str) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    before: list[Row] | None = None
    with Live(Text("reading …"), refresh_per_second=4, screen=True) as live:
        while True:
            try:
                rows = await read(ROLES, queues)
                title = f"{address}   {time.strftime('%H:%M:%S')}   {_rate(before, rows)}   Ctrl-C ends"
                live.update(Group(rich_table(_HEADERS, [_cells(row) for row in rows], title=title), *_hints(rows)))
                before = rows
            except (RedisError, OSError) as error:
                live.update(Text(f"{address} does not answer, trying on: {error}", style="red"))
            await asyncio.sleep(_WATCH_SECONDS)


def _rate(before: list[Row] | None, rows: list[Row]) -> str:
    """Only an idea: queues keep the newest finished jobs only, so a full list grows no more."""
    if before is None:
        return ""
    finished = sum(max(0, now[name] - then[name]) for now, then in zip(rows, before, strict=True) for name in ("completed", "failed"))
    return f"+{finished} finished" if finished else ""
