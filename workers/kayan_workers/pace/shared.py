"""At most so many a second over all workers: a pace that they share through Redis. Knows Redis, and nothing of what is paced.

Whoever wants to act asks for a moment and waits for it; moments are handed out in one atomic step, by the server's clock. Where
somebody else says what the limit is, one worker at a time asks them, and all go by the answer.

The pace is a courtesy to whoever sets the limit. They enforce it themselves, so without Redis everybody simply goes ahead.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from kayan_workers.bull import scripts
from kayan_workers.errors import NotNowError, TemporaryError

if TYPE_CHECKING:
    from kayan_workers.bull.scripts import Script
    from kayan_workers.bull.server import Server

log = logging.getLogger(__name__)

WINDOW_MS = 1_100
"""The window in which no more than a second's worth goes. Longer than a second by what a network may delay one of them and not the next."""
HORIZON_MS = 5_000
"""How far ahead a moment is handed out. Whoever comes when all of that is taken asks again later: nobody waits for what may change."""
ASKING_MS, FRESH_MS, KEPT_MS = 10_000, 300_000, 3_600_000
"""How long one worker may take to find out the limit; when it is asked for again; how long it holds when nobody can be asked."""
UNKNOWN_MS = 60_000
"""How long everybody goes without a limit after nobody could tell it."""
FIRST_HOLD_MS, LONGEST_HOLD_MS, HOLD_MEMORY_MS = 500, 16_000, 30_000
"""The pauses after being told to slow down: doubled each time that happens within the memory of the last one."""

_UNREACHABLE_SECONDS = 5.0
"""Redis that did not answer is left alone for so long: a mail must not wait for its time limit."""


class _Answer(NamedTuple):
    verdict: str
    wait_seconds: float
    asks: bool
    why: str


class SharedPace:
    """The pace of one thing. Serves many threads; connects when first asked for a moment."""

    def __init__(self, server: Server, name: str) -> None:
        """All that give the same ``name`` (``ses:123456789012:eu-central-1``) and speak to the same Redis share a pace."""
        self._server = server
        self._key = f"kayan:pace:{{{name}}}:"  # with a hash tag, so that a cluster keeps the keys together
        self._redis: Any = None
        self._away_until = 0.0

    def wait(self, count: int, *, until: float, stop: threading.Event, read_limit: Callable[[], float]) -> None:
        """Return when ``count`` more may go.

        ``until`` is the latest time (``time.monotonic``) to ask for a moment, which may then be up to HORIZON_MS away. ``read_limit``
        finds out how many a second are allowed, 0 when that cannot be told; it is called by one worker every few minutes.
        Raises NotNowError when there is no room by then, or for a long time; TemporaryError when ``stop`` is set meanwhile.
        """
        while True:
            answer = self._reserve(count)
            if answer is None:
                return
            if answer.asks:
                self._learn(read_limit())
            match answer.verdict:
                case "granted":
                    _sleep(answer.wait_seconds, stop)
                    return
                case "closed":
                    soon = answer.wait_seconds * random.uniform(1.0, 1.1)  # noqa: S311  so that not all come back at once
                    raise NotNowError(answer.why, again_in_seconds=soon)
                case "full":
                    if time.monotonic() >= until:
                        soon = answer.wait_seconds * random.uniform(1.0, 3.0)  # noqa: S311
                        raise NotNowError("more is to be sent than is allowed in a second, so this waits its turn", again_in_seconds=soon)
                    _sleep(random.uniform(0.5, 1.5), stop)  # noqa: S311
                case _:  # somebody is finding out the limit
                    if time.monotonic() >= until:
                        return
                    _sleep(0.0 if answer.asks else 0.05, stop)

    def slow_down(self) -> float:
        """We went too fast, says whoever sets the limit: everybody waits a moment. Returns how many seconds; 0 when they do already."""
        reply = self._run("hold", ("held", "last_hold"), (FIRST_HOLD_MS, LONGEST_HOLD_MS, HOLD_MEMORY_MS))
        return float(reply or 0) / 1000

    def close(self, seconds: float, why: str) -> bool:
        """Let nobody go for so long, and tell everybody ``why``. False when that is known already, or Redis is away."""
        before = self._call(lambda redis: (redis.set(f"{self._key}held", why, px=round(seconds * 1000), get=True),))
        return before in ((None,), (b"throttled",))

    def disconnect(self) -> None:
        if self._redis is not None:
            self._redis.close()

    # -- Redis ---------------------------------------------------------------------------------------------------------------

    def _reserve(self, count: int) -> _Answer | None:
        """None: Redis is away."""
        reply = self._run("reserve", ("limit", "asking", "taken", "held"), (count, HORIZON_MS, WINDOW_MS, ASKING_MS))
        return None if reply is None else _Answer(reply[0].decode(), reply[1] / 1000, reply[2] == 1, reply[3].decode())

    def _learn(self, limit: float) -> None:
        """Write down how many a second are allowed; 0, when that could not be found out, leaves what is known."""
        def write(redis: Any) -> None:
            redis.set(f"{self._key}limit", limit, px=KEPT_MS if limit else UNKNOWN_MS, nx=not limit)
            redis.set(f"{self._key}asking", 1, px=FRESH_MS if limit else UNKNOWN_MS)

        self._call(write)

    def _run(self, name: str, keys: Sequence[str], args: Sequence[object]) -> Any:
        script = _script(name)
        return self._call(lambda redis: scripts.run_blocking(redis, script, [self._key + key for key in keys], args))

    def _call(self, command: Callable[[Any], Any]) -> Any:
        """What ``command`` returns; None when Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            if self._redis is None:
                self._redis = self._server.blocking_client()
            return command(self._redis)
        except (RedisError, OSError) as error:
            log.debug("the pace is not kept while Redis is away: %s", error)
            self._away_until = time.monotonic() + _UNREACHABLE_SECONDS
            self._redis = None  # a master may have become a replica: the next client asks for the new one
            return None


@cache
def _script(name: str) -> Script:
    return scripts.read(Path(__file__).parent / f"{name}.lua")


def _sleep(seconds: float, stop: threading.Event) -> None:
    if stop.wait(seconds) if seconds > 0 else stop.is_set():
        raise TemporaryError("stopped while waiting for its turn")
