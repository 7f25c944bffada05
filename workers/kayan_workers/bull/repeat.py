"""Repeatable jobs: each run, when it is picked up, schedules the next one.

A schedule is a member of the ``repeat`` set, named by its repeat key, with the time of its next run; the iteration waiting
for that time is an ordinary delayed job. So a schedule lives on one job at a time, and dies with it unless somebody mends the
chain. For that, a copy of the latest iteration is kept beside it. Source: wire document, section 3.19, W20.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kayan_workers.bull.errors import ScheduleEnded
from kayan_workers.bull.insist import insist
from kayan_workers.bull.iteration import Iteration, Reading, id_prefix, next_iteration, readings, same_iteration
from kayan_workers.bull.job import Job
from kayan_workers.bull.line import now_ms
from kayan_workers.bull.names import check_job_id
from kayan_workers.bull.stringify import stringify

if TYPE_CHECKING:
    from kayan_workers.bull.core import QueueCore

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 120.0

MUST_EXIST = "any"
MAY_BE_NEW = ""

_WAITS_OR_RUNS = frozenset({b"delayed", b"waiting", b"paused", b"active"})
_FINISHED = frozenset({b"completed", b"failed"})


async def start(queue: QueueCore, name: str, data: str, wire: Mapping[str, Any]) -> Job:
    """Begin a schedule, or go on with the existing one of the same key; returns its next iteration.

    ``data`` is JSON, ``wire`` is ``opts`` as Bull writes them, with ``repeat``. Raises ScheduleEnded when no run is left,
    ValueError for a cron expression, time zone, date or id that cannot be used, QueueUnreachable.
    """
    opts: dict[str, Any] = msgspec.json.decode(stringify(wire))
    if opts.get("jobId") is not None:
        check_job_id(opts["jobId"])
    iteration = next_iteration(name, data, opts, now_ms())
    if iteration is None:
        raise ScheduleEnded(f"repeatable job {name} of {queue.name} has no run left: {stringify(opts['repeat'])}")
    await _put(queue, iteration, only_at=MAY_BE_NEW)
    return iteration.job(queue.name)


async def schedule_next(queue: QueueCore, job: Job) -> None:
    """Schedule the iteration after ``job``, which a consumer has just picked up. Does nothing for a job that does not repeat,
    when the schedule was removed, and when it has no run left.

    Raises ValueError when the schedule cannot be read.
    """
    if not isinstance(job.opts.get("repeat"), dict):
        return
    iteration = next_iteration(job.name, job.raw_data.decode(errors="replace"), job.opts, now_ms())
    if iteration is not None:
        await _put(queue, iteration, only_at=MUST_EXIST)


async def _put(queue: QueueCore, iteration: Iteration, *, only_at: str) -> int:
    """Write an iteration and its schedule in one step; returns what ``repeat_add.lua`` says. Safe to repeat."""
    opts, opts_text = iteration.opts, stringify(iteration.opts)
    more = {
        "id": iteration.id, "delay": str(opts["delay"]), "due": iteration.next_ms if opts["delay"] else None,
        "priority": opts.get("priority") or None, "lifo": opts.get("lifo") or None,
    }
    more = {member: value for member, value in more.items() if value is not None}
    job = msgspec.msgpack.encode([iteration.name, iteration.data, opts_text, str(opts["timestamp"]), more])
    copy = stringify({"name": iteration.name, "data": iteration.data, "opts": opts_text})

    async def call() -> int:
        return int(await queue.run(
            "repeat_add", queue.token, iteration.repeat_key, iteration.next_ms, only_at, job, copy,
            keys=(queue.keys.wait, queue.keys.schedules),
        ))

    return await insist(call, deadline_seconds=DEADLINE_SECONDS, what=f"the next run of {iteration.repeat_key} on {queue.name}")


# -- what there is -------------------------------------------------------------------------------------------------------------------


class _Known(NamedTuple):
    """An iteration that is known, from its hash or from its copy."""

    name: str
    data: str
    opts: dict[str, Any]


class Member(NamedTuple):
    """One schedule, and its latest iteration where a copy of it was kept."""

    key: str
    next_ms: int
    copy: _Known | None

    @property
    def readings(self) -> list[Reading]:
        """What the key means: certain with a copy, else every possible meaning, Bull's own first."""
        possible = readings(self.key)
        if self.copy is None:
            return possible
        name, own_id = self.copy.name, self.copy.opts["repeat"].get("jobId")
        return [each for each in possible if (each.name, each.job_id) == (name, own_id)] or possible

    @property
    def ids(self) -> list[str]:
        """The id of the iteration that runs next, under each reading of the key."""
        return [f"{id_prefix(each.name, each.job_id, self.key)}{self.next_ms}" for each in self.readings]


