"""The runs of a repeatable job as Bull names and numbers them; pure arithmetic, no Redis.

Keys and ids are Bull's to the letter, so that Node and Python may schedule, run and remove each other's schedules.
Source: wire document, section 3.19, appendix B.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from kayan_workers.bull import cron
from kayan_workers.bull.job import Job
from kayan_workers.bull.moments import to_ms
from kayan_workers.bull.stringify import stringify

ID_START = "repeat:"


class Iteration(NamedTuple):
    """One run of a schedule, worked out but not yet in Redis. ``data`` is JSON."""

    name: str
    data: str
    opts: dict[str, Any]
    next_ms: int
    repeat_key: str

    @property
    def id(self) -> str:
        return str(self.opts["jobId"])

    def job(self, queue: str) -> Job:
        """The iteration as a job."""
        opts = self.opts
        members = {"name": self.name, "data": self.data, "opts": stringify(opts), "timestamp": opts["timestamp"],
                   "delay": opts["delay"], "priority": opts.get("priority") or 0}
        return Job(queue, self.id, {key.encode(): str(value).encode() for key, value in members.items()})


def next_iteration(name: str, data: str, opts: Mapping[str, Any], now: int) -> Iteration | None:
    """The run after the one described by ``opts`` (the first one where they carry no ``prevMillis``), or None at the end.

    Raises ValueError when the schedule cannot be read.
    """
    repeat = dict(opts["repeat"])
    previous = opts.get("prevMillis") or 0
    if not previous and opts.get("jobId") is not None:
        repeat["jobId"] = opts["jobId"]
    count = int(repeat.get("count") or 0) + 1
    if _is_over(repeat, count, now):
        return None
    next_ms = next_slot(repeat, max(now, previous))
    return None if next_ms is None else at_slot(name, data, {**opts, "repeat": repeat}, next_ms, count, now)


def same_iteration(name: str, data: str, opts: Mapping[str, Any], next_ms: int, now: int, *, skip: bool) -> Iteration | None:
    """The run at ``next_ms`` once more, after it was lost, or the next one if its time has passed or it is to be skipped.

    ``opts`` are those of the latest iteration that is known: that run's own, or the one's before it.
    """
    repeat = dict(opts["repeat"])
    count = int(repeat.get("count") or 1) + (opts.get("prevMillis") != next_ms) + skip
    is_due = next_ms <= now
    # The last run was perhaps not lost but has been, and was deleted when it completed.
    if _is_over(repeat, count + (is_due and repeat.get("limit") is not None), now):
        return None
    slot = next_slot(repeat, max(now, next_ms)) if skip else next_slot(repeat, now) if is_due else next_ms
    return None if slot is None else at_slot(name, data, {**opts, "repeat": repeat}, slot, count, now)


def at_slot(name: str, data: str, opts: Mapping[str, Any], next_ms: int, count: int, now: int) -> Iteration:
    """The run of the schedule in ``opts`` that takes place at ``next_ms``, the ``count``-th."""
    key = repeat_key(name, opts["repeat"])
    head: dict[str, Any] = {
        "repeat": {"count": count, "key": key} | {**opts["repeat"], "count": count, "key": key},
        "jobId": f"{id_prefix(name, opts['repeat'].get('jobId'), key)}{next_ms}",
        "delay": max(0, next_ms - now),
        "timestamp": now,
        "prevMillis": next_ms,
    }
    rest = {member: value for member, value in opts.items() if member not in head}
    return Iteration(name, data, head | {"attempts": 1} | rest, next_ms, key)


def next_slot(repeat: Mapping[str, Any], after_ms: int) -> int | None:
    """The first slot after ``after_ms``, in ms; None when there is none."""
    every = repeat.get("every")
    if every:
        return int(after_ms // every * every + every)
    start = repeat.get("startDate")
    if start is not None:
        after_ms = max(after_ms, to_ms(start))
    return cron.next_ms(str(repeat["cron"]), after_ms, tz="UTC" if repeat.get("utc") else repeat.get("tz"), end=repeat.get("endDate"))


def _is_over(repeat: Mapping[str, Any], count: int, now: int) -> bool:
    limit, end = repeat.get("limit"), repeat.get("endDate")
    return (limit is not None and count > limit) or (end is not None and now > to_ms(end))


# -- names ---------------------------------------------------------------------------------------------------------------------------


def repeat_key(name: str, repeat: Mapping[str, Any]) -> str:
    """How the schedule is called in the ``repeat`` set."""
    end = repeat.get("endDate")
    when = f"{repeat.get('tz') or ''}:{repeat['cron']}" if repeat.get("cron") else stringify(repeat["every"])
    return f"{name}:{repeat.get('jobId') or ''}:{to_ms(end) if end else ''}:{when}"


def id_prefix(name: str, own_id: str | None, key: str) -> str:
    """What the ids of the schedule's iterations begin with; the slot's ms follow."""
    return f"{ID_START}{_md5(name + (own_id or '') + ':' + _md5(key))}:"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a repeat key says."""

    name: str
    job_id: str | None
    end_ms: int | None
    tz: str | None
    cron: str | None
    every_ms: int | None


def readings(key: str) -> list[Reading]:
    """Every way to read a repeat key, Bull's own first: it does not say where the name ends and the id begins."""
    if key.count(":") < 3:  # nothing of Bull's
        return [Reading(key, None, None, None, None, None)]
    *head, end, last = key.split(":")
    tz = cron = None
    if last.isdecimal() and (not end or end.isdecimal()):
        every = int(last)
    else:
        tz, cron, every = end or None, last, None
        end = head.pop() if head else ""
    end_ms = int(end) if end.isdecimal() else None
    splits = [(":".join(head[:at]), ":".join(head[at:]) or None) for at in range(1, max(2, len(head)))]
    return [Reading(name, own_id, end_ms, tz, cron, every) for name, own_id in splits]


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
