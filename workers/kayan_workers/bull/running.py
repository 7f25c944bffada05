"""A job while it runs here: the typed job plus its lock token and what its handler may do with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from kayan_workers.bull import scripts
from kayan_workers.bull.job import Job, whole
from kayan_workers.bull.stringify import stringify

if TYPE_CHECKING:
    from kayan_workers.bull.scripts import Script

FIELDS = (b"name", b"data", b"opts", b"timestamp", b"priority", b"attemptsMade", b"stacktrace")
"""The hash members that ``settle.lua`` returns for a claimed job, in its order."""


class Options(msgspec.Struct):
    """What a worker needs of a job's options. Everything else in ``opts`` is left alone."""

    attempts: Any = 1
    delay: Any = 0
    timeout: Any = None
    backoff: Any = None
    repeat: Any = None
    lifo: Any = None
    keep_completed: Any = msgspec.field(name="removeOnComplete", default=None)
    keep_failed: Any = msgspec.field(name="removeOnFail", default=None)
    debounce: Any = None
    stack_limit: Any = msgspec.field(name="stackTraceLimit", default=None)


_decode_options = msgspec.json.Decoder(Options).decode
_NO_OPTIONS = Options()


class Messenger(Protocol):
    """Carries what a handler says while it works: its consumer."""

    def tell_soon(self, script: Script, job_id: str, args: Sequence[Any]) -> None:
        """Send a script about a job whose outcome nobody waits for, from any thread."""


class ActiveJob(Job):
    """One attempt at one job. Its methods may be called from any thread and return at once.

    ``token`` is the value of the lock: as long as it stands there, the job is ours.
    """

    __slots__ = (
        "_cancelled",
        "_messenger",
        "_values",
        "abandoned",
        "attempt",
        "discarded",
        "ended",
        "on_abandon",
        "options",
        "renewed",
        "started_at",
        "started_monotonic",
        "token",
    )

    def __init__(
        self, queue: str, job_id: str, token: str, values: Sequence[bytes | None], claimed_at_ms: int, messenger: Messenger
    ) -> None:
        super().__init__(queue, job_id, None)
        self.token = token
        self._values = values
        self._messenger = messenger
        self._cancelled: threading.Event | None = None
        self.started_at = claimed_at_ms
        self.started_monotonic = 0.0
        self.renewed = time.monotonic()
        self.attempt = whole(values[5]) + 1
        self.discarded = False
        self.ended = False
        self.abandoned: str | None = None
        self.on_abandon: Callable[[], None] | None = None
        try:
            self.options = _decode_options(values[2] or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.options = _NO_OPTIONS

    @property
    def raw_name(self) -> bytes:
        return self._values[0] or b"__default__"

    @property
    def raw_data(self) -> bytes:
        return self._values[1] or b"{}"

    @property
    def raw_opts(self) -> bytes:
        return self._values[2] or b"{}"

    def _make_fields(self) -> Mapping[bytes, bytes]:
        return {name: value for name, value in zip(FIELDS, self._values, strict=False) if value is not None}

    @property
    def timestamp_ms(self) -> int:
        return whole(self._values[3])

    @property
    def debounce_id(self) -> str | None:
        debounce = self.options.debounce
        return str(debounce["id"]) if isinstance(debounce, dict) and "id" in debounce else None

    @property
    def attempts(self) -> int:
        attempts = self.options.attempts
        return max(1, int(attempts)) if isinstance(attempts, int | float) and not isinstance(attempts, bool) else 1

    @property
    def is_last_attempt(self) -> bool:
        return self.discarded or self.attempt >= self.attempts

    @property
    def seconds(self) -> float:
        """How long this attempt has been running."""
        return time.monotonic() - self.started_monotonic if self.started_monotonic else 0.0

    @property
    def waited_ms(self) -> float:
        """From the time the job was due to the time it was claimed."""
        delay = self.options.delay
        return max(0.0, self.started_at - self.timestamp_ms - (delay if isinstance(delay, int | float) else 0))

    @property
    def cancelled(self) -> threading.Event:
        """Set when the result is no longer wanted: timeout, lost lock, forced stop. Long work watches it."""
        if self._cancelled is None:
            self._cancelled = threading.Event()
            if self.abandoned:
                self._cancelled.set()
        return self._cancelled

    # -- for handlers --------------------------------------------------------------------------------------------------------

    def progress(self, value: Any) -> None:
        """Publish how far the work is: a number 0-100 or any JSON value."""
        text = stringify(value)
        self._tell("progress", text, f'{{"jobId":{stringify(self.id)},"progress":{text}}}')

    def log(self, row: str) -> None:
        """Append a line to the job's log, which ``getJobLogs`` and bull-board show."""
        self._tell("log", row, 0)

    def update_data(self, data: Any) -> None:
        """Replace the payload, for the next attempt or for whoever reads the job later."""
        self._tell("update", stringify(data))

    def discard(self) -> None:
        """Allow no further attempt: if this one fails, the job fails."""
        self.discarded = True

    def _tell(self, script: str, *args: Any) -> None:
        self._messenger.tell_soon(scripts.load(script), self.id, (*args, self.token))

    # -- for the consumer ----------------------------------------------------------------------------------------------------

    def abandon(self, why: str) -> None:
        """The result is no longer wanted; tell the handler however it can be told."""
        if self.abandoned is not None:
            return
        self.abandoned = why
        if self._cancelled is not None:
            self._cancelled.set()
        if self.on_abandon is not None:
            self.on_abandon()
