"""The producer's side of a queue: adding jobs, one by one, in bulk, and on a schedule."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from redis.exceptions import RedisError

from kayan_workers.bull import repeat
from kayan_workers.bull.adding import MOST_BYTES, MOST_JOBS, AddedJob, AddLane, NewJob
from kayan_workers.bull.core import QueueCore
from kayan_workers.bull.errors import BulkError
from kayan_workers.bull.job import DEFAULT_NAME, Job
from kayan_workers.bull.keys import DEFAULT_PREFIX
from kayan_workers.bull.line import now_ms
from kayan_workers.bull.names import check_job_id
from kayan_workers.bull.options import NO_OPTIONS, JobOptions
from kayan_workers.bull.server import Server
from kayan_workers.bull.stringify import stringify
from kayan_workers.errors import KayanError

ADD_DEADLINE_SECONDS = 120.0
"""How long an add tries to reach Redis. A failover takes seconds, a restart with a large AOF a minute."""


class BulkJob(msgspec.Struct, frozen=True):
    """One job of ``add_bulk``."""

    data: Any
    name: str = DEFAULT_NAME
    options: JobOptions | None = None


class Producer(QueueCore):
    """Adds jobs. Adds of one Queue object keep their order and share their calls to Redis."""

    def __init__(
        self, name: str, server: Server, *, prefix: str = DEFAULT_PREFIX, defaults: JobOptions | None = None,
        add_deadline_seconds: float = ADD_DEADLINE_SECONDS, group_key: str | None = None,
    ) -> None:
        """``group_key`` names the member of the data by which a limiter groups jobs; it becomes part of their ids (wire 3.20)."""
        super().__init__(name, server, prefix=prefix, defaults=defaults)
        self.group_key = group_key
        self._lane = AddLane(server, self.keys, self.token, deadline_seconds=add_deadline_seconds)
        self._template = _Template(self.defaults, NO_OPTIONS)

    async def add(self, data: Any, *, name: str = DEFAULT_NAME, options: JobOptions | None = None) -> Job:
        """Add one job; returns it with its id.

        ``data`` is any JSON value; Bull stores ``{}`` for None, False, 0 and "". When a job with the options' own ``job_id``
        exists, or their debounce id is taken, nothing is added and the job returned has the older one's id. With ``repeat``
        it is the first iteration that is returned.

        Raises ValueError for a bad id, TypeError for data that is no JSON, ScheduleEnded, QueueUnreachable when Redis stays
        away longer than the deadline, and redis' ResponseError when Redis refuses (full, no permission).
        A lost connection never makes two jobs of one. Wire: 3.1, 3.19, W21, W22.
        """
        if (options or NO_OPTIONS).repeat or self.defaults.repeat:
            return await self._add_repeatable(name, data, options)
        job = self.new_job(data, name, options)
        [job_id] = await self._lane.add([job])
        return AddedJob(self.name, job_id, job)

    async def add_bulk(self, jobs: Iterable[BulkJob | Mapping[str, Any]]) -> list[Job]:
        """Add many jobs, in order, in calls of up to 200; returns them with their ids.

        A mapping has the members of BulkJob. The jobs of one call are added together or not at all; a job that cannot be
        added takes no other with it. Raises BulkError, with every job's outcome, when any of them was not added. Options
        with ``repeat`` start a schedule, as in ``add`` (Bull's own addBulk ignores them). Wire: 3.2, W9.
        """
        outcomes: list[Job | Exception] = []
        under_way: deque[tuple[list[_Entry], asyncio.Future[list[str]] | None]] = deque()
        for chunk in _chunks(self._entry(job) for job in jobs):
            new = [entry for entry in chunk if isinstance(entry, NewJob)]
            under_way.append((chunk, self._lane.add(new) if new else None))
            await asyncio.sleep(0)  # out with it: the next chunk is written while Redis works on this one
            if len(under_way) > 1:
                outcomes += await self._outcomes(*under_way.popleft())
        for chunk, ids in under_way:
            outcomes += await self._outcomes(chunk, ids)
        added = [outcome for outcome in outcomes if isinstance(outcome, Job)]
        if len(added) < len(outcomes):
            raise BulkError(outcomes)
        return added

    def new_job(self, data: Any, name: str = DEFAULT_NAME, options: JobOptions | None = None) -> NewJob:
        """The job as it will be written, checked, without an id. Raises ValueError and TypeError like ``add``."""
        options = options or NO_OPTIONS
        template = self._template
        if options is not template.options:
            template = self._template = _Template(self.defaults, options)
        job = template.job(data, name)
        return job if self.group_key is None else _grouped(job, data, self.group_key)

    async def close(self, *, send_waiting: bool = True) -> None:
        """Send what waits to be added, or give it up, and close the producer's connection."""
        await self._lane.close(send_waiting=send_waiting)
        await super().close()

    # -- inside --------------------------------------------------------------------------------------------------------------

    def _entry(self, given: BulkJob | Mapping[str, Any]) -> _Entry:
        try:
            job = given if isinstance(given, BulkJob) else BulkJob(**given)
            if (job.options or NO_OPTIONS).repeat or self.defaults.repeat:
                return job
            return self.new_job(job.data, job.name, job.options)
        except (ValueError, TypeError) as error:
            return error

    async def _outcomes(self, chunk: Sequence[_Entry], added: asyncio.Future[list[str]] | None) -> list[Job | Exception]:
        """What became of each entry, in order, once the chunk's new jobs are added."""
        try:
            ids = iter(await added if added else ())
        except (KayanError, RedisError) as error:
            return [entry if isinstance(entry, Exception) else error for entry in chunk]
        outcomes: list[Job | Exception] = []
        for entry in chunk:
            if isinstance(entry, NewJob):
                outcomes.append(AddedJob(self.name, next(ids), entry))
            elif isinstance(entry, BulkJob):
                outcomes.append(await self._outcome_of_repeatable(entry))
            else:
                outcomes.append(entry)
        return outcomes

    async def _outcome_of_repeatable(self, job: BulkJob) -> Job | Exception:
        try:
            return await self._add_repeatable(job.name, job.data, job.options)
        except (KayanError, RedisError, ValueError, TypeError) as error:
            return error

    async def _add_repeatable(self, name: str, data: Any, options: JobOptions | None) -> Job:
        wire = (options or NO_OPTIONS).over(self.defaults).to_wire()
        return await repeat.start(self, name, _data_text(data), wire)


class _Template:
    """What jobs with the same options have in common, worked out once."""

    __slots__ = ("_delay", "_head", "_more", "_timestamp", "options")

    def __init__(self, defaults: JobOptions, options: JobOptions) -> None:
        self.options = options
        merged = options.over(defaults)
        if merged.job_id is not None:
            check_job_id(merged.job_id)
        self._head = stringify(merged.to_wire())[:-1] + ',"timestamp":'
        self._timestamp = merged.timestamp_ms
        self._delay = max(0, merged.delay_ms or 0)
        debounce = merged.debounce
        more = {
            "id": merged.job_id,
            "priority": merged.priority or None,
            "lifo": merged.lifo or None,
            "deid": debounce and debounce.id,
            "ttl": debounce and debounce.ttl_ms,
        }
        self._more = {key: value for key, value in more.items() if value is not None}

    def job(self, data: Any, name: str) -> NewJob:
        timestamp = now_ms() if self._timestamp is None else self._timestamp
        opts = f"{self._head}{timestamp}}}"
        text = _data_text(data)
        if self._delay:
            more = {**self._more, "delay": stringify(self._delay), "due": timestamp + self._delay}
            return NewJob(name, text, opts, str(timestamp), more)
        return NewJob(name, text, opts, str(timestamp), self._more or None)


_Entry = NewJob | BulkJob | Exception


def _chunks(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    """The entries in groups of what one call carries."""
    chunk: list[_Entry] = []
    size = 0
    for entry in entries:
        chunk.append(entry)
        size += entry.size if isinstance(entry, NewJob) else 0
        if len(chunk) == MOST_JOBS or size >= MOST_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _grouped(job: NewJob, data: Any, group_key: str) -> NewJob:
    """The job under an id that ends in the group its data names. A job without a group keeps its id."""
    group = data.get(group_key) if isinstance(data, Mapping) else None
    if group is None:
        return job
    own = (job.more or {}).get("id") or uuid.uuid4()
    job_id = f"{own}:{group}"
    check_job_id(job_id)
    opts = stringify({**msgspec.json.decode(job.opts), "jobId": job_id})
    return msgspec.structs.replace(job, opts=opts, more={**(job.more or {}), "id": job_id})


def _data_text(data: Any) -> str:
    """The payload as Bull stores it: ``{}`` for whatever JavaScript takes for false. Empty lists and objects are not that."""
    is_falsy = data is None or data is False or (isinstance(data, str | int | float) and (not data or data != data))
    return "{}" if is_falsy else stringify(data)
