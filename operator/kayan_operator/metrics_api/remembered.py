"""Answers that are kept for a while, and asked for once however many want them at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


_FRESH = 0.75


@dataclass(slots=True)
class _Kept(Generic[V]):
    answer: V
    answered: float
    refresh: float
    ask_again: float


class Remembered(Generic[K, V]):
    """What ``ask`` says of a key, for ``seconds(answer)``; a bounded number of keys, of which the oldest answers go first.

    An answer that somebody wants in the last quarter of its time is asked for anew meanwhile, so that nobody waits who comes after it.

    When asking fails, an old answer serves on where ``outlives(answer)`` seconds have not passed since it was given, and asking is
    tried again after ``retry_seconds``; else the failure is the caller's. ``clock`` counts seconds.
    """

    def __init__(
        self, ask: Callable[[K], Awaitable[V]], *, seconds: Callable[[V], float], clock: Callable[[], float],
        outlives: Callable[[V], float] = lambda _: 0.0, retry_seconds: float = 10.0, limit: int = 4096,
    ) -> None:  # fmt: skip
        self._ask = ask
        self._seconds, self._outlives = seconds, outlives
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._limit = limit
        self._kept: dict[K, _Kept[V]] = {}
        self._asking: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K) -> V:
        """The answer for a key. Raises what asking raises."""
        kept = self._kept.get(key)
        if kept and (now := self._clock()) < kept.ask_again:
            if now >= kept.refresh:
                self._begin_to_ask(key)
            return kept.answer
        self._begin_to_ask(key)
        # one caller that goes away does not take the answer from the others
        return await asyncio.shield(self._asking[key])

    def _begin_to_ask(self, key: K) -> None:
        if key not in self._asking:
            self._asking[key] = asking = asyncio.create_task(self._asked(key))
            # where all callers have gone, nobody is there to hear of a failure
            asking.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _asked(self, key: K) -> V:
        try:
            answer = await self._ask(key)
        except Exception:
            kept, now = self._kept.get(key), self._clock()
            if kept and now < kept.ask_again:  # nobody needs it yet
                kept.refresh = kept.ask_again
                return kept.answer
            if kept is None or now >= kept.answered + self._outlives(kept.answer):
                raise
            kept.refresh = kept.ask_again = now + self._retry_seconds
            return kept.answer
        else:
            self._keep(key, answer)
            return answer
        finally:
            del self._asking[key]

    def _keep(self, key: K, answer: V) -> None:
        now = self._clock()
        self._kept.pop(key, None)
        seconds = self._seconds(answer)
        self._kept[key] = _Kept(answer, now, now + _FRESH * seconds, now + seconds)
        while len(self._kept) > self._limit:
            del self._kept[next(iter(self._kept))]
