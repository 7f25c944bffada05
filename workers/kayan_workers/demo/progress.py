"""Shows how far the queues are: a live table on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from kayan_workers.bull.reader import Counts

_LINE_EVERY_SECONDS = 2.0


class Display(Protocol):
    """Told the counts a few times a second."""

    def update(self, counts: Mapping[str, Counts]) -> None: ...


@contextmanager
def shown(console: Console, planned: Mapping[str, int]) -> Iterator[Display]:
    """The display that fits ``console``. ``planned`` is how many jobs each queue was given."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=8, transient=True) as live:
            yield _LiveTable(live, planned)
    else:
        yield _Lines(console, planned)


def done(counts: Counts) -> int:
    return counts.completed + counts.failed


class _LiveTable:
    def __init__(self, live: Live, planned: Mapping[str, int]) -> None:
        self.live = live
        self.planned = planned

    def update(self, counts: Mapping[str, Counts]) -> None:
        is_narrow = self.live.console.width < 100
        table = Table(box=None, padding=(0, 1 if is_narrow else 2, 0, 0))
        for name in ("queue", ""):
            table.add_column(name, no_wrap=True)
        for name in ("done", "of", "waiting", "active", "delayed", "failed"):
            table.add_column(name, justify="right", no_wrap=True)
        for queue, planned in self.planned.items():
            now = counts[queue]
            numbers = (done(now), planned, now.waiting, now.active, now.delayed, now.failed)
            table.add_row(queue, ProgressBar(total=planned, completed=done(now), width=16 if is_narrow else 30), *map(str, numbers))
        self.live.update(table)


class _Lines:
    """One line every two seconds, while something changes."""

    def __init__(self, console: Console, planned: Mapping[str, int]) -> None:
        self.console = console
        self.planned = planned
        self._started = self._last = time.monotonic()
        self._last_done = -1

    def update(self, counts: Mapping[str, Counts]) -> None:
        finished = sum(map(done, counts.values()))
        now = time.monotonic()
        if finished == self._last_done or now - self._last < _LINE_EVERY_SECONDS:
            return
        self._last, self._last_done = now, finished
        open_queues = ", ".join(
            f"{queue} {done(counts[queue])}/{planned}" for queue, planned in self.planned.items() if done(counts[queue]) < planned
        )
        self.console.print(
            f"{now - self._started:5.1f} s  {finished} of {sum(self.planned.values())} jobs done{': ' if open_queues else ''}{open_queues}",
            soft_wrap=True, highlight=False,
        )
