"""The real command ``kayan`` in processes of its own, as an operator starts it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "kayan_workers")
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "FFMPEG_BIN", "DOCKER_HOST")
"""What a test's process keeps of our environment: nobody's real Redis, database or bucket may slip in."""


def environment(**variables: str) -> dict[str, str]:
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | variables


def kayan(*arguments: str, variables: Mapping[str, str], stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments], env=environment(**variables), input=stdin, capture_output=True, text=True, timeout=timeout, check=False
    )


def events_in(log: str) -> list[dict[str, Any]]:
    """The lines that are JSON, but for the last one while it is being written."""
    return [json.loads(line) for line in log.splitlines(keepends=True) if line.startswith("{") and line.endswith("\n")]


class WorkerProcess:
    """A running ``kayan worker``; its lines are JSON."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        self._last_output = ""

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The lifecycle events so far, those called ``name`` or all."""
        return [event for event in events_in(self.output()) if name in (None, event["event"])]

    def ids(self, name: str) -> list[str]:
        """The job ids of the events called ``name``, sorted."""
        return sorted(event["job_id"] for event in self.events(name))

    def output(self) -> str:
        if self._log.exists():
            self._last_output = self._log.read_text()
        return self._last_output

    def wait_for(self, name: str, *, count: int = 1, timeout: float = 20, **fields: Any) -> dict[str, Any]:
        """The event of that name (and these fields), once there are ``count``."""
        deadline = time.monotonic() + timeout
        while True:
            found = [event for event in self.events(name) if fields.items() <= event.items()]
            if len(found) >= count:
                return found[-1]
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{len(found)} of {count} {name} within {timeout} s; it said:\n{self.output()[-4000:]}")
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def exit_code(self, timeout: float = 20) -> int:
        return self.process.wait(timeout)

    @property
    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.wait_for('health.listening')['port']}"

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the health port."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@contextlib.contextmanager
def worker(*roles: str, variables: Mapping[str, str], command: Sequence[str] = ()) -> Iterator[WorkerProcess]:
    """``kayan worker ROLES`` (or another ``command`` that starts one), killed at the end if it still runs."""
    with tempfile.TemporaryDirectory(prefix="kayan-test-") as folder:
        log = Path(folder) / "worker.log"
        settings = {"HEALTH_PORT": "0", "HEALTH_HOST": "127.0.0.1", "LOG_FORMAT": "json", "KAYAN_TEMP_DIR": folder} | dict(variables)
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command or [*COMMAND, "worker", *roles], env=environment(**settings), stdout=stream, stderr=stream, stdin=subprocess.DEVNULL
            )
        running = WorkerProcess(process, log)
        try:
            yield running
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            running.output()  # may be asked for after the file has gone