async def members(queue: QueueCore, start: int = 0, end: int = -1, *, ascending: bool = True) -> list[Member]:
    """The schedules of a queue, by the time of their next run."""
    redis, keys = queue.server.commands, queue.keys
    found = await redis.zrange(keys.repeat, start, end, desc=not ascending, withscores=True)
    if not found:
        return []
    copies = await redis.hmget(keys.schedules, [key for key, _ in found])
    return [Member(key.decode(), int(score), _read_copy(copy)) for (key, score), copy in zip(found, copies, strict=True)]


# -- mending -------------------------------------------------------------------------------------------------------------------------


async def repair(queue: QueueCore, *, skipped: AbstractSet[str] = frozenset()) -> int:
    """Schedule again every run that should be pending and is nowhere; returns how many. To be called by one worker at a time.

    The chain breaks when a pending run is deleted, when Bull dies between its two steps, and when a consumer picks a run up
    without scheduling the next. Runs in ``skipped`` were deleted on purpose: the one after each is scheduled. A schedule
    that has had its last run stays as it is.
    """
    now = now_ms()
    mended = 0
    for member in await members(queue):
        states = dict(zip(member.ids, await queue.run("repeat_pending", *member.ids), strict=True))
        if _WAITS_OR_RUNS.isdisjoint(states.values()):
            iteration = await _missing_iteration(queue, member, states, now, skipped)
            if iteration is not None and await _put(queue, iteration, only_at=str(member.next_ms)) == 1:
                mended += 1
    return mended


async def _missing_iteration(
    queue: QueueCore, member: Member, states: Mapping[str, bytes], now: int, skipped: AbstractSet[str],
) -> Iteration | None:
    ran = [job_id for job_id, state in states.items() if state in _FINISHED]
    known = await _known(queue, ran)
    if known is not None:
        return next_iteration(*known, now)
    known = member.copy or await _known(queue, [job_id for job_id, state in states.items() if state == b"stuck"])
    if known is None:
        log.warning(
            "the schedule %s of %s has lost its pending run, and no copy of it is left: add it again, or remove it", member.key, queue.name,
        )
        return None
    return same_iteration(*known, member.next_ms, now, skip=not skipped.isdisjoint(states))


async def _known(queue: QueueCore, job_ids: Sequence[str]) -> _Known | None:
    """The first of these jobs whose hash tells of a schedule."""
    hashes = await queue.run("fetch", *job_ids) if job_ids else []
    for job_id, flat in zip(job_ids, hashes, strict=True):
        job = Job(queue.name, job_id, dict(zip(flat[::2], flat[1::2], strict=True)))
        if isinstance(job.opts.get("repeat"), dict):
            return _Known(job.name, job.raw_data.decode(errors="replace"), job.opts)
    return None


def _read_copy(text: bytes | None) -> _Known | None:
    try:
        copy = msgspec.json.decode(text or b"null", type=dict[str, str])
        opts = msgspec.json.decode(copy["opts"])
        return _Known(copy["name"], copy["data"], opts) if isinstance(opts["repeat"], dict) else None
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError):
        return None
