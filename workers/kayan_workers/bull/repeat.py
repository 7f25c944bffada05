"""Repeatable jobs: each iteration, when it is picked up, schedules the next one.

A schedule is a member of the ``repeat`` set, named by its repeat key, with the time of its next run; the iteration waiting
for that time is an ordinary delayed job whose id derives from key and time. Ids and keys are Bull's to the letter, so that
Node and Python may schedule, run and remove each other's. Source: wire document, section 3.19, appendix B, W20.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kayan_workers.bull import cron
from kayan_workers.bull.errors import ScheduleEnded
from kayan_workers.bull.insist import insist
from kayan_workers.bull.job import Job
from kayan_workers.bull.line import now_ms
from kayan_workers.bull.moments import to_ms
from kayan_workers.bull.names import check_job_id
from kayan_workers.bull.stringify import stringify

if TYPE_CHECKING:
    from kayan_workers.bull.core import QueueCore

DEADLINE_SECONDS = 120.0

MUST_EXIST = "any"
MAY_BE_NEW = ""


class Iteration(NamedTuple):
    """One run of a schedule, worked out but not yet in Redis."""

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


async def start(queue: QueueCore, name: str, data: Any, wire: Mapping[str, Any]) -> Job:
    """Begin a schedule, or move an existing one of the same key; returns its next iteration.

    ``wire`` is ``opts`` as Bull writes them, with ``repeat``. Raises ScheduleEnded when no run is left, ValueError for a cron
    expression, time zone or date that cannot be read, QueueUnreachable.
    """
    opts: dict[str, Any] = msgspec.json.decode(stringify(wire))
    if opts.get("jobId") is not None:
        check_job_id(opts["jobId"])
    text = "{}" if data is None or data is False or data == 0 or data == "" else stringify(data)
    iteration = next_iteration(name, text, opts, now_ms())
    if iteration is None:
        raise ScheduleEnded(f"repeatable job {name} of {queue.name} has no run left: {stringify(opts['repeat'])}")
    await put(queue, iteration, only_at=MAY_BE_NEW)
    return iteration.job(queue.name)


async def schedule_next(queue: QueueCore, job: Job) -> None:
    """Schedule the iteration after ``job``, which a consumer has just picked up. Does nothing for a job that does not repeat,
    when the schedule was removed, and when it has no run left.

    Raises ValueError when the schedule cannot be read.
    """
    if not isinstance(job.opts.get("repeat"), dict):
        return
    data = job.raw_data.decode(errors="replace")
    iteration = next_iteration(job.name, data, job.opts, now_ms())
    if iteration is not None:
        await put(queue, iteration, only_at=MUST_EXIST)


def next_iteration(name: str, data: str, opts: Mapping[str, Any], now: int) -> Iteration | None:
    """The run that follows the one described by ``opts`` (the first one where they carry no ``prevMillis``), or None."""
    repeat = dict(opts["repeat"])
    previous = opts.get("prevMillis") or 0
    if not previous and opts.get("jobId") is not None:
        repeat["jobId"] = opts["jobId"]
    count = int(repeat.get("count") or 0) + 1
    if repeat.get("limit") is not None and count > repeat["limit"]:
        return None
    if repeat.get("endDate") is not None and now > to_ms(repeat["endDate"]):
        return None
    next_ms = next_slot(repeat, max(now, previous))
    return None if next_ms is None else at_slot(name, data, {**opts, "repeat": repeat}, next_ms, count, now)


def at_slot(name: str, data: str, opts: Mapping[str, Any], next_ms: int, count: int, now: int) -> Iteration:
    """The run of the schedule in ``opts`` that takes place at ``next_ms``."""
    key = repeat_key(name, opts["repeat"])
    head = {
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
    start, zone = repeat.get("startDate"), repeat.get("tz")
    if start is not None:
        after_ms = max(after_ms, to_ms(start))
    return cron.next_ms(str(repeat["cron"]), after_ms, tz="UTC" if repeat.get("utc") else zone, end=repeat.get("endDate"))


def repeat_key(name: str, repeat: Mapping[str, Any]) -> str:
    """How the schedule is called in the ``repeat`` set."""
    end = repeat.get("endDate")
    when = f"{repeat.get('tz') or ''}:{repeat['cron']}" if repeat.get("cron") else stringify(repeat["every"])
    return f"{name}:{repeat.get('jobId') or ''}:{to_ms(end) if end else ''}:{when}"


def id_prefix(name: str, own_id: str | None, key: str) -> str:
    """What the ids of the schedule's iterations begin with; the slot's ms follow."""
    return f"repeat:{_md5(name + (own_id or '') + ':' + _md5(key))}:"


async def put(queue: QueueCore, iteration: Iteration, *, only_at: str) -> int:
    """Write an iteration and its schedule in one step; returns what ``repeat_add.lua`` says. Safe to repeat."""
    opts, delay = iteration.opts, iteration.opts["delay"]
    more = {
        "id": iteration.id, "delay": str(delay), "due": iteration.next_ms if delay else None,
        "priority": opts.get("priority") or None, "lifo": opts.get("lifo") or None,
    }
    more = {member: value for member, value in more.items() if value is not None}
    job = [iteration.name, iteration.data, stringify(opts), opts["timestamp"], more]
    copy = stringify({"name": iteration.name, "data": iteration.data, "opts": opts})

    async def call() -> int:
        return int(await queue.run(
            "repeat_add", queue.token, iteration.repeat_key, iteration.next_ms, only_at, msgspec.msgpack.encode(job), copy,
            keys=(queue.keys.wait, queue.keys.schedules),
        ))

    return await insist(call, deadline_seconds=DEADLINE_SECONDS, what=f"the next run of {iteration.repeat_key} on {queue.name}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
