"""A job as a typed value: what stands in its Redis hash, read the way Bull reads it.

Source: wire document, section 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from kayan_workers.errors import PermanentError

DEFAULT_NAME = "__default__"

_decode = msgspec.json.decode


class Job:
    """One job. Numbers are ints of milliseconds unless the name says otherwise; JSON members are decoded when first read.

    ``raw_data``, ``raw_opts`` and the like hold the bytes as they stand in Redis, so that a malformed member hurts nobody
    who does not read it.
    """

    __slots__ = ("_data", "_fields", "_opts", "id", "queue")

    def __init__(self, queue: str, job_id: str, fields: Mapping[bytes, bytes] | None) -> None:
        """``fields`` are the members of the hash; None where a subclass makes them when somebody asks."""
        self.queue = queue
        self.id = job_id
        self._fields = fields
        self._data: Any = UNREAD
        self._opts: dict[str, Any] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.queue}:{self.id}>"

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The members of the hash."""
        if self._fields is None:
            self._fields = self._make_fields()
        return self._fields

    def _make_fields(self) -> Mapping[bytes, bytes]:
        return {}

    @property
    def raw_data(self) -> bytes:
        return self.fields.get(b"data", b"{}")

    @property
    def raw_opts(self) -> bytes:
        return self.fields.get(b"opts", b"{}")

    @property
    def name(self) -> str:
        return self.fields.get(b"name", b"__default__").decode(errors="replace")

    @property
    def data(self) -> Any:
        """The payload, decoded. Raises PermanentError when it is not JSON."""
        if self._data is UNREAD:
            try:
                self._data = _decode(self.raw_data or b"{}")
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise PermanentError(f"job {self.id} of {self.queue}: data is not JSON: {error}") from error
        return self._data

    @property
    def opts(self) -> dict[str, Any]:
        """The options, decoded; ``{}`` when they are missing or are no JSON object, as Bull's own reader has it."""
        if self._opts is None:
            try:
                opts = _decode(self.raw_opts or b"{}")
            except (msgspec.DecodeError, UnicodeDecodeError):
                opts = {}
            self._opts = opts if isinstance(opts, dict) else {}
        return self._opts

    @property
    def timestamp_ms(self) -> int:
        return self._int(b"timestamp")

    @property
    def delay_ms(self) -> float:
        return _number(self.fields.get(b"delay"))

    @property
    def priority(self) -> int:
        return self._int(b"priority")

    @property
    def attempts_made(self) -> int:
        """Failed attempts so far; a completion never counts."""
        return self._int(b"attemptsMade")

    @property
    def attempts(self) -> int:
        """How many tries the job has in all."""
        attempts = self.opts.get("attempts")
        return max(1, int(attempts)) if isinstance(attempts, int | float) and not isinstance(attempts, bool) else 1

    @property
    def processed_on_ms(self) -> int | None:
        return self._optional_int(b"processedOn")

    @property
    def finished_on_ms(self) -> int | None:
        return self._optional_int(b"finishedOn")

    @property
    def retried_on_ms(self) -> int | None:
        return self._optional_int(b"retriedOn")

    @property
    def stalled_count(self) -> int:
        return self._int(b"stalledCounter")

    @property
    def failed_reason(self) -> str | None:
        reason = self.fields.get(b"failedReason")
        return None if reason is None else reason.decode(errors="replace")

    @property
    def stacktrace(self) -> list[str]:
        trace = self._json(b"stacktrace")
        return [str(line) for line in trace] if isinstance(trace, list) else []

    @property
    def return_value(self) -> Any:
        return self._json(b"returnvalue")

    @property
    def progress_value(self) -> Any:
        progress = self._json(b"progress")
        return 0 if progress is None else progress

    @property
    def debounce_id(self) -> str | None:
        deid = self.fields.get(b"deid")
        return None if deid is None else deid.decode(errors="replace")

    def _json(self, field: bytes) -> Any:
        try:
            return _decode(self.fields.get(field) or b"null")
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _int(self, field: bytes) -> int:
        return whole(self.fields.get(field))

    def _optional_int(self, field: bytes) -> int | None:
        value = self.fields.get(field)
        return None if value is None else whole(value)


class _Unread:
    """The mark of a payload that nobody has read yet; None is a payload."""


UNREAD = _Unread()


def text_of(job_id: bytes) -> str:
    """A job's id as text. Ids are whatever a producer wrote; bytes that are no UTF-8 come back unharmed from ``bytes_of``."""
    return job_id.decode(errors="surrogateescape")


def bytes_of(job_id: str) -> bytes:
    return job_id.encode(errors="surrogateescape")


def whole(text: bytes | None) -> int:
    """A number of a job's hash as an int; what is none counts as 0."""
    number = _number(text)
    return int(number) if math.isfinite(number) else 0


def _number(text: bytes | None) -> float:
    try:
        return float(text) if text else 0
    except ValueError:
        return 0
