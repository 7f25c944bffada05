"""The reader's side of a queue: counts, jobs by state, logs, metrics, workers. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kayan_workers.bull.core import QueueCore
from kayan_workers.bull.job import Job, text_of
from kayan_workers.bull.names import is_own_key
from kayan_workers.bull.options import State

_FETCHED_AT_ONCE = 100

KEY_OF_STATE: dict[State, str] = {
    "waiting": "wait", "active": "active", "delayed": "delayed", "paused": "paused", "completed": "completed", "failed": "failed",
}
LISTS = frozenset({"waiting", "active", "paused"})
"""States that are Redis lists, the next to run last; the others are sorted sets."""

_OLDEST_FIRST = frozenset({"waiting", "active", "delayed", "paused"})


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs stand in each state at one moment; ``schedules`` counts repeatable jobs."""

    waiting: int
    active: int
    completed: int
    failed: int
    delayed: int
    paused: int
    schedules: int
    is_paused: bool

    @property
    def backlog(self) -> int:
        """Jobs that wait or run now."""
        return self.waiting + self.paused + self.active


@dataclass(frozen=True, slots=True)
class Logs:
    """Rows of a job's log, oldest first unless asked otherwise, and how many there are in all."""

    rows: list[str]
    count: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Jobs finished per minute, the newest minute first; ``count`` of all time. Times are ms."""

    count: int
    previous_ms: int
    previous_count: int
    points: list[int]
    points_in_all: int


class Reader(QueueCore):
    """Reads a queue."""

    async def counts(self) -> Counts:
        """How many jobs stand in each state, and whether the queue is paused, read in one step. Wire: section 5."""
        waiting, active, completed, failed, delayed, paused, schedules, is_paused = await self.run("counts")
        return Counts(waiting, active, completed, failed, delayed, paused, schedules, bool(is_paused))

    async def next_due_ms(self) -> float | None:
        """Since when (Unix ms) the next waiting job could have run; None when nothing waits, as while the queue is paused.

        That is its creation and its delay, or its last start or manual retry where it had one: promotion leaves no trace of its own in
        the hash. First in, first out, the next job is the oldest; with priorities and lifo an older one may stand behind it.
        """
        job_id, *values = await self.run("next_waiting") or [None]
        if job_id is None:
            return None
        names = (b"timestamp", b"opts", b"processedOn", b"retriedOn")
        job = Job(self.name, text_of(job_id), {name: value for name, value in zip(names, values, strict=True) if value is not None})
        delay = job.opts.get("delay")
        due = job.timestamp_ms + (delay if isinstance(delay, int | float) else 0)
        return max(due, job.processed_on_ms or 0, job.retried_on_ms or 0)

    async def is_paused(self) -> bool:
        """True while the queue is globally paused. Wire: 3.17."""
        return (await self.counts()).is_paused

    async def get_job(self, job_id: str) -> Job | None:
        """The job of this id, or None when there is none."""
        found = [] if is_own_key(job_id) else await self._fetch([job_id])
        return found[0] if found else None

    async def ids(self, state: State, start: int = 0, end: int = -1, *, ascending: bool | None = None) -> list[str]:
        """Ids of the jobs in a state, from position ``start`` to ``end``, both inclusive; -1 is the last.

        Ascending: the next to run, or the first finished, first. That is the default for all states but completed and
        failed, which start with the latest. Wire: section 5.
        """
        ascending = state in _OLDEST_FIRST if ascending is None else ascending
        key, redis = self.keys.base + KEY_OF_STATE[state], self.server.commands
        if state in LISTS:
            found = await (redis.lrange(key, -(end + 1), -(start + 1)) if ascending else redis.lrange(key, start, end))
            found = found[::-1] if ascending else found
        else:
            found = await (redis.zrange(key, start, end) if ascending else redis.zrevrange(key, start, end))
        return [job_id.decode() for job_id in found]

    async def jobs(self, state: State, start: int = 0, end: int = -1, *, ascending: bool | None = None) -> list[Job]:
        """The jobs in a state, like ``ids``. Jobs that vanish meanwhile are left out."""
        return await self._fetch(await self.ids(state, start, end, ascending=ascending))

    async def state_of(self, job_id: str) -> State | Literal["stuck"] | None:
        """Where a job stands: ``stuck`` when it is in no list (a worker takes it up or lets it go just now), None when it is gone."""
        state = None if is_own_key(job_id) else await self.run("state", job_id)
        return state.decode() if state else None

    async def logs(self, job_id: str, start: int = 0, end: int = -1, *, ascending: bool = True) -> Logs:
        """Rows ``start`` to ``end`` of the job's log. Not ascending: the newest first, and the positions count from there."""
        key, redis = self.keys.logs(job_id), self.server.commands
        rows = await (redis.lrange(key, start, end) if ascending else redis.lrange(key, -(end + 1), -(start + 1)))
        texts = [row.decode(errors="replace") for row in rows]
        return Logs(texts if ascending else texts[::-1], await redis.llen(key))

    async def metrics(self, kind: Literal["completed", "failed"], start: int = 0, end: int = -1) -> Metrics:
        """Jobs finished per minute, where the workers collect that. Wire: 3.8.6."""
        count, previous_ms, previous_count, points, points_in_all = await self.run("metrics", kind, start, end)
        return Metrics(int(count or 0), int(previous_ms or 0), int(previous_count or 0), [int(point) for point in points], points_in_all)

    async def counts_per_priority(self, priorities: Iterable[int]) -> dict[int, int]:
        """How many waiting jobs have each priority; 0 stands for those without one. Wire: section 5."""
        wanted = list(dict.fromkeys(priorities))
        return dict(zip(wanted, await self.run("priorities", *wanted), strict=True)) if wanted else {}

    async def workers(self) -> list[dict[str, str]]:
        """The connections that workers of this queue have named, as CLIENT LIST describes them. One per worker process.

        Bull compares the beginning of the name alone, and so lists workers of queue ``abcd`` under ``abc``; this does not.
        """
        listed = await self.server.commands.client_list(**({"target_nodes": "all"} if self.server.address.cluster else {}))
        clients = [client for node in listed.values() for client in node] if isinstance(listed, dict) else listed
        name = self.keys.client_name
        return [client for client in clients if client.get("name") == name or client.get("name", "").startswith(name + ":")]

    async def _fetch(self, job_ids: Sequence[str]) -> list[Job]:
        found: list[Job] = []
        for first in range(0, len(job_ids), _FETCHED_AT_ONCE):
            some = job_ids[first : first + _FETCHED_AT_ONCE]
            hashes = await self.run("fetch", *some)
            found += [Job(self.name, job_id, _fields(flat)) for job_id, flat in zip(some, hashes, strict=True) if flat]
        return found


def _fields(flat: Sequence[Any]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
