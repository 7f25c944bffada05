"""Ends tasks, also those that forget that they were told to."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE_SECONDS = 0.2


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and return when all have ended, whatever they raise.

    They are told again and again: redis-py waits with asyncio.wait_for, which in Python 3.11 forgets a cancellation
    that comes in the moment in which it returns.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        done, pending = await asyncio.wait(pending, timeout=_PATIENCE_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()  # asked for, so that asyncio does not complain


async def undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Await what has to be brought to its end, however often we are told to end meanwhile, which is passed on afterwards. It must bound its
    own time."""
    task, told = asyncio.create_task(work), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            told = True
    result = task.result()
    if told:
        raise asyncio.CancelledError
    return result


async def heard(work: Coroutine[Any, Any, T]) -> T:
    """Await the work such that a cancellation of ours ends it, even if it forgets the first one. What it still does then has to be short:
    it is told again and again."""
    task = asyncio.create_task(work)
    try:
        await asyncio.wait([task])
    finally:
        await end([task])
    return task.result()
