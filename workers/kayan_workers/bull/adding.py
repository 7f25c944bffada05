"""The add path: jobs gather while a call is under way, and the next call takes them all.

An idle add goes out at once; under load one script call carries up to 200 jobs. A lost reply is answered by sending the same
call again: the script knows each producer's last call by its number and never does it twice (wire document, W21). That is
why a lane has one call under way at a time.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from kayan_workers.bull import scripts
from kayan_workers.bull.ending import end
from kayan_workers.bull.errors import QueueUnreachable
from kayan_workers.bull.insist import insist
from kayan_workers.bull.job import Job
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.line import Line
from kayan_workers.bull.server import Server

MOST_JOBS = 200
MOST_BYTES = 1_000_000
"""What one call carries at most: a millisecond or two of Redis' time, in which this side writes the next call."""

REMEMBERED_MS = 600_000
"""How long Redis remembers a producer's last call; far beyond the deadline of an add."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Any]).decode


class NewJob(msgspec.Struct, array_like=True, frozen=True):
    """A job that has no number yet, as the script takes it. ``more`` is what an ordinary job does not have; see ``lua/add.lua``.

    The timestamp is text, which Redis stores at half the price of a Lua number.
    """

    name: str
    data: str
    opts: str
    timestamp_ms: str
    more: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        return len(self.data) + len(self.opts) + len(self.name)


class AddedJob(Job):
    """A job as it stands in Redis now that it has its id. Many are returned and few are read, so the members wait to be asked for."""

    __slots__ = ("_new",)

    def __init__(self, queue: str, job_id: str, new: NewJob) -> None:
        super().__init__(queue, job_id, None)
        self._new = new

    def _make_fields(self) -> Mapping[bytes, bytes]:
        new, more = self._new, self._new.more or {}
        fields = {
            b"name": new.name.encode(),
            b"data": new.data.encode(),
            b"opts": new.opts.encode(),
            b"timestamp": new.timestamp_ms.encode(),
            b"delay": str(more.get("delay", "0")).encode(),
            b"priority": b"%d" % more.get("priority", 0),
        }
        if "deid" in more:
            fields[b"deid"] = more["deid"].encode()
        return fields


class _Batch(NamedTuple):
    jobs: Sequence[NewJob]
    size: int
    ids: asyncio.Future[list[str]]


class AddLane:
    """One producer's way into one queue. Adds go out in the order they came."""

    def __init__(self, server: Server, keys: Keys, token: str, *, deadline_seconds: float) -> None:
        """``deadline_seconds`` bounds how long an add tries to reach Redis before it gives up."""
        self._server = server
        self._keys = keys
        self._token = token
        self._deadline_seconds = deadline_seconds
        self._script = scripts.load("add")
        self._script_keys = (keys.id, keys.once(uuid.uuid4().hex))
        self._sequence = 0
        self._waiting: deque[_Batch] = deque()
        self._sender: asyncio.Task[None] | None = None
        self._line: Line | None = None

    def add(self, jobs: Sequence[NewJob]) -> asyncio.Future[list[str]]:
        """Add up to MOST_JOBS jobs in one call; resolves to their ids, or those of the older jobs that made an add a no-op.

        Raises QueueUnreachable after the deadline, and redis' ResponseError when Redis refuses (full, no permission).
        Cancelled before its call went out, it adds nothing; later, the jobs may have been added.
        """
        ids: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Batch(jobs, sum(job.size for job in jobs), ids))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all(), name=f"adds to {self._keys.queue}")
        return ids

    async def close(self, *, send_waiting: bool = True) -> None:
        """Send what waits, or give it up, then close the connection."""
        if self._sender:
            await (asyncio.wait([self._sender]) if send_waiting else end([self._sender]))
        if self._line:
            self._line.close()
            self._line = None

    # -- sending -------------------------------------------------------------------------------------------------------------

    async def _send_all(self) -> None:
        while batches := self._take_batches():
            try:
                outcome: Any = await self._send([job for batch in batches for job in batch.jobs])
            except Exception as error:
                outcome = error
            except BaseException:
                _deliver([*batches, *self._waiting], QueueUnreachable(f"adds to {self._keys.queue} were given up: the program is ending"))
                self._waiting.clear()
                raise
            _deliver(batches, outcome)

    def _take_batches(self) -> list[_Batch]:
        """The oldest batches that together fit one call; always at least one."""
        taken: list[_Batch] = []
        jobs = size = 0
        while self._waiting:
            batch = self._waiting[0]
            if not batch.ids.done():
                jobs, size = jobs + len(batch.jobs), size + batch.size
                if taken and (jobs > MOST_JOBS or size > MOST_BYTES):
                    break
                taken.append(batch)
            self._waiting.popleft()
        return taken

    async def _send(self, jobs: list[NewJob]) -> list[str]:
        """Make one numbered call, again and again until its reply comes or the deadline passes."""
        self._sequence += 1
        args = (self._keys.base, self._sequence, REMEMBERED_MS, self._token, _pack(jobs))

        async def call() -> bytes:
            line = self._line
            if line is None or not line.is_open:
                line = self._line = await self._server.open_line(self._keys.id)
            reply: bytes = await line.run(self._script, self._script_keys, args)
            return reply

        what = f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} for {self._keys.queue}"
        reply = await insist(call, deadline_seconds=self._deadline_seconds, what=what)
        return [_id_of(entry) for entry in _unpack(reply)]


def _id_of(entry: Any) -> str:
    """The script answers with a number, with an id, or with [id] where an older job stands in the way."""
    return str(entry[0] if isinstance(entry, list) else entry)


def _deliver(batches: Sequence[_Batch], outcome: list[str] | Exception) -> None:
    first = 0
    for batch in batches:
        last = first + len(batch.jobs)
        if batch.ids.done():
            pass
        elif isinstance(outcome, Exception):
            batch.ids.set_exception(outcome)
        else:
            batch.ids.set_result(outcome[first:last])
        first = last
