"""What the commands share: settings or a clear refusal, a connection that is closed again, exit codes, output for people or machines.

Exit codes: 0 done, 1 it did not work, 2 wrong usage or a wrong environment, 130 interrupted.
"""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import msgspec
import typer

from kayan_workers.cli.durations import seconds
from kayan_workers.cli.names import UnknownName, chosen_roles, one_of, queue_name
from kayan_workers.errors import KayanError, SettingsError
from kayan_workers.tables import plain_table, printable

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from kayan_workers.bull.queue import Queue
    from kayan_workers.bull.server import Server
    from kayan_workers.processors.table import Role
    from kayan_workers.settings import Settings

FAILED, USAGE, INTERRUPTED = 1, 2, 130

_WIDE = 100
"""Columns of a terminal on which a table need not save space."""

T = TypeVar("T")


def fail(message: str, code: int = FAILED) -> NoReturn:
    complain(message)
    raise typer.Exit(code)


def complain(message: str) -> None:
    print(printable(f"kayan: {message}"), file=sys.stderr)


def settings_for(roles: Sequence[Role] = ()) -> Settings:
    """The settings, or the end of the command with every problem listed."""
    from kayan_workers.settings import Settings

    try:
        return Settings.from_environment(roles=roles)
    except SettingsError as error:
        refuse_environment(error)


def refuse_environment(error: SettingsError) -> NoReturn:
    from kayan_workers.start import refusal

    print(refusal(error), file=sys.stderr)
    raise typer.Exit(USAGE)


def roles_named(names: Sequence[str]) -> list[Role]:
    try:
        return chosen_roles(names)
    except UnknownName as error:
        fail(str(error), USAGE)


def queue_named(name: str) -> str:
    try:
        return queue_name(name)
    except UnknownName as error:
        fail(str(error), USAGE)


def queues_named(given: Sequence[str]) -> list[str]:
    """The wire names of queues; ``all`` and families are understood too."""
    return [role.queue for role in roles_named(given)]


def either(job_ids: Sequence[str] | None, everything: bool, option: str) -> None:
    """Refuse a command that names no jobs, or some and all of them."""
    if bool(job_ids) is everything:
        fail(f"name the jobs, or say {option}" + (", not both" if everything else ""), USAGE)


def named(name: str, known: Sequence[str], what: str) -> str:
    try:
        return one_of(name, known, what)
    except UnknownName as error:
        fail(str(error), USAGE)


def length_of_time(text: str, option: str) -> float:
    """In seconds."""
    try:
        return seconds(text)
    except ValueError as error:
        fail(f"{option}: {error}", USAGE)


def time_zone(name: str, option: str) -> ZoneInfo:
    """By its IANA name."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path; a folder of zones
        fail(f"{option}: there is no time zone {name!r}; give an IANA name like Asia/Riyadh", USAGE)


def run(command: Callable[[Server, Settings], Awaitable[T]], *, roles: Sequence[Role] = (), interrupted: int = INTERRUPTED) -> T:
    """Run an async command with a Redis server; every expected error becomes one line and an exit code.

    ``roles`` are those whose settings it needs. ``interrupted`` is the exit code after Ctrl-C: 0 where that is the way to end.
    """
    from redis.exceptions import RedisError, ResponseError

    from kayan_workers.bull.ending import heard
    from kayan_workers.bull.errors import QueueUnreachable

    settings = settings_for(roles)
    if settings.notice and os.getpid() == 1:  # a pod of its own, whose log begins with it as a worker's does
        complain(settings.notice)

    async def connected() -> T:
        from kayan_workers.bull.server import Server

        server = Server(settings.redis, call_timeout=10)
        try:
            return await command(server, settings)
        finally:
            await server.close()

    try:
        with to_a_reader_who_may_leave():
            return asyncio.run(heard(connected()))
    except KeyboardInterrupt:
        raise typer.Exit(interrupted) from None
    except UnknownName as error:
        fail(str(error), USAGE)
    except ResponseError as error:
        fail(f"Redis at {settings.redis} refuses: {_refusal(error)}")
    except (RedisError, OSError, QueueUnreachable) as error:
        advice = "Check REDIS_HOST, REDIS_PORT, REDIS_PASSWORD or REDIS_URL; `kayan check` tells more"
        fail(f"Redis at {settings.redis}: {str(error).rstrip('.')}. {advice}")
    except (KayanError, ValueError) as error:
        fail(str(error))


def _refusal(error: Exception) -> str:
    if "WRONGTYPE" in str(error):
        return "a key of the queue holds something else than Bull keeps there, so it is no job or list of jobs (WRONGTYPE)"
    return f"{str(error).rstrip('.')}. `kayan check` tells more"


@contextmanager
def to_a_reader_who_may_leave() -> Iterator[None]:
    """Whoever reads us through a pipe (``head``, say) may have seen enough: then the command ends without a word, as by SIGPIPE."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)


def _nobody_reads() -> bool:
    """Whether the pipe that broke is standard output, and not the connection to a server."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


@asynccontextmanager
async def queue_of(server: Server, settings: Settings, name: str) -> AsyncIterator[Queue]:
    from kayan_workers.bull.queue import Queue

    queue = Queue(name, server, prefix=settings.prefix, add_deadline_seconds=10)
    send_waiting = True
    try:
        yield queue
    except asyncio.CancelledError:  # Ctrl-C: sending what waits would take for as long as Redis stays away
        send_waiting = False
        raise
    finally:
        await queue.close(send_waiting=send_waiting)


def confirm(question: str, yes: bool) -> None:
    """Ask before something is destroyed. Without a terminal only --yes says yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"{question} Nobody is there to ask: say --yes", USAGE)
    try:
        agreed = typer.confirm(printable(question))
    except typer.Abort as error:
        print(file=sys.stderr)
        fail("nothing was changed", FAILED if isinstance(error.__context__, EOFError) else INTERRUPTED)
    if not agreed:
        fail("nothing was changed")


def print_json(value: Any) -> None:
    print(msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode())


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "") -> None:
    """A rich table on a terminal, aligned text otherwise."""
    if not sys.stdout.isatty():
        print(plain_table(headers, rows))
        return
    from rich.console import Console

    Console().print(rich_table(headers, rows, title=title))


def rich_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "") -> Any:
    from rich.markup import escape
    from rich.table import Table

    between = 2 if shutil.get_terminal_size().columns >= _WIDE else 1
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, between, 0, 0))
    for column, header in enumerate(headers):
        numeric = bool(rows) and all(isinstance(row[column], int | float) for row in rows)
        # Names and numbers are worth nothing cut short: what gives way is the texts.
        table.add_column(header, justify="right" if numeric else "left", no_wrap=numeric or column == 0, overflow="fold")
    for row in rows:
        table.add_row(*(escape(printable(str(value))) for value in row))
    return table
