"""What came of it all, for people: how fast, what was produced, where to look, and whether anything is not as it should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kayan_workers.bull.job import Job
from kayan_workers.demo.check import Outcome

_MOST_DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look at what came of it all."""

    head: str
    rows: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finished:
    """The finished jobs of one queue, as they stand in Redis."""

    completed: Sequence[Job]
    failed: Sequence[Job]

    @property
    def jobs(self) -> list[Job]:
        return [*self.completed, *self.failed]

    @property
    def seconds(self) -> float:
        """From the start of the first to the end of the last."""
        return span_seconds(self.jobs)


def span_seconds(jobs: Sequence[Job]) -> float:
    """From the first start to the last end, in seconds."""
    starts = [job.processed_on_ms for job in jobs if job.processed_on_ms is not None]
    ends = [job.finished_on_ms for job in jobs if job.finished_on_ms is not None]
    return (max(ends) - min(starts)) / 1000 if starts and ends else 0.0


def show(console: Console, finished: Mapping[str, Finished], outcome: Outcome, places: Places) -> None:
    """Print the summary."""
    console.print()
    console.print(_by_queue(finished))
    jobs = [job for queue in finished.values() for job in queue.jobs]
    console.print(f"\n{len(jobs)} jobs in {span_seconds(jobs):.1f} s: {_rate(jobs)} jobs a second over all queues.", highlight=False)
    produced = ", ".join(f"{count} {what}" for what, count in outcome.produced.items())
    console.print(f"Produced: {produced}.", highlight=False, soft_wrap=True)
    _show_failures(console, finished, on_purpose=not outcome.differences)
    console.print(f"\n{places.head}", highlight=False, soft_wrap=True)
    for place, what in places.rows.items():
        console.print(f"  {place:<{max(map(len, places.rows)) + 2}}{what}", highlight=False, soft_wrap=True)
    console.print()
    if outcome.differences:
        console.print(f"[bold red]{len(outcome.differences)} things are not as they should be:[/]")
        for difference in outcome.differences[:_MOST_DIFFERENCES]:
            console.print(f"  {escape(difference)}", highlight=False, soft_wrap=True)
        if len(outcome.differences) > _MOST_DIFFERENCES:
            console.print(f"  and {len(outcome.differences) - _MOST_DIFFERENCES} more")
    else:
        console.print("[bold green]Everything is as it should be:[/] nothing failed but the two jobs that were meant to.", soft_wrap=True)


def _by_queue(finished: Mapping[str, Finished]) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0))
    table.add_column("queue", no_wrap=True)
    for name in ("completed", "failed", "seconds", "jobs/s"):
        table.add_column(name, justify="right")
    for queue, its in finished.items():
        table.add_row(queue, str(len(its.completed)), str(len(its.failed)), f"{its.seconds:.1f}", _rate(its.jobs))
    return table


def _rate(jobs: Sequence[Job]) -> str:
    seconds = span_seconds(jobs)
    return f"{len(jobs) / seconds:.0f}" if seconds >= 0.01 else "–"


def _show_failures(console: Console, finished: Mapping[str, Finished], *, on_purpose: bool) -> None:
    failed = [(queue, job) for queue, its in finished.items() for job in its.failed]
    if failed:
        console.print("Failed, both on purpose:" if on_purpose else "Failed:")
    for queue, job in failed:
        console.print(f"  job {job.id} of {queue}: {escape(job.failed_reason or '')}", highlight=False, soft_wrap=True)
