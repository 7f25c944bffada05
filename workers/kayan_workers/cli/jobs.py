"""``kayan jobs`` and ``kayan job``: the jobs of a state, and everything about one of them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Literal

from kayan_workers.bull.names import refuse_own_key
from kayan_workers.cli.durations import ago, iso, roughly
from kayan_workers.cli.session import FAILED, fail, print_json, print_table, queue_of
from kayan_workers.tables import printable

if TYPE_CHECKING:
    from kayan_workers.bull.job import Job
    from kayan_workers.bull.options import State
    from kayan_workers.bull.queue import Queue
    from kayan_workers.bull.server import Server
    from kayan_workers.settings import Settings

Where = Literal["waiting", "active", "delayed", "paused", "completed", "failed", "stuck"]

_LONGEST_REASON = 80


async def show_list(server: Server, settings: Settings, *, name: str, state: State, limit: int, as_json: bool) -> None:
    """The first ``limit`` jobs of a state: those that run next, or the latest that finished."""
    async with queue_of(server, settings, name) as queue:
        jobs = await queue.jobs(state, 0, limit - 1)
        owners = [await _owner(queue, job.id) for job in jobs] if state == "active" else [None] * len(jobs)
        total = len(await queue.ids(state)) if len(jobs) == limit else len(jobs)
    if as_json:
        print_json([_summary(job, state) | ({"owner": owner} if owner else {}) for job, owner in zip(jobs, owners, strict=True)])
        return
    if not jobs:
        print(f"{name} has no {state} jobs")
        return
    headers = ("id", "attempt", "priority", "added", _when_header(state), _what_header(state))
    shown = [place for place, header in enumerate(headers) if header]
    rows = [_row(job, state, owner) for job, owner in zip(jobs, owners, strict=True)]
    print_table([headers[place] for place in shown], [[row[place] for place in shown] for row in rows])
    if total > len(jobs):
        print(f"{len(jobs)} of {total}; --limit shows more")


async def show_one(server: Server, settings: Settings, *, name: str, job_id: str, as_json: bool) -> None:
    """Everything Redis knows of one job."""
    async with queue_of(server, settings, name) as queue:
        job = await queue.get_job(job_id)
        if job is None:
            refuse_own_key(name, job_id)
            fail(f"queue {name} has no job {job_id}: it never had, or retention has removed it", FAILED)
        facts = await _facts(queue, job)
    if as_json:
        print_json(facts)
    else:
        _print_facts(facts)


async def _facts(queue: Queue, job: Job) -> dict[str, Any]:
    state: Any = await queue.state_of(job.id)
    logs = await queue.logs(job.id)
    owner = await _owner(queue, job.id)
    return {
        **_summary(job, state),
        "position": await _position(queue, job.id, state),
        "owner": owner,
        "lock_expires_ms": await _lock_ms(queue, job.id),
        "progress": job.progress_value,
        "stalled_count": job.stalled_count,
        "debounce_id": job.debounce_id,
        "options": job.opts,
        "data": _data(job),
        "return_value": job.return_value,
        "stacktrace": job.stacktrace,
        "logs": logs.rows,
    }


def _summary(job: Job, state: Any) -> dict[str, Any]:
    return {
        "queue": job.queue,
        "id": job.id,
        "name": job.name,
        "state": state,
        "attempts_made": job.attempts_made,
        "attempts": job.attempts,
        "priority": job.priority,
        "added": _iso(job.timestamp_ms),
        "due": _iso(_due_ms(job)) if state == "delayed" else None,
        "started": _iso(job.processed_on_ms),
        "finished": _iso(job.finished_on_ms),
        "failed_reason": job.failed_reason,
    }


def _due_ms(job: Job) -> int:
    """When a delayed job may run: its creation plus its delay, or the end of its wait for a retry (then not known from the hash)."""
    return round(job.timestamp_ms + job.delay_ms)


def _data(job: Job) -> Any:
    try:
        return job.data
    except Exception:  # malformed: shown as it stands
        return job.raw_data.decode(errors="replace")


async def _owner(queue: Queue, job_id: str) -> str | None:
    """Who holds the lock: a pod of this fleet, or a Node worker, whose token is a bare UUID. None: nobody."""
    token = await queue.server.commands.get(queue.keys.lock(job_id))
    if token is None:
        return None
    pod, separator, _ = token.decode(errors="replace").partition("/")
    return pod if separator else f"a Node worker ({pod})"


async def _lock_ms(queue: Queue, job_id: str) -> int | None:
    left = int(await queue.server.commands.pttl(queue.keys.lock(job_id)))
    return left if left > 0 else None


async def _position(queue: Queue, job_id: str, state: Any) -> int | None:
    """1 is the next to run; None where a position means nothing."""
    redis = queue.server.commands
    if state in ("waiting", "paused"):
        key = queue.keys.wait if state == "waiting" else queue.keys.paused
        index = await redis.lpos(key, job_id, rank=-1)
        return None if index is None else int(await redis.llen(key)) - int(index)
    if state == "delayed":
        rank = await redis.zrank(queue.keys.delayed, job_id)
        return None if rank is None else int(rank) + 1
    return None


# -- for people ------------------------------------------------------------------------------------------------------------------


def _when_header(state: State) -> str:
    return {"delayed": "due", "active": "started", "completed": "finished", "failed": "failed"}.get(state, "")


def _what_header(state: State) -> str:
    return {"failed": "reason", "delayed": "last error", "active": "worker", "completed": "took"}.get(state, "last error")


def _row(job: Job, state: State, owner: str | None) -> tuple[Any, ...]:
    when = {"delayed": None, "active": job.processed_on_ms, "completed": job.finished_on_ms, "failed": job.finished_on_ms}.get(state)
    due = ago(_due_ms(job)) if state == "delayed" and not job.attempts_made else ""
    return (job.id, f"{job.attempts_made}/{job.attempts} failed" if job.attempts_made else f"0/{job.attempts}", job.priority,
            ago(job.timestamp_ms), due or ago(when), _what(job, state, owner))  # fmt: skip


def _what(job: Job, state: State, owner: str | None) -> str:
    if state == "active":
        return owner or "nobody: it will be found by the stalled pass"
    if state == "completed" and job.finished_on_ms and job.processed_on_ms:
        return roughly((job.finished_on_ms - job.processed_on_ms) / 1000)
    reason = " ".join((job.failed_reason or "").split())
    return reason if len(reason) <= _LONGEST_REASON else reason[:_LONGEST_REASON] + " …"


def _print_facts(facts: dict[str, Any]) -> None:
    long = ("options", "data", "return_value", "stacktrace", "logs")
    state = facts["state"] or "gone"
    position = f", number {facts['position']} in line" if facts["position"] else ""
    _print_line(printable(f"job {facts['id']} of {facts['queue']}: {state}{position}"))
    for name, value in facts.items():
        if name not in (*long, "id", "queue", "state", "position") and value not in (None, ""):
            _print_line(printable(f"  {name.replace('_', ' '):15} {value}"))
    for name in long:
        if facts[name] not in (None, [], {}):
            _print_line(f"{name.replace('_', ' ')}:")
            _print_line(_indented(facts[name]))


def _indented(value: Any) -> str:
    text = "\n".join(map(str, value)) if isinstance(value, list) else json.dumps(value, indent=2, ensure_ascii=False)
    return "\n".join("  " + line for line in text.splitlines())


def _print_line(text: str) -> None:
    sys.stdout.write(printable(text, keep="\n\t") + "\n")


def _iso(ms: int | None) -> str | None:
    return iso(ms) if ms else None
