"""Worker processes that try files, with somebody beside them who notices when one dies, hangs or grows."""

from __future__ import annotations

import contextlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

import msgspec
from corpus.came import Came, Surprise, Task

_LOOK_SECONDS = 0.05
_HERE = Path(__file__).parent


class Crew:
    """``workers`` processes at a time, whose codecs give up a file after ``time_limit_seconds``."""

    def __init__(self, workers: int = 2, *, time_limit_seconds: float = 20.0) -> None:
        self.deaths = 0
        self._time_limit_seconds = time_limit_seconds
        self._pool = ThreadPoolExecutor(workers)
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(workers):
            self._idle.put(_Worker(time_limit_seconds))

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().end()

    def try_file(self, name: str, data: bytes, file_type: str, *, films: bool = False) -> Future[Came]:
        """Examine and picture a file in a process that may die of it; with ``films``, make a film of it, too. From any thread."""
        return self._pool.submit(self._try, name, data, file_type, films)

    def _try(self, name: str, data: bytes, file_type: str, films: bool) -> Came:
        worker = self._idle.get()
        folder = Path(tempfile.mkdtemp(dir=worker.folder, prefix="media-"))
        try:
            path = folder / f"source{_ending(name)}"
            path.write_bytes(data)
            return worker.try_file(Task(str(path), file_type, films))
        except _DiedError as died:
            self.deaths += 1
            worker.end(now=True)
            worker = _Worker(self._time_limit_seconds)
            return Came(Surprise(f"the worker {died}"), Surprise(f"the worker {died}"), seconds=died.seconds, peak_mb=died.peak_mb)
        finally:
            self._idle.put(worker)
            shutil.rmtree(folder, ignore_errors=True)


class _DiedError(Exception):
    def __init__(self, how: str, seconds: float, peak_mb: float) -> None:
        super().__init__(how)
        self.seconds, self.peak_mb = seconds, peak_mb


class _Worker:
    def __init__(self, time_limit_seconds: float) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kayan-corpus-"))
        self._patience_seconds = 10 * time_limit_seconds  # it has several things to do, some of them in ffmpeg with a limit of its own
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE), "work", str(self.folder), str(time_limit_seconds)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def try_file(self, task: Task) -> Came:
        """Raises _DiedError when the worker does, or when it has hung."""
        process = self._process
        assert process.stdin and process.stdout
        memory = _Memory(process.pid)
        began = time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(msgspec.json.encode(task) + b"\n")
            process.stdin.flush()
        while not select.select([process.stdout], [], [], _LOOK_SECONDS)[0]:
            memory.look()
            if time.monotonic() - began > self._patience_seconds:
                raise _DiedError(f"hung for more than {self._patience_seconds:.0f} s", time.monotonic() - began, memory.peak_mb)
        answer = process.stdout.readline()
        memory.look()
        if not answer:
            code = process.wait()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise _DiedError(f"died ({how})", time.monotonic() - began, memory.peak_mb)
        return msgspec.structs.replace(msgspec.json.decode(answer, type=Came), seconds=time.monotonic() - began, peak_mb=memory.peak_mb)

    def end(self, *, now: bool = False) -> None:
        """Let it go, or kill it; its codec processes go with it."""
        if now:
            self._process.kill()
        self._process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)


class _Memory:
    """The highest resident memory that any process of a family reaches from now on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.peak_mb = 0.0
        for process in family(pid):
            with contextlib.suppress(OSError):
                Path(f"/proc/{process}/clear_refs").write_text("5")  # its high-water mark starts anew

    def look(self) -> None:
        for process in family(self._pid):
            with contextlib.suppress(OSError, StopIteration):
                lines = Path(f"/proc/{process}/status").read_text().splitlines()
                highest = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
                self.peak_mb = max(self.peak_mb, highest / 1000)


def family(pid: int) -> list[int]:
    """A process and all that come of it."""
    with contextlib.suppress(OSError):
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
        return [pid, *(process for child in children for process in family(child))]
    return []


def _ending(name: str) -> str:
    """A worker keeps no more of a stranger's name."""
    ending = Path(name).suffix.lower()
    return ending if ending[1:].isascii() and ending[1:].isalnum() and len(ending) <= 12 else ""
