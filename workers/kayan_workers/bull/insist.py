"""Calling Redis again until it answers, for calls that may be made twice without harm."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import ClusterDownError, ReadOnlyError, RedisError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from kayan_workers.bull.errors import QueueUnreachable
from kayan_workers.bull.server import is_credentials_error

_NOTHING_WAS_DONE = ("BUSY ", "NOREPLICAS", "MISCONF", "READONLY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN")
"""Replies by which Redis refuses a call before it runs, for reasons that pass."""

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 2.0

T = TypeVar("T")


async def insist(call: Callable[[], Awaitable[T]], *, deadline_seconds: float, what: str) -> T:
    """Make the call until Redis answers it, with growing, jittered pauses.

    ``what`` begins the message of the QueueUnreachable that is raised when ``deadline_seconds`` have passed. Errors that no
    waiting mends (wrong password, out of memory, a script's own) are raised at once.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + deadline_seconds
    pause = _FIRST_PAUSE
    while True:
        try:
            return await call()
        except (RedisError, OSError, TimeoutError) as error:
            if not may_pass(error):
                raise
            if loop.time() + pause > deadline:
                said = str(error).rstrip(".")
                raise QueueUnreachable(
                    f"{what}: Redis did not answer within {deadline_seconds:g} s ({said}); whether it has happened is unknown"
                ) from error
        await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311  jitter, not a secret
        pause = min(pause * 2, _LONGEST_PAUSE)


def may_pass(error: Exception) -> bool:
    """True when the same call may succeed later."""
    if isinstance(error, ReadOnlyError | ClusterDownError | TryAgainError):
        return True
    if isinstance(error, ResponseError):
        return str(error).startswith(_NOTHING_WAS_DONE)
    return isinstance(error, RedisConnectionError | RedisTimeoutError | OSError | TimeoutError) and not is_credentials_error(error)
