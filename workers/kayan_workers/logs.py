"""Lifecycle lines: one JSON object a line for machines, one readable line a moment for people.

An event is named ``noun.verb``; the fields are the same everywhere: queue, job_id, attempt, duration_ms, error. Nothing passes
without the guard, which withholds payloads and masks secrets and addresses.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import msgspec

from kayan_workers.tables import plain_table, printable

if TYPE_CHECKING or "rich" in sys.modules:
    import structlog
else:
    # structlog.dev loads rich wherever it is installed: 5 MB and 40 ms for tracebacks that these lines never show.
    sys.modules["rich"] = None
    import structlog

    del sys.modules["rich"]

if TYPE_CHECKING:
    from kayan_workers.processors.handle import JobHandle

Event = MutableMapping[str, Any]
Phrases = Mapping[str, tuple[str, str]]

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

_WITHHELD = frozenset(
    {"data", "payload", "opts", "options", "returnvalue", "return_value", "body", "html", "text", "to", "cc", "bcc", "recipients",
     "attachments", "password", "secret", "token", "authorization", "database_url", "redis_url"}
)  # fmt: skip
_LONGEST = 2_000
_LONGEST_TRACEBACK = 8_000

_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b")


def get(**fields: Any) -> structlog.typing.FilteringBoundLogger:
    """A logger that carries ``fields``. May be called before ``configure``."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(**fields)
    return logger


def of(job: JobHandle) -> structlog.typing.FilteringBoundLogger:
    """A logger that says which job it speaks of."""
    return get(queue=job.queue, job_id=job.id, attempt=job.attempt)


def together(level: str, same: Event, each: Iterable[Event]) -> None:
    """Log many events at once, with what is the ``same`` in all of them: the lines that they would be one by one, in one write.
    ``each`` has plain values only, and the caller sees to the level.

    One by one, the loggers and writes of a batch would take longer than its jobs.
    """
    configured = structlog.get_config()
    *steps, render = configured["processors"]

    def prepared(event: Any) -> Any:
        for step in steps:
            event = step(None, level, event)
        return event

    if render is _json_line:
        guard = steps[-1]
        text = _json_lines(prepared(dict(same)), [guard(None, level, event) for event in each])
    else:
        text = "\n".join([render(None, level, prepared({**same, **event})) for event in each])
    if text:
        configured["logger_factory"]().msg(text)


def configure(
    *, level: str = "info", form: str = "json", secrets: Iterable[str] = (), stream: TextIO | None = None, phrases: Phrases | None = None
) -> None:
    """Set up the lines of this process: ``form`` is ``json`` or ``text``, ``level`` debug, info, warning or error.

    ``secrets`` are texts that never appear. ``phrases`` are the sentences of events beyond the workers' own, for ``text``: an icon and a
    format by event. The libraries' own warnings come out the same way, as ``library.warning``.
    """
    stream = stream or sys.stdout
    render = _json_line if form == "json" else partial(_text_line, {**PHRASES, **(phrases or {})})
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _stamp_for_machines if form == "json" else structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.processors.format_exc_info,
            Guard(secrets),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Patient(stream))),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(logging.WARNING)
    logging.getLogger("kayan_workers").setLevel(LEVELS[level])


