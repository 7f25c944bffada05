"""The calls that write results and claim jobs, packed and unpacked. One function per script; see the scripts for the meaning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from kayan_workers.bull import scripts
from kayan_workers.bull.job import text_of
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.line import Line
from kayan_workers.bull.outcome import Completed, Failed, retention
from kayan_workers.bull.running import ActiveJob

SETTLE = scripts.load("settle")
FAIL = scripts.load("fail")
HAND_BACK = scripts.load("hand_back")
CLAIMED_BY = scripts.load("claimed_by")
HOT = (SETTLE, FAIL, HAND_BACK, *(scripts.load(name) for name in ("progress", "log", "update")))
"""What a consumer's connection loads before its first call."""

REMOVED = "there is no such job any more: it was removed, or another worker finished it and its options keep no record"

WHY = {-1: REMOVED, -2: "its lock has expired", -3: "it is no longer active", -6: "another worker holds its lock"}
"""What a refusal means, in words for people."""


class Limiter(NamedTuple):
    """At most ``max`` starts in ``duration_ms``, over all workers that set the same limit; per group when ``grouped``.

    The group of a job is what follows the last ``:`` of its id, as Bull's producers with a groupKey write it. Bull's ``bounceBack`` is
    left out on purpose: it takes limited jobs out of every list (window W15).
    """

    max: int
    duration_ms: int
    grouped: bool = False


NO_LIMIT = Limiter(0, 0)

Claimed = Sequence[Any]
"""The values of FIELDS, then the id."""


class Reply(NamedTuple):
    refused: dict[str, int]
    """Job id -> code of WHY."""
    claimed: list[Claimed]
    fenced: bool
    gone: list[bytes]
    """Ids that waited without a job behind them, and were dropped."""


async def settle(
    line: Line,
    keys: Keys,
    *,
    now: int,
    lock_ms: int,
    events: str,
    pod: str,
    finished: Sequence[Completed] = (),
    token: str = "",
    want: int = 0,
    turn_token: bytes | str = "",
    say_drained: bool = False,
    metrics_minutes: int = 0,
    limiter: Limiter = NO_LIMIT,
) -> Reply:
    """Finish jobs and claim up to ``want`` others, in one step. A claimed job is locked under ``<token>.<id>``."""
    args: list[Any] = [
        keys.base,
        now,
        lock_ms,
        events,
        token,
        want,
        turn_token,
        1 if say_drained else 0,
        metrics_minutes,
        limiter.max,
        limiter.duration_ms,
        1 if limiter.grouped else 0,
        len(finished),
    ]
    for one in finished:
        job = one.job
        args += (job.id, job.token, one.text, one.event, job.debounce_id or "")
    for policy, run in groupby(finished, _policy):
        args += (len(list(run)), *policy)
    reply = await line.run(SETTLE, (keys.wait, keys.turn, keys.unstarted, keys.fence(pod)), args)
    return Reply(codes(reply[0]), reply[1], reply[2] == 1, reply[3])


def _policy(one: Completed) -> tuple[int, int]:
    """Neighbours with one policy go together: the script trims the set once for each such run."""
    return retention(one.job.options.keep_completed)


async def fail(line: Line, keys: Keys, failures: Sequence[Failed], *, now: int, metrics_minutes: int = 0) -> dict[str, int]:
    """Write down failed attempts and what becomes of the jobs. Returns the refused ones: job id -> code of WHY."""
    args: list[Any] = [keys.base, now, metrics_minutes]
    for one in failures:
        job, options = one.job, one.job.options
        count, age_ms = retention(options.keep_failed)
        args += (
            job.id,
            job.token,
            one.fate,
            one.attempts_made,
            one.stacktrace,
            one.reason,
            one.event,
            count,
            age_ms,
            now + one.delay_ms,
            int(job.id) & 4095 if job.id.isdigit() else 0,
            job.priority,
            1 if options.lifo else "",
            job.debounce_id or "",
        )
    return codes(await line.run(FAIL, (keys.wait, keys.unstarted), args))


async def hand_back(line: Line, keys: Keys, jobs: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Give claimed jobs back, (id, token) in the order they were claimed. Returns the refused ones."""
    args: list[Any] = [keys.base]
    for job_id, token in jobs:
        args += (job_id, token)
    return codes(await line.run(HAND_BACK, (keys.wait, keys.unstarted), args))


async def claimed_by(line: Line, keys: Keys, prefix: str) -> list[tuple[str, str]]:
    """(id, token) of the active jobs whose lock token begins with ``prefix``."""
    flat = await line.run(CLAIMED_BY, (keys.active,), (keys.base, prefix))
    return [(text_of(flat[at]), text_of(flat[at + 1])) for at in range(0, len(flat), 2)]


def mark_started(line: Line, keys: Keys, jobs: Iterable[ActiveJob]) -> None:
    """From here on a crash counts as a stall. Nobody waits for the reply, but the command leaves this process at once."""
    line.tell("SREM", keys.unstarted, *[job.id for job in jobs])


def codes(flat: Sequence[Any]) -> dict[str, int]:
    """Job id -> code, as the scripts return them."""
    return {text_of(flat[at]): flat[at + 1] for at in range(0, len(flat), 2)}
