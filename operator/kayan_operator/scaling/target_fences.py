"""The fences of one target's pods, wherever its queues are."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from kayan_workers.bull.keys import Keys
from kayan_workers.bull.server import Server
from redis.exceptions import RedisError

from kayan_operator.decision.policy import Queue
from kayan_operator.queues.fences import (
    FENCE_SECONDS,
    Busy,
    Chosen,
    Fences,
    OutdatedTermError,
    Term,
    UnfenceableError,
    choose_on_all,
    places,
    sum_of,
)

_TTL_MS = round(FENCE_SECONDS * 1000)


class TargetFences:
    """Fences on every server that has one of ``queues``, for one leadership. UnfenceableError comes when they are first used."""

    def __init__(self, servers: Mapping[str, Server], queues: Sequence[Queue], term: Term) -> None:
        self._servers = servers
        self._queues = queues
        self._term = term
        self._places: list[Fences] | None = None

    async def begin(self) -> None:
        """A server that is away, or whose queues cannot be fenced, will hear of the term with the first fence."""
        try:
            places = self._everywhere()
        except UnfenceableError:
            return
        for outcome in await asyncio.gather(*(place.begin() for place in places), return_exceptions=True):
            if isinstance(outcome, OutdatedTermError) or (outcome and not isinstance(outcome, RedisError | OSError)):
                raise outcome

    async def choose(self, candidates: Sequence[str], count: int) -> Chosen:
        return await choose_on_all(self._everywhere(), candidates, count, ttl_ms=_TTL_MS)

    async def fence(self, pods: Collection[str]) -> None:
        await asyncio.gather(*(place.fence(pods, ttl_ms=_TTL_MS) for place in self._everywhere()))

    async def keep(self, pods: Collection[str]) -> bool:
        kept = await asyncio.gather(*(place.renew(pods, ttl_ms=_TTL_MS) for place in self._everywhere()))
        return all(standing == set(pods) for standing in kept)

    async def lift(self, pods: Collection[str]) -> None:
        await asyncio.gather(*(place.lift(pods) for place in self._everywhere()))

    async def busy(self) -> Mapping[str, Busy]:
        busy: dict[str, Busy] = {}
        for found in await asyncio.gather(*(place.busy() for place in self._everywhere())):
            busy = sum_of(busy, found)
        return busy

    def _everywhere(self) -> list[Fences]:
        if self._places is None:
            by_server: dict[str, list[Keys]] = {}
            for queue in self._queues:
                by_server.setdefault(queue.redis, []).append(Keys(queue.name, queue.prefix))
            self._places = [place for name, keys in by_server.items() for place in places(self._servers[name], keys, self._term)]
        return self._places
