"""``kayan ping``: one harmless job for each queue, and whether a worker of ours has answered it."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from kayan_workers.bull.ending import end
from kayan_workers.bull.errors import JobIsLocked, NoSuchJob
from kayan_workers.bull.options import JobOptions
from kayan_workers.cli.durations import roughly
from kayan_workers.cli.session import FAILED, print_json, queue_of
from kayan_workers.pong import PING
from kayan_workers.tables import printable

if TYPE_CHECKING:
    from kayan_workers.bull.events import EventListener, QueueEvent
    from kayan_workers.bull.queue import Queue
    from kayan_workers.bull.server import Server
    from kayan_workers.processors.table import Role
    from kayan_workers.settings import Settings

_LOOK_SECONDS = 2.0
"""How often to look whether the queue has been paused meanwhile, or the job is gone."""
_MESSAGE_GRACE_SECONDS = 0.5
"""A ping is gone a moment before its answer is here."""
_NO_HANDLER = "Missing process handler"
_NOT_OURS = "Ask again where Node workers share the queue, or stop them"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of one queue's ping; ``why`` there was no answer, None when there was. Times are ms."""

    role: str
    queue: str
    answered: bool
    pod: str | None = None
    version: str | None = None
    waited_ms: int | None = None
    took_ms: int | None = None
    why: str | None = None

    def __str__(self) -> str:
        name = f"{self.role}/{self.queue}"
        if not self.answered:
            return f"{name}: no answer: {self.why}"
        waited, took = roughly((self.waited_ms or 0) / 1000), roughly((self.took_ms or 0) / 1000)
        return f"{name}: {self.pod}, version {self.version}, waited {waited}, took {took}"


async def ping(server: Server, settings: Settings, *, roles: Sequence[Role], timeout_seconds: float, as_json: bool) -> int:
    """Ping all queues at once and print what came of it; returns the exit code. ``timeout_seconds`` is for all of them together."""
    deadline = asyncio.get_running_loop().time() + timeout_seconds
    # All of them, whatever becomes of one: each takes its job back before the connection goes.
    found = await asyncio.gather(*(_ping(server, settings, role, deadline) for role in roles), return_exceptions=True)
    answers: list[Answer] = []
    for one in found:
        if isinstance(one, BaseException):
            raise one
        answers.append(one)
    if as_json:
        print_json([asdict(answer) for answer in answers])
    else:
        for answer in answers:
            print(printable(str(answer)))
    return 0 if all(answer.answered for answer in answers) else FAILED


async def _ping(server: Server, settings: Settings, role: Role, deadline: float) -> Answer:
    async with queue_of(server, settings, role.queue) as queue:
        if await queue.is_paused():
            return _silence(role, _paused(role))
        job_id = f"kayan-ping-{uuid.uuid4().hex}"
        # It is forgotten as it ends, whoever ends it, so whoever wants the answer listens before it is there.
        options = JobOptions(job_id=job_id, lifo=True, remove_on_complete=True, remove_on_fail=True)
        async with queue.events("completed", "failed") as events:
            heard: asyncio.Queue[QueueEvent] = asyncio.Queue()
            listening = asyncio.create_task(_hear(events, job_id, heard), name=f"answer to {job_id}")
            began = asyncio.get_running_loop().time()
            try:
                await queue.add({}, name=PING, options=options)
                event = await _answer(queue, role, job_id, heard, listening, deadline)
            finally:
                await end([listening])
                with contextlib.suppress(NoSuchJob, JobIsLocked, RedisError, OSError):  # one that runs now is forgotten as it ends
                    await queue.remove(job_id)
        if isinstance(event, str):
            return _silence(role, event)
        return _read(role, event, (asyncio.get_running_loop().time() - began) * 1000)


async def _hear(events: EventListener, job_id: str, heard: asyncio.Queue[QueueEvent]) -> None:
    async for event in events:
        if event.job_id == job_id:
            heard.put_nowait(event)


async def _answer(
    queue: Queue, role: Role, job_id: str, heard: asyncio.Queue[QueueEvent], listening: asyncio.Task[None], deadline: float
) -> QueueEvent | str:
    """How the ping ended, or why it did not by the deadline."""
    loop = asyncio.get_running_loop()
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(deadline, loop.time() + _LOOK_SECONDS)):
                return await heard.get()
        if listening.done():
            listening.result()  # raises why nothing can be heard
        if await queue.is_paused():
            return _paused(role)
        state = await queue.state_of(job_id)
        if state is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_MESSAGE_GRACE_SECONDS):
                    return await heard.get()
            return "the ping is gone and nobody heard how: the connection was lost as it ended, or somebody removed it. Try again"
        if loop.time() >= deadline:
            return await _why_nobody_answered(queue, role, state)


async def _why_nobody_answered(queue: Queue, role: Role, state: str) -> str:
    counts = await queue.counts()
    load = f"{counts.active} running and {counts.waiting - 1} waiting jobs"
    if state == "active":
        return "a worker has taken the ping and does not answer; its log tells what it is at"
    if state == "delayed":
        return "the rate limit of the queue holds it back; give it longer (--timeout)"
    try:
        workers = len(await queue.workers())
    except RedisError:  # CLIENT LIST is often forbidden
        return f"no worker took it, with {load}; `kayan queues` shows more"
    if not workers:
        return f"nobody works it: kayan worker {role.name}"
    who = "its worker is" if workers == 1 else f"its {workers} workers are"
    if not counts.active:
        why = "fenced, leaving, without its database, bucket or SES (worker.holding), or not ours"
        return f"{who} connected and took nothing: {why}. Look into {'its log' if workers == 1 else 'their logs'}"
    return f"{who} busy, with {load}; give it longer (--timeout), or add workers"


def _read(role: Role, event: QueueEvent, took_ms: float) -> Answer:
    if event.name == "failed":
        reason = str(event.value)
        if _NO_HANDLER in reason:
            return _silence(role, f"a worker that is not ours took it, and touched nothing ({reason}). {_NOT_OURS}")
        return _silence(role, f"the worker that took it failed it: {reason}")
    pong: Any = event.value.get("pong") if isinstance(event.value, dict) else None
    if not isinstance(pong, dict):
        return _silence(role, f"a worker that is not ours took it, and ended it without an answer. {_NOT_OURS}")
    waited_ms = min(took_ms, float(pong.get("waited_ms", 0)))  # by the worker's clock, which may not be ours
    return Answer(
        role=role.name, queue=role.queue, answered=True, pod=str(pong.get("pod")), version=str(pong.get("version")),
        waited_ms=round(waited_ms), took_ms=round(took_ms - waited_ms),
    )  # fmt: skip


def _silence(role: Role, why: str) -> Answer:
    return Answer(role=role.name, queue=role.queue, answered=False, why=why)


def _paused(role: Role) -> str:
    return f"it is paused: kayan resume {role.name}"
