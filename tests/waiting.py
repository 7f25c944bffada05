"""Waiting for a condition instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any

EVERY = 0.01
"""Seconds between two looks at the condition."""


async def wait_until(condition: Callable[[], Any | Awaitable[Any]], timeout: float = 10, *, what: str = "") -> Any:
    """Ask ``condition`` (plain or async) until it is truthy and return what it said; AssertionError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or _source(condition)}; the last answer was {value!r}")
        await asyncio.sleep(EVERY)


def wait_until_ready(attempt: Callable[[], object], timeout: float, *, what: str) -> None:
    """Call ``attempt`` until it raises nothing. For servers that are starting; blocks the caller."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            attempt()
            return
        except Exception as error:
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} was not ready within {timeout} s: {error}") from error
            time.sleep(0.02)


def _source(condition: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(condition).strip()
    except OSError:
        return repr(condition)
