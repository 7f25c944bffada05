"""Media transforms on files from strangers, in processes that may die of them.

A transform runs in one of a few codec processes (``inmate``), confined and without our secrets, which are kept for many requests. A
file that crashes, hangs or outgrows its process costs its own job: the worker and its other jobs go on, and the error tells how the
process died.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from kayan_workers.codecs import messages
from kayan_workers.codecs.process import CodecProcess, Death
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.examined import Examined
from kayan_workers.media.file_type import FileType
from kayan_workers.media.geometry import Size
from kayan_workers.media.rendition import FilmSizes, Rendition, Transcode

_LOOK_SECONDS = 0.1
"""How often a waiting thread asks whether its job was cancelled."""
_START_SECONDS = 60.0
_STARTS = 3
_BYTES_PER_SECOND = 1_000_000
"""The slowest reading we are patient with, on top of the time limit."""

_TAKEN_OVER = "what came back from the file's reader was no answer: the file may have taken it over"
_TELL = "do not open it before somebody has looked at it"

Result = TypeVar("Result")


class Watcher(Protocol):
    """Whoever waits for a transform; a running job is one."""

    @property
    def cancelled(self) -> threading.Event: ...

    def progress(self, value: float) -> None: ...

    def log(self, row: str) -> None: ...


class Codecs:
    """Up to ``processes`` codec processes, each with ``memory_mb`` (MB of address space beside its code) and ``threads``.

    May be used by any number of threads; who finds all processes busy waits. ``folder`` is all that they may write to: sources and
    results lie in it. Reading a file may take ``time_limit_seconds`` and a second for each MB.
    """

    def __init__(
        self, folder: Path, ffmpeg: Ffmpeg, *, processes: int, memory_mb: int, threads: int, time_limit_seconds: float = 120.0
    ) -> None:
        self._folder = folder
        self._ffmpeg = ffmpeg
        self._memory_mb = memory_mb
        self._threads = threads
        self._time_limit_seconds = time_limit_seconds
        self._free = threading.Semaphore(processes)
        self._lock = threading.Lock()
        self._idle: list[CodecProcess] = []
        self._all: set[CodecProcess] = set()
        self._closed = False

    def examine(self, source: Path, file_type: FileType, watcher: Watcher) -> Examined:
        """See ``media.examine.examine``."""
        return self._ask(messages.Examine(source, file_type), Examined, watcher, self._patience(source))

    def picture(self, source: Path, file_type: FileType, renditions: Sequence[Rendition], watcher: Watcher) -> list[Size]:
        """See ``media.pictures.picture``."""
        return self._ask(messages.Picture(source, file_type, list(renditions)), list[Size], watcher, self._patience(source))

    def films(self, source: Path, wanted: Sequence[Transcode], stills: Sequence[Rendition], watcher: Watcher) -> FilmSizes:
        """See ``media.video.films``, which limits the time by the clip's length."""
        return self._ask(messages.Films(source, list(wanted), list(stills)), FilmSizes, watcher, None)

    def confined(self) -> list[str]:
        """What holds a codec process on this machine: ``limits``, ``files``, ``network``. Starts one to find out."""
        process, confined = self._started(_Nobody())
        self._end(process)
        return confined

    def close(self) -> None:
        """End every process, also those at work: nobody wants their results any more."""
        with self._lock:
            self._closed = True
            waiting, self._idle = self._idle, []
            busy = self._all - set(waiting)
        for process in busy:
            process.kill()  # whoever waits for it finds it dead, and buries it
        for process in waiting:
            self._end(process)

    def _ask(self, request: messages.Request, kind: type[Result], watcher: Watcher, patience_seconds: float | None) -> Result:
        with self._turn(watcher):
            answer = self._answer(request, watcher, patience_seconds)
        match answer:
            case messages.Done():
                return _believed(answer, kind)
            case messages.Refused():
                raise (PermanentError if answer.permanent else TemporaryError)(answer.says, answer.remedy)
            case messages.Broken():
                watcher.log(answer.traceback)
                raise PermanentError(f"the file broke our reader ({answer.kind})", "it is most likely damaged: save it anew")

    def _patience(self, source: Path) -> float:
        return self._time_limit_seconds + source.stat().st_size / _BYTES_PER_SECOND

    def _answer(self, request: messages.Request, watcher: Watcher, patience_seconds: float | None) -> messages.Answer:
        starts = 0
        while starts < _STARTS:
            process = self._waiting()
            if process is None:
                process, _ = self._started(watcher)
                starts += 1
            conversation = _Conversation(process, watcher, patience_seconds, self._memory_mb)
            try:
                answer = conversation.answer(request)
            except _RetiredError:
                self._end(process)
                continue
            except BaseException as error:
                self._end(process)
                if self._closed:
                    raise TemporaryError("stopped: the worker is leaving") from error
                raise
            if isinstance(answer, messages.Broken) or answer.grown:
                self._end(process)
            else:
                self._keep(process)
            return answer
        raise TemporaryError("codec processes end before they begin", "look at the memory and the process ids the worker has left")

    @contextmanager
    def _turn(self, watcher: Watcher) -> Iterator[None]:
        """Wait until fewer than all processes are busy."""
        while not self._free.acquire(timeout=_LOOK_SECONDS):
            _stop_if_cancelled(watcher)
        try:
            yield
        finally:
            self._free.release()

    def _waiting(self) -> CodecProcess | None:
        """One that had nothing to do for long has ended by itself, which shows only when it is asked."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _started(self, watcher: Watcher) -> tuple[CodecProcess, list[str]]:
        try:
            process = CodecProcess(self._folder, memory_mb=self._memory_mb, threads=self._threads, ffmpeg=self._ffmpeg.binary)
        except OSError as error:
            remedy = "give the worker more memory and process ids"
            raise TemporaryError(f"no codec process can be started: {error.strerror}", remedy) from error
        with self._lock:
            closed = self._closed
            self._all.add(process)
        try:
            if closed:
                raise TemporaryError("stopped: the worker is leaving")
            ready = _Conversation(process, watcher, _START_SECONDS, self._memory_mb).next()
            assert isinstance(ready, messages.Ready)
        except BaseException as error:
            death = self._end(process)
            if isinstance(error, PermanentError | _RetiredError):
                raise TemporaryError(f"a codec process ended before it began: {death.last_words or death.exit_code}") from error
            raise
        return process, ready.confined

    def _keep(self, process: CodecProcess) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(process)
                return
        self._end(process)

    def _end(self, process: CodecProcess) -> Death:
        with self._lock:
            self._all.discard(process)
        return process.end()


def _believed(answer: messages.Done, kind: type[Result]) -> Result:
    try:
        return messages.result(answer.result, kind)
    except (ValueError, RecursionError) as error:
        raise PermanentError(_TAKEN_OVER, _TELL) from error


class _RetiredError(Exception):
    """The process was gone before it heard the request: it had had nothing to do for long, or the kernel took it."""


class _Conversation:
    """One request's life in one process."""

    def __init__(self, process: CodecProcess, watcher: Watcher, patience_seconds: float | None, memory_mb: int) -> None:
        self._process = process
        self._memory_bytes = memory_mb * 1_000_000
        self._step = ""
        self._watcher = watcher
        self._patience_seconds = patience_seconds
        self._began = time.monotonic()

    def answer(self, request: messages.Request) -> messages.Answer:
        """Raises PermanentError with its forensics when the process dies of the request, TemporaryError when the job is cancelled."""
        try:
            self._process.ask(request)
        except OSError:
            raise self._obituary(self._process.end()) from None
        while True:
            match message := self.next():
                case messages.Step():
                    self._step = message.doing
                case messages.Progress():
                    self._watcher.progress(message.percent)
                case messages.Done() | messages.Refused() | messages.Broken():
                    return message
                case _:
                    raise PermanentError(_TAKEN_OVER, _TELL)

    def next(self) -> messages.Reply:
        while True:
            try:
                message = self._process.answer(_LOOK_SECONDS)
            except (EOFError, OSError):
                raise self._obituary(self._process.end()) from None
            except (ValueError, RecursionError) as error:
                raise PermanentError(_TAKEN_OVER, _TELL) from error
            if message is not None:
                return message
            _stop_if_cancelled(self._watcher)
            self._stop_if_overdue()

    def _stop_if_overdue(self) -> None:
        if self._patience_seconds is not None and time.monotonic() - self._began > self._patience_seconds:
            death = self._process.end()
            raise PermanentError(f"reading the file took longer than {self._patience_seconds:.0f} s and was stopped "
                                 f"({self._forensics(death)})", "save it smaller or simpler")  # fmt: skip

    def _obituary(self, death: Death) -> Exception:
        """Why the process ended, in words for a person, and what is known of it."""
        if not self._step:
            return _RetiredError()
        if death.last_words:
            self._watcher.log(death.last_words)
        ran_out = death.signal_name in ("SIGABRT", "SIGTRAP") and death.peak_bytes > self._memory_bytes * 0.8
        says = "the file needs more memory than it may take to read it" if ran_out else {
            "SIGKILL": "reading the file took more memory than this machine had",
            "SIGXCPU": "the file is too intricate: it took more computing time than it may",
            "SIGSYS": "the file made its reader do what it must not",
        }.get(death.signal_name or "", "the file crashed its reader")
        return PermanentError(f"{says} ({self._forensics(death)})", "save it anew, smaller or simpler, and upload it again")

    def _forensics(self, death: Death) -> str:
        how = death.signal_name or f"exit code {death.exit_code}"
        return f"{how}, peak memory {death.peak_bytes // 1_000_000} MB, {death.cpu_seconds:.1f} s of CPU, while {self._step}"


class _Nobody:
    """Watches a process that nobody waits for."""

    cancelled = threading.Event()

    def progress(self, value: float) -> None:
        """Nobody listens."""

    def log(self, row: str) -> None:
        """Nobody listens."""


def _stop_if_cancelled(watcher: Watcher) -> None:
    if watcher.cancelled.is_set():
        raise TemporaryError("stopped: the job was cancelled")