class Guard:
    """The last to see an event: payloads are withheld, secrets and addresses masked, long texts cut."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = [secret for secret in secrets if secret]

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        for key, value in event.items():
            if key in _WITHHELD:
                event[key] = "[withheld]"
            elif isinstance(value, str):
                event[key] = self.masked(value, _LONGEST_TRACEBACK if key == "exception" else _LONGEST)
            elif isinstance(value, BaseException):
                event[key] = self.masked(f"{type(value).__name__}: {value}", _LONGEST)
        return event

    def masked(self, text: str, longest: int) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        if "@" in text:
            text = _ADDRESS.sub("<address>", _IN_URL.sub("***@", text))
        if "IA" in text:
            text = _ACCESS_KEY.sub("***", text)
        return text if len(text) <= longest else f"{text[:longest]} … ({len(text)} characters)"


class _Patient:
    """A stream whose reader may go away: a worker does not end because nobody listens any more."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _Bridge(logging.Handler):
    """What libraries say through the standard module, as events."""

    def emit(self, record: logging.LogRecord) -> None:
        event = "library.warning" if record.levelno >= logging.WARNING else "library.note"
        try:
            get().log(record.levelno, event, library=record.name, message=record.getMessage(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


# -- JSON ------------------------------------------------------------------------------------------------------------------------


def _stamp_for_machines(_logger: object, _method: str, event: Event) -> Event:
    event["timestamp"] = _iso_time(time.time_ns() // 1_000_000)
    return event


@lru_cache(maxsize=1)
def _iso_time(unix_ms: int) -> str:
    """Remembered, as a busy worker writes hundreds of lines in a millisecond."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


_encoder = msgspec.json.Encoder(enc_hook=str)


def _json_line(_logger: object, _method: str, event: Event) -> str:
    event.pop("labels", None)  # what people read in place of a queue's name
    first = {"timestamp": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event")}
    return _encoder.encode(first | cast("dict[str, Any]", event)).decode()


def _json_lines(same: Event, each: Sequence[Event]) -> str:
    """Lines that all begin alike. No line breaks within: JSON has none in its texts."""
    begin = _json_line(None, "", same).removesuffix("}")
    return ("\n" + _encoder.encode_lines(each).decode()).replace("\n{", f"\n{begin},").strip("\n")


# -- people ----------------------------------------------------------------------------------------------------------------------

PHRASES: Final[Phrases] = {
    "worker.notice": ("⚠️ ", "{message}"),
    "worker.started": ("🚀", "worker started: {slots}"),
    "worker.ready": ("🔄", "waiting for jobs"),
    "worker.draining": ("📴", "{leaving}: {running} running jobs have {grace_seconds:g} s to finish{once_more}"),
    "worker.stopped": ("👋", "worker stopped"),
    "worker.killed": ("❌", "{signal} again: exiting at once"),
    "worker.hung": ("❌", "{queue}: {loops} stands still for more than {seconds:g} s; /healthz says so until it goes on"),
    "worker.broken": ("❌", "the worker cannot go on: {error}"),
    "health.listening": ("📊", "health and metrics on port {port}: /healthz /readyz /metrics"),
    "queues.health": ("📊", "queues\n{table}"),
    "redis.connected": ("✅", "Redis is connected: {address}"),
    "redis.lost": ("❌", "Redis cannot be reached, trying on: {address}: {error}"),
    "redis.advice": ("⚠️ ", "{message}"),
    "database.unusable": ("❌", "the database cannot be used: {error}"),
    "database.usable": ("✅", "the database can be used"),
    "storage.unusable": ("❌", "the object store cannot be used: {error}"),
    "storage.usable": ("✅", "the object store can be used"),
    "mail.unusable": ("❌", "mails cannot be sent: {error}"),
    "mail.usable": ("✅", "mails can be sent"),
    "worker.holding": ("⏸️ ", "no more jobs for {held} until the {outside} can be used; none of those that wait loses an attempt"),
    "worker.released": ("🔄", "the {outside} is there for {held} again: taking jobs"),
    "settings.odd": ("⚠️ ", "{message}"),
    "settings.changed": ("🔄", "other settings in the files: {changed}"),
    "settings.wrong": ("❌", "other settings in the files ({changed}) that no worker would start with, so the old ones stay: {error}"),
    "library.warning": ("⚠️ ", "{library}: {message}"),
    "library.note": ("  ", "{library}: {message}"),
    "job.started": ("🔄", "{queue} {job_id} started{again}"),
    "job.completed": ("✅", "{queue} {job_id} completed in {duration}"),
    "job.postponed": ("⏸️ ", "{queue} {job_id} put off, again in {delay}: {error}"),
    "job.retried": ("⏳", "{queue} {job_id} failed (attempt {attempt}), again in {delay}: {error}"),
    "job.failed": ("❌", "{queue} {job_id} failed for good (attempt {attempt}): {error}"),
    "job.lost": ("⚠️ ", "{queue} {job_id} lost: {error}; another worker has it now"),
    "job.removed": ("🗑️ ", "{queue} {job_id} is gone: {error}"),
    "job.stalled": ("⚠️ ", "{queue} {job_id} stalled: its worker died or hung; it runs again"),
    "job.handed_back": ("↩️ ", "{queue} {job_id} handed back: {error}"),
    "job.overdue": ("⚠️ ", "{queue} {job_id} was told to end {duration} after its start and goes on; its slot stays taken"),
    "job.given_up": ("❌", "{queue} {job_id} failed: its worker died or hung too often"),
    "job.untold": ("⚠️ ", "{queue} {job_id}: the app does not know yet that it failed: {error}"),
    "job.forgiven": ("🔄", "{queue} {job_id} waits again: its worker died before it began"),
    "cleanup.ended": ("🧹", "cleanup {type}{dry}: {removed} removed, {kept} kept, {examined} examined, in {duration}{why}"),
    "queue.warning": ("⚠️ ", "{queue}: {message}"),
    "queue.fenced": ("📴", "{queue}: fenced, this pod takes nothing more"),
    "queue.released": ("🔄", "{queue}: no longer fenced"),
}
_OUTSIDE: Final = {"storage": "object store", "mail": "mail service"}
"""What people call an edge, where that is not its own name."""
_LINE_BREAK: Final = "\n"
_ICONS: Final = {"debug": "  ", "info": "  ", "warning": "⚠️ ", "error": "❌"}


def _text_line(phrases: Phrases, _logger: object, _method: str, event: Event) -> str:
    name, level, time = event.pop("event"), event.pop("level"), event.pop("timestamp")
    exception = event.pop("exception", None)
    event = {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}
    icon, phrase = phrases.get(name, (_ICONS.get(level, "  "), ""))
    said = _phrased(phrase, event) if phrase else None
    if said is None:
        said = printable(" ".join([name, *(f"{key}={value}" for key, value in event.items())]))
    line = f"{time} {icon} {said}"
    return f"{line}\n{_indented(printable(exception, keep=_LINE_BREAK))}" if exception else line


def _phrased(phrase: str, event: Event) -> str | None:
    roles = event.get("roles", ())
    fields = {
        **event,
        "table": _health_table(event) if "queues" in event else "",
        "slots": ", ".join(f"{name} {slots}" for name, slots in roles.items()) if isinstance(roles, dict) else "",
        "held": ", ".join(roles),
        "changed": ", ".join(event.get("variables", ())),
        "leaving": f"{event['signal']} received" if "signal" in event else "beginning anew",
        "once_more": "; once more exits at once" if "signal" in event else "",
        "outside": _OUTSIDE.get(event.get("edge", ""), event.get("edge")),
        "duration": duration(event.get("duration_ms", 0)),
        "delay": duration(event.get("delay_ms", 0)),
        "dry": " (dry run)" if event.get("dry_run") else "",
        "why": f"; ended by: {event['error']}" if event.get("error") else "",
        "again": f" (attempt {event['attempt']})" if event.get("attempt", 1) > 1 else "",
    }
    try:
        return phrase.format(**fields)
    except (KeyError, ValueError):
        return None


def _health_table(event: Event) -> str:
    queues, labels = event["queues"], event.get("labels", {})
    columns = list(next(iter(queues.values()), {}))
    return _indented(plain_table(["queue", *columns], [[labels.get(name, name), *counts.values()] for name, counts in queues.items()]))


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


def duration(milliseconds: float) -> str:
    """A length of time for people: ``184 ms``, ``2.1 s``, ``3 min 4 s``."""
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
