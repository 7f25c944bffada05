"""Settings as files, one for each variable, as Kubernetes mounts a Secret: the files are adopted into the environment and looked at again.

What is set in the environment itself wins over a file, and of several folders the first. After ``exec`` the adopted variables are still
in the environment; ``ADOPTED`` names them there, so that they are told from those that somebody set.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kayan_workers.errors import SettingsError

FOLDERS = "KAYAN_SETTINGS_DIR"
ADOPTED = "KAYAN_SETTINGS_ADOPTED"
"""Names, separated by commas. For processes that follow one another, not for people."""

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_LONGEST_BYTES = 100_000
"""Linux hands no longer variable to another program."""
_EXCHANGE_SECONDS = 30.0
"""How long files may be missing or unreadable while somebody exchanges them; then they are what is meant."""

_Look = tuple[tuple[str, int, int, int], ...]


def adopt(variables: MutableMapping[str, str] | None = None) -> None:
    """Put what the files say into the environment, in place of what an earlier process has put there. What cannot be read is left to
    the settings, which say so."""
    variables = os.environ if variables is None else variables
    for name in _adopted(variables):
        variables.pop(name, None)
    variables.pop(ADOPTED, None)
    found = _unless_set(read(variables.get(FOLDERS, ""))[0], variables)
    variables.update(found)
    if found:
        variables[ADOPTED] = ",".join(found)


def read(folders: str) -> tuple[dict[str, str], list[str]]:
    """What the files in ``folders`` (separated by colons) say, by variable, and what is wrong with any of them."""
    values: dict[str, str] = {}
    problems: list[str] = []

    def complain(where: Path, why: object) -> None:
        problems.append(f"{FOLDERS}: {where} cannot be read ({why}). Mount the Secret there, readable to the worker's user, or unset it")

    for folder in _split(folders):
        try:
            for path in _files(folder):
                try:
                    values.setdefault(path.name, _value(path))
                except (OSError, ValueError) as error:
                    complain(path, getattr(error, "strerror", None) or error)
        except OSError as error:
            complain(folder, error.strerror)
    return values, problems


@dataclass
class Mounted:
    """The files that a process was started with. ``started_with`` are the values that were adopted."""

    folders: str
    started_with: Mapping[str, str] = field(repr=False)
    patience_seconds: float = _EXCHANGE_SECONDS
    _same: tuple[_Look, ...] | None = field(default=None, init=False, repr=False)
    """The files that are known to say what we were started with."""
    _odd_since: float | None = field(default=None, init=False, repr=False)

    def anew(self, variables: Mapping[str, str]) -> tuple[list[str], dict[str, str]] | None:
        """Which variables have another value now, or none any more, and the whole environment with it; None while all is as it was.

        While a folder or a file that was there is missing or cannot be read, or the files are just being exchanged, all is as it was; after
        ``patience_seconds`` a file that is missing is taken for removed, and what cannot be read raises SettingsError.
        """
        seen = self._look()
        if seen is not None and seen == self._same:
            self._odd_since = None
            return None
        values, problems = read(self.folders)
        if self._look() != seen or (seen is None and not problems):
            return None
        own = {name: value for name, value in variables.items() if name not in self.started_with}
        values = _unless_set(values, own)
        if problems or not self.started_with.keys() <= values.keys():
            now = time.monotonic()
            self._odd_since = now if self._odd_since is None else self._odd_since
            if now - self._odd_since < self.patience_seconds:
                return None
            if problems:
                raise SettingsError(problems)
        else:
            self._odd_since = None
        changed = sorted(name for name in values.keys() | self.started_with.keys() if self.started_with.get(name) != values.get(name))
        if changed:
            return changed, {**own, **values}
        self._same = seen
        return None

    def _look(self) -> tuple[_Look, ...] | None:
        """What tells that a file has been exchanged or written, without reading it."""
        try:
            return tuple(tuple(_identity(path) for path in _files(folder)) for folder in _split(self.folders))
        except OSError:
            return None


def mounted_in(variables: Mapping[str, str]) -> Mounted | None:
    """The files that ``adopt`` has put into these variables; None when no folder is named."""
    folders = variables.get(FOLDERS, "").strip()
    return Mounted(folders, {name: variables[name] for name in _adopted(variables) if name in variables}) if folders else None


def _adopted(variables: Mapping[str, str]) -> Sequence[str]:
    return [name for name in variables.get(ADOPTED, "").split(",") if name]


def _unless_set(values: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if not variables.get(name, "").strip()}


def _split(folders: str) -> list[Path]:
    return [Path(folder.strip()) for folder in folders.split(":") if folder.strip()]


def _files(folder: Path) -> Iterator[Path]:
    """The files called like variables, in the order of their names; Kubernetes' own entries (``..data``) and certificates are not."""
    for path in sorted(folder.iterdir()):
        if _NAME.fullmatch(path.name) and path.name not in (FOLDERS, ADOPTED) and not path.is_dir():
            yield path


def _value(path: Path) -> str:
    """Raises ValueError for what no variable can hold."""
    content = path.read_bytes()
    if b"\0" in content:
        raise ValueError("it holds a zero byte")
    if len(content) > _LONGEST_BYTES:
        raise ValueError(f"it has {len(content)} bytes, more than a variable may have")
    return os.fsdecode(content).rstrip("\r\n")


def _identity(path: Path) -> tuple[str, int, int, int]:
    found = path.stat()
    return path.name, found.st_ino, found.st_mtime_ns, found.st_size
