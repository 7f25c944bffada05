"""The Lua scripts: one file per atomic operation under ``lua/``, loaded once, run by hash.

A script's line ``-- include: name`` is replaced by ``lua/lib/name.lua`` (once, however often it is asked
for), so that what several operations share (where a
waiting job is pushed, what retention deletes) is written once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from redis.exceptions import NoScriptError, ReadOnlyError, ResponseError

_FOLDER = Path(__file__).parent / "lua"
_INCLUDE = re.compile(r"^-- include: (\w+)$", re.MULTILINE)
_WRAPPED = re.compile(r"(?:ERR )?Error running script \(call to f_\w+\): @user_script:\d+: (?:@user_script: \d+: )?-?(?=[A-Z]{3,} )")


class Script(NamedTuple):
    name: str
    text: str
    sha: str


@cache
def load(name: str) -> Script:
    """The script ``lua/<name>.lua`` with its includes."""
    return read(_FOLDER / f"{name}.lua")


def read(file: Path) -> Script:
    """A script of whoever else has one, with the includes of its own ``lib`` and of ours."""
    text = _expand(file.read_text(), set(), (file.parent / "lib", _FOLDER / "lib"))
    return Script(file.stem, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _expand(text: str, included: set[str], folders: Sequence[Path]) -> str:
    def include(found: re.Match[str]) -> str:
        name = found.group(1)
        if name in included:
            return f"-- {name} is included above"
        included.add(name)
        file = next(file for folder in folders if (file := folder / f"{name}.lua").exists())
        return _expand(file.read_text(), included, folders)

    return _INCLUDE.sub(include, text)


class _Client(Protocol):
    async def execute_command(self, *args: Any, **options: Any) -> Any: ...


def refusal(text: str) -> str:
    """The error reply that a script met, beginning with its code: Redis before 7 puts where it happened in front of it."""
    wrapped = _WRAPPED.match(text)
    return text[wrapped.end() :].rstrip() if wrapped else text


def run_blocking(client: Any, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
    """``run`` for a synchronous client."""
    try:
        return client.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
    except NoScriptError:
        return client.execute_command("EVAL", script.text, len(keys), *keys, *args)


async def run(client: _Client, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
    """Run a script by its hash; send its text when the server does not know it (first use, restart, SCRIPT FLUSH)."""
    try:
        try:
            return await client.execute_command("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await client.execute_command("EVAL", script.text, len(keys), *keys, *args)
    except ResponseError as error:
        if (text := refusal(str(error))) == str(error):
            raise
        raise (ReadOnlyError if text.startswith("READONLY ") else ResponseError)(text) from error
