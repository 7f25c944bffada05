"""One codec process, as the worker sees it: it starts it, speaks with it, ends it, and learns how it died."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kayan_workers.codecs import messages
from kayan_workers.codecs.wire import Wire

_KEPT_BYTES_OF_STDERR = 2000
_DYING_SECONDS = 5.0
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "PYTHONPATH")
"""The environment's harmless part. Keys and passwords stay with the worker."""


class Death(NamedTuple):
    """How a process ended."""

    exit_code: int
    """As subprocess has it: minus the signal's number when one ended it."""
    peak_bytes: int
    """The most memory that it, or an ffmpeg of its, had resident."""
    cpu_seconds: float
    last_words: str
    """What was last written to its standard error."""

    @property
    def signal_name(self) -> str | None:
        return signal.Signals(-self.exit_code).name if self.exit_code < 0 else None


class CodecProcess:
    """A child in a process group of its own. ``folder`` is what it may write to, ``ffmpeg`` the path of its ffmpeg."""

    def __init__(self, folder: Path, *, memory_mb: int, threads: int, ffmpeg: str) -> None:
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        self._stderr = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  it lives as long as the process
        try:
            self._process = subprocess.Popen(  # noqa: S603  ourselves
                [sys.executable, "-P", "-m", "kayan_workers.codecs.inmate",
                 str(theirs.fileno()), str(lifeline), str(folder), str(memory_mb), ffmpeg],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._stderr, pass_fds=(theirs.fileno(), lifeline),
                env=_environment(folder, threads), cwd=folder, start_new_session=True,
            )  # fmt: skip
        except BaseException:
            os.close(self._lifeline)
            self._stderr.close()
            ours.close()
            raise
        finally:
            theirs.close()
            os.close(lifeline)
        self._wire = Wire(ours)
        self._hung_up = False
        self._death: Death | None = None
        self.pid = self._process.pid

    def ask(self, request: messages.Request) -> None:
        """Raises OSError when the process is gone."""
        try:
            self._wire.send(messages.pack(request))
        except OSError:
            self._hung_up = True
            raise

    def answer(self, within_seconds: float) -> messages.Reply | None:
        """The next message, or None when there is none yet. Raises EOFError or OSError when the process is gone.

        Raises ValueError for what is no message of ours.
        """
        try:
            data = self._wire.receive(within_seconds)
        except (EOFError, OSError):
            self._hung_up = True
            raise
        return None if data is None else messages.reply(data)

    def kill(self) -> None:
        """End the process and all it started. Whoever waits for its answer hears that it is gone."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def end(self) -> Death:
        """Kill the process and wait for it. One that has ended by itself, or is dying, keeps its own end. May be called twice."""
        if self._death is None:
            self._wire.close()
            self._death = self._buried()
        return self._death

    def _buried(self) -> Death:
        ended = self._ended_by_itself() if self._hung_up else None
        if ended is None:
            self.kill()
            ended = os.wait4(self.pid, 0)
        _, status, usage = ended
        self._process.returncode = os.waitstatus_to_exitcode(status)  # so that nobody waits for it again
        self.kill()  # an ffmpeg that outlived it
        os.close(self._lifeline)
        return Death(self._process.returncode, _bytes(usage.ru_maxrss), usage.ru_utime + usage.ru_stime, self._last_words())

    def _ended_by_itself(self) -> tuple[int, int, resource.struct_rusage] | None:
        """How, if it does so soon: its end of the connection closes a moment before it is dead."""
        deadline = time.monotonic() + _DYING_SECONDS
        while time.monotonic() < deadline:
            if (ended := os.wait4(self.pid, os.WNOHANG))[0]:
                return ended
            time.sleep(0.002)
        return None

    def _last_words(self) -> str:
        with self._stderr as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _KEPT_BYTES_OF_STDERR))
            return file.read().decode("utf-8", "replace").strip()


def _environment(folder: Path, threads: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **kept,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "VIPS_CONCURRENCY": str(threads),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # Each arena takes 64 MB of address space, used or not; and what a file needed goes back to the system with it.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": "1000000",
        "MALLOC_TRIM_THRESHOLD_": "1000000",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _bytes(maxrss: int) -> int:
    """``ru_maxrss`` is in kilobytes on Linux and in bytes on macOS."""
    return maxrss if sys.platform == "darwin" else maxrss * 1024


