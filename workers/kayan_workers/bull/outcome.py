"""What became of one attempt, in the shape that goes to Redis."""

from __future__ import annotations

import asyncio
import traceback
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from kayan_workers.bull import backoff
from kayan_workers.bull.stringify import stringify
from kayan_workers.errors import NotNowError, PermanentError

if TYPE_CHECKING:
    from types import TracebackType

    from kayan_workers.bull.running import ActiveJob

Fate = Literal["failed", "delayed", "retry"]

KEEP_ALL = (-1, -1)

_SHORT = 200
"""Up to how many characters a text is remembered."""


class JobTimeoutError(Exception):
    """The handler ran longer than the job may. Bull's own words, so that both sides read alike."""

    def __init__(self, timeout_ms: float) -> None:
        super().__init__(f"Promise timed out after {timeout_ms:g} milliseconds")
        self.lingering: asyncio.Future[object] | None = None
        """The handler's thread, when it did not end although it was interrupted."""


class Completed(NamedTuple):
    """The handler returned ``value``; ``text`` is it as JSON."""

    job: ActiveJob
    value: Any
    text: str
    seconds: float

    @property
    def event(self) -> str:
        """Bull's message: the result as JSON in a string; a handler that returned nothing has no ``val``."""
        job_id = self.job.id
        quoted = f'"{job_id}"' if job_id.isalnum() and job_id.isascii() else stringify(job_id)
        return f'{{"jobId":{quoted}}}' if self.value is None else f'{{"jobId":{quoted},"val":{_quoted(self.text)}}}'


class Failed(NamedTuple):
    """The handler raised ``error``; ``fate`` says what becomes of the job."""

    job: ActiveJob
    error: BaseException
    fate: Fate
    delay_ms: int
    seconds: float

    @property
    def is_postponed(self) -> bool:
        """The job was only put off: this was no attempt."""
        return isinstance(self.error, NotNowError) and self.fate == "delayed"

    @property
    def attempts_made(self) -> int:
        """What the job's hash says from now on."""
        return self.job.attempt - 1 if self.is_postponed else self.job.attempt

    @property
    def reason(self) -> str:
        """The message alone; Bull writes the four letters ``null`` for an error without one."""
        return message_of(self.error) or "null"

    @property
    def event(self) -> str:
        message = message_of(self.error)
        return stringify({"jobId": self.job.id} | ({"val": message} if message else {}))

    @property
    def stacktrace(self) -> str:
        """All attempts' traces as a JSON array, this one's last, cut to the job's own limit."""
        if self.is_postponed:
            return stringify(self.job.stacktrace)
        trace = "".join(traceback.format_exception(type(self.error), self.error, _of_handler(self.error.__traceback__))).rstrip()
        traces = [*self.job.stacktrace, _printable(trace)]
        limit = self.job.options.stack_limit
        if isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0:
            traces = traces[-limit:] if limit else []
        return stringify(traces)


_OURS = str(Path(__file__).parent)


def _of_handler(trace: TracebackType | None) -> TracebackType | None:
    """The frames from the handler on: whoever reads a failed job wants to see their own code, not the way it was called."""
    first = trace
    while first is not None and (
        first.tb_frame.f_code.co_filename.startswith(_OURS) or "concurrent/futures" in first.tb_frame.f_code.co_filename
    ):
        first = first.tb_next
    return first or trace


def _quoted(text: str) -> str:
    return _quoted_short(text) if len(text) < _SHORT else stringify(text)


@lru_cache(maxsize=64)
def _quoted_short(text: str) -> str:
    """Remembered, as many jobs have the same small result."""
    return stringify(text)


def completed(job: ActiveJob, value: Any, texts: dict[int, str] | None = None) -> Completed | Failed:
    """The outcome of a handler that returned. A value that is no JSON is the handler's mistake, and permanent.

    ``texts`` are the JSON texts of the values that this batch has returned so far, by identity: many of its jobs may share one.
    """
    if value is None:
        return Completed(job, None, "null", job.seconds)
    texts = {} if texts is None else texts
    try:
        text = texts.get(id(value))
        if text is None:
            text = texts[id(value)] = stringify(value)
        return Completed(job, value, text, job.seconds)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        mistake = PermanentError(f"job {job.id} of {job.queue}: the handler's result cannot be written as JSON: {error}")
        return Failed(job, mistake, "failed", 0, job.seconds)


def failed(job: ActiveJob, error: BaseException, *, series: backoff.Series, strategies: backoff.Strategies | None) -> Failed:
    """The outcome of a handler that raised: another attempt, at once or later, or none.

    A job that was put off is delayed without counting an attempt, as Bull's own ``job.moveToDelayed`` does.
    """
    if isinstance(error, NotNowError) and not job.discarded:
        return Failed(job, error, "delayed", max(1, round(error.again_in_seconds * 1000)), job.seconds)
    if isinstance(error, PermanentError) or job.is_last_attempt or not isinstance(error, Exception):
        return Failed(job, error, "failed", 0, job.seconds)
    try:
        delay = backoff.delay_ms(job.options.backoff, job.attempt, error, series=series, strategies=strategies)
    except Exception:  # a strategy of somebody's own must not strand the job (W13)
        delay = backoff.delay_ms(job.options.backoff, job.attempt, error, series=series)
    if delay == backoff.GIVE_UP:
        return Failed(job, error, "failed", 0, job.seconds)
    return Failed(job, error, "delayed" if delay else "retry", delay, job.seconds)


def message_of(error: BaseException) -> str:
    """What an error says, whatever it is made of: a name of a file that is no UTF-8, or a ``__str__`` that raises itself."""
    try:
        return _printable(str(error))
    except Exception:
        return type(error).__name__


def _printable(text: str) -> str:
    """``text`` without lone surrogates, which have no place in UTF-8."""
    return text.encode("utf-8", "replace").decode()


def retention(keep: Any) -> tuple[int, int]:
    """(count, age in ms) of a ``removeOnComplete`` or ``removeOnFail`` option: count -1 keeps all, 0 none; age -1 is no limit.

    As Bull 3.8.5 reads it; null, which makes Bull's script fail half-way (W11), means keep.
    """
    if type(keep) is int:
        return (keep, -1) if keep >= 0 else KEEP_ALL
    if keep is None or keep is False:
        return KEEP_ALL
    if isinstance(keep, float):
        return (int(keep), -1) if keep >= 0 else KEEP_ALL
    if isinstance(keep, dict):
        count, age = keep.get("count"), keep.get("age")
        return (
            int(count) if isinstance(count, int | float) and count >= 0 else -1,
            int(age * 1000) if isinstance(age, int | float) and age >= 0 else -1,
        )
    return (0, -1) if keep else KEEP_ALL
