"""Traffic that was recorded: a job a line (JSON or CSV), or a JSON list such as ``kayan jobs QUEUE --state completed --json`` prints.

Of each job: when it was added (``at`` or ``added``: seconds since the beginning, Unix seconds or milliseconds, or ISO), how long it runs
(``seconds``, or ``started`` and ``finished``), and if need be its ``queue`` and its ``delay`` in seconds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from kayan_operator.simulate.amounts import duration
from kayan_operator.simulate.traffic import START, Job, Trace
from kayan_operator.simulate.trouble import SimulationError

_MOMENTS, _MILLISECONDS = 1e8, 1e11
"""Numbers from which on one is a Unix time, in seconds and in milliseconds."""


def recorded(path: Path, text: str) -> Trace:
    """The jobs of a recording. Raises SimulationError, which names the file, the line and the field."""
    rows = list(_rows(path, text))
    if not rows:
        raise SimulationError(f"{path} has no job")
    jobs, absolute = [], set()
    for where, row in rows:
        at, seconds = _added(row, where), _runs(row, where)
        if seconds is None:  # it was added, and never ran to an end
            continue
        absolute.add(at >= _MOMENTS)
        jobs.append(Job(at, seconds, str(row.get("queue") or ""), duration(row.get("delay") or 0, f"{where}: delay")))
    if not jobs:
        raise SimulationError(f"{path} has no job that says how long it runs: each needs seconds, or started and finished")
    if len(absolute) > 1:
        raise SimulationError(f"{path} has jobs added at moments (Unix or ISO) and others at seconds since the beginning: use one of them")
    start = min(job.at for job in jobs) if absolute == {True} else 0.0
    moved = sorted((Job(job.at - start, job.seconds, job.queue, job.delay) for job in jobs), key=lambda job: job.at)
    return Trace(name=path.stem, jobs=tuple(moved), start=start or START, length=moved[-1].at)


def _rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each job's fields, and where it stands."""
    if path.suffix == ".csv":
        table = csv.DictReader(io.StringIO(text), skipinitialspace=True)
        yield from ((f"{path}, line {place}", row) for place, row in enumerate(table, 2))
        return
    if text.lstrip().startswith("["):
        yield from _checked((f"{path}, job {place}", row) for place, row in enumerate(_decoded(str(path), text), 1))
        return
    lines = ((f"{path}, line {place}", line) for place, line in enumerate(text.splitlines(), 1) if line.strip())
    yield from _checked((where, _decoded(where, line)) for where, line in lines)


def _decoded(where: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SimulationError(f"{where} is no JSON: {error}") from error


def _checked(rows: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for where, row in rows:
        if not isinstance(row, Mapping):
            raise SimulationError(f'{where} is no job: write one as {{"at": 12.5, "seconds": 2}}')
        yield where, row


def _added(row: Mapping[str, Any], where: str) -> float:
    name = "at" if row.get("at") not in (None, "") else "added"
    if (value := row.get(name)) in (None, ""):
        raise SimulationError(f"{where} does not say when its job was added: give at, in seconds, Unix milliseconds or ISO")
    return _moment(value, f"{where}: {name}")


def _runs(row: Mapping[str, Any], where: str) -> float | None:
    if (value := row.get("seconds")) not in (None, ""):
        return duration(value, f"{where}: seconds")
    if "started" not in row and "finished" not in row:
        raise SimulationError(f"{where} does not say how long its job runs: give seconds, or started and finished")
    if not row.get("started") or not row.get("finished"):
        return None
    return max(0.0, _moment(row["finished"], f"{where}: finished") - _moment(row["started"], f"{where}: started"))


def _moment(value: Any, field: str) -> float:
    """Seconds since the beginning, or Unix seconds."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return _iso(value, field)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e14:
        raise SimulationError(f"{field} is {value!r}, which is no time: give seconds, Unix milliseconds or ISO")
    return value / 1000 if value >= _MILLISECONDS else float(value)


def _iso(value: str, field: str) -> float:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise SimulationError(f"{field} is {value!r}, which is no time: give seconds, Unix milliseconds or ISO") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
