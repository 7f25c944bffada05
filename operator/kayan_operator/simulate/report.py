"""What people and machines are shown of a contest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

from kayan_operator.decision.sentences import seconds
from kayan_operator.simulate.chart import axis, clock, columns
from kayan_operator.simulate.contest import Outcome
from kayan_operator.simulate.series import Series, series
from kayan_operator.simulate.table import table
from kayan_operator.simulate.traffic import Trace

_LABEL, _SCALE = 11, 16
"""Columns left and right of a chart."""
_ROWS = 2
_NARROWEST = 20
JSON_STRETCHES = 120

_HEADERS = ("policy", "p50", "p95", "longest", "backlog", "pod-hours", "idle", "changes", "peak", "late", "cut")
_LEGEND = (
    "p50, p95, longest: how long jobs waited. backlog: the most that waited or ran. idle: pod-hours without a job. changes, peak: of the "
    "replicas. late: later than maxWait or drainBy. cut: runs that ended with their pod and began anew."
)


def text(trace: Trace, outcomes: Sequence[Outcome], width: int, *, decisions: bool) -> str:
    """Charts, a table and, if wanted, every change of the replicas with its sentences; in lines of at most ``width`` where that can be."""
    return "\n".join(_lines(trace, outcomes, width, decisions=decisions))


def _lines(trace: Trace, outcomes: Sequence[Outcome], width: int, *, decisions: bool) -> Iterator[str]:
    end = outcomes[0].world.now
    across = max(_NARROWEST, width - _LABEL - _SCALE)
    drawn = [series(outcome.world, across) for outcome in outcomes]
    tops = Series(*([max(max(getattr(one, name)) for one in drawn)] for name in ("backlog", "replicas", "wait")))
    yield f"{trace.name}: {_count(len(trace.jobs), 'job')}, {seconds(end)}"
    for outcome, one in zip(outcomes, drawn, strict=True):
        yield ""
        yield outcome.name
        yield from _chart("backlog", one.backlog, tops.backlog[0], "{:,.0f}")
        yield from _chart("replicas", one.replicas, tops.replicas[0], "{:,.0f}")
        yield from _chart("wait", one.wait, tops.wait[0], "seconds")
    yield " " * _LABEL + axis(end, across).rstrip()
    yield ""
    yield from _table(outcomes, width)
    yield from wrap(_LEGEND, width)
    yield from _notes(outcomes)
    if decisions:
        for outcome in outcomes:
            yield from _changes(outcome)


def _chart(label: str, values: Sequence[float], top: float, unit: str) -> Iterator[str]:
    """All charts of a kind have one scale, so that their heights can be compared."""
    for row, line in enumerate(columns(values, top, _ROWS)):
        last = row == _ROWS - 1
        highest = max(values)
        scale = ("max " + (_wait(highest) if unit == "seconds" else unit.format(highest))) if last else ""
        yield f"{'  ' + label if last else '':{_LABEL}}{line} {scale}".rstrip()


def _table(outcomes: Sequence[Outcome], width: int) -> list[str]:
    """A line for each policy, or where that is too wide a column."""
    rows = [_headers(outcomes), *(_row(outcome, outcomes) for outcome in outcomes)]
    lines = table(rows)
    return lines if max(map(len, lines)) <= width else table(list(zip(*rows, strict=True)))


def _headers(outcomes: Sequence[Outcome]) -> list[str]:
    return [header for place, header in enumerate(_HEADERS) if place in _shown(outcomes)]


def _row(outcome: Outcome, outcomes: Sequence[Outcome]) -> list[Any]:
    its = outcome.figures
    cells: list[Any] = [
        outcome.name, _wait(its.p50_wait), _wait(its.p95_wait), _wait(its.max_wait), its.max_backlog, f"{its.pod_hours:.2f}",
        f"{its.idle_pod_hours:.2f}", its.scale_changes, its.peak_replicas, "-" if its.late is None else its.late, its.interrupted,
    ]  # fmt: skip
    return [cell for place, cell in enumerate(cells) if place in _shown(outcomes)]


def _shown(outcomes: Sequence[Outcome]) -> list[int]:
    """Columns that say something: nobody is late where nothing was promised, nobody is cut short where all are spared."""
    late = any(outcome.figures.late is not None for outcome in outcomes)
    cut = any(outcome.figures.interrupted for outcome in outcomes)
    return [place for place, header in enumerate(_HEADERS) if (header != "late" or late) and (header != "cut" or cut)]


def _notes(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        if outcome.figures.unfinished:
            why = "their pods are ended over them again and again" if outcome.figures.interrupted else "nothing would have woken it"
            yield f"{outcome.name} never did {_count(outcome.figures.unfinished, 'job')}: {why}."
        if len(outcome.world.jobs) < max(len(one.world.jobs) for one in outcomes):
            yield f"{outcome.name} has only {_count(len(outcome.world.jobs), 'job')} of the trace in its queues."


def _changes(outcome: Outcome) -> Iterator[str]:
    yield ""
    yield f"{outcome.name}: {_count(len(outcome.world.changes), 'change')}"
    for change in outcome.world.changes:
        yield f"{clock(change.at):>9}  {change.before} → {change.after}  {change.reason}: {'; '.join(change.sentences)}."


def as_json(trace: Trace, outcomes: Sequence[Outcome], *, decisions: bool) -> dict[str, Any]:
    """The same for machines: seconds, and the highest values of 120 equal stretches of time."""
    return {
        "trace": trace.name,
        "jobs": len(trace.jobs),
        "seconds": outcomes[0].world.now,
        "outcomes": [_outcome(outcome, decisions) for outcome in outcomes],
    }


def _outcome(outcome: Outcome, decisions: bool) -> dict[str, Any]:
    drawn = series(outcome.world, JSON_STRETCHES)
    found: dict[str, Any] = {
        "name": outcome.name,
        **outcome.figures.as_json(),
        "over_time": {"backlog": drawn.backlog, "replicas": drawn.replicas, "wait": drawn.wait},
    }
    if decisions:
        found["decisions"] = [
            {"at": change.at, "before": change.before, "after": change.after, "reason": change.reason, "sentences": list(change.sentences)}
            for change in outcome.world.changes
        ]
    return found


def _wait(value: float) -> str:
    return f"{value * 1000:.0f} ms" if 0 < value < 0.95 else seconds(value)


def _count(number: int, one: str) -> str:
    return f"{number:,} {one if number == 1 else one + 's'}"
