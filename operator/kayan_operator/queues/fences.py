"""Fences: pods that claim nothing more, and how to find some that hold no job, in one atomic step.

    [fences] = places(server, [Keys("thumbnail-generation")], Term(lease_uid, 7))
    chosen = await fences.choose(["thumbnail-7", "thumbnail-3"], 1, ttl_ms=60_000)
    ... lower the number of replicas by len(chosen.idle), see who is gone, and lift the fences of the others

A fence is a key with a time to live that every claim looks for. It needs no answer from its pod: from the moment it stands the pod gets
no job, and the jobs it has it finishes. Redis errors pass through: whoever cannot read the locks must not end anybody.

Fences belong to the leader of the newest term that has touched any on that Redis. Whoever led before and does not know yet that it no
longer does is refused: it can neither lift what its successor has fenced nor fence anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from kayan_workers.bull import scripts
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.keys import term as key_of_term
from kayan_workers.bull.scripts import Script
from kayan_workers.bull.server import Server
from redis.exceptions import RedisError, ResponseError

_LUA = Path(__file__).parent / "lua"
CHOOSE, FENCE, RENEW, LIFT = (scripts.read(_LUA / f"{name}.lua") for name in ("choose", "fence", "renew", "lift"))

FENCE_SECONDS = 30.0
"""How long a fence of a scale-in stands when nobody renews it."""

AT_ONCE = 2000
"""Of how many active jobs the locks are read in one call: a millisecond or two of Redis."""

MOST_AT_ONCE = 5000
"""With more active jobs than that no pods are chosen in one step: it takes about a millisecond of Redis for each thousand."""


class Term(NamedTuple):
    """One leadership. ``number`` rises with each that ``lease`` (a Lease's uid, so no two clusters' are mixed up) has seen."""

    lease: str
    number: int


class OutdatedTermError(RedisError):
    """A later term has begun: whoever asked does not lead any more. Nothing was done."""


class UnfenceableError(Exception):
    """Queues whose locks and fences no script can read in one step. Says what to change."""


@dataclass(frozen=True, slots=True)
class Busy:
    """What a pod is at."""

    jobs: int
    oldest_started_seconds: float | None
    """How long ago the first of them was started; None when their hashes do not say."""

    def __add__(self, other: Busy) -> Busy:
        started = [age for age in (self.oldest_started_seconds, other.oldest_started_seconds) if age is not None]
        return Busy(self.jobs + other.jobs, max(started, default=None))


@dataclass(frozen=True, slots=True)
class Chosen:
    """``idle`` pods are fenced now, in the order of the candidates; ``busy`` are all that hold jobs, candidates or not."""

    idle: tuple[str, ...]
    busy: Mapping[str, Busy]


class Fences:
    """The fences of the pods that serve some queues of one Redis, in the hands of one term. Made by ``places``."""

    def __init__(self, server: Server, queues: Sequence[Keys], term: Term) -> None:
        self._server = server
        self._queues = queues
        self._term = term
        self._term_key = key_of_term(term.lease, queues[0].base if server.address.cluster else "")
        self._heads = tuple(dict.fromkeys(keys.fence() for keys in queues))

    def __str__(self) -> str:
        return str(self._server.address)

    async def choose(self, candidates: Sequence[str], count: int, *, ttl_ms: int) -> Chosen:
        """Fence up to ``count`` of the candidates, the best victims first, that hold no job of any of these queues.

        One step of Redis: between the look at the locks and the fence no claim fits in. With more than a few thousand active jobs it would
        hold Redis up; then pods are fenced first and looked at afterwards, in parts, and whoever has jobs is let go again.
        A candidate that is fenced already is as good as any other; its fence then stands ``ttl_ms`` from now.
        """
        args = (count, ttl_ms, MOST_AT_ONCE, 0, *self._names(self._queues), *candidates)
        reply = await self._run(CHOOSE, [keys.active for keys in self._queues], args)
        if isinstance(reply, int):
            return await self._choose_of_many(candidates, count, ttl_ms)
        return Chosen(tuple(pod.decode() for pod in reply[0]), _busy(reply))

    async def _choose_of_many(self, candidates: Sequence[str], count: int, ttl_ms: int) -> Chosen:
        """A fenced pod gets no job any more: what it holds is among those that are active now, and a look at these in parts misses none."""
        busy, idle, were_fenced = await self.busy(), list[str](), await self.fenced(candidates)
        pool = [pod for pod in candidates if pod not in busy]
        while pool and len(idle) < count:
            some = pool[: count - len(idle)]
            pool = pool[len(some) :]
            try:
                await self.fence(some, ttl_ms=ttl_ms, why="scale-in")
                busy = await self.busy()
                await self.lift([pod for pod in some if pod in busy and pod not in were_fenced])
            except BaseException:
                with contextlib.suppress(RedisError, OSError):
                    await self.lift([pod for pod in (*idle, *some) if pod not in were_fenced])
                raise
            idle += [pod for pod in some if pod not in busy]
        return Chosen(tuple(idle), busy)

    async def busy(self) -> dict[str, Busy]:
        """Who holds jobs, how many and since when, of the jobs that are active at one moment."""
        found: dict[str, Busy] = {}
        for keys in self._queues:
            ids = await self._server.commands.execute_command("LRANGE", keys.active, 0, -1)
            for first in range(0, len(ids), AT_ONCE):
                some = ids[first : first + AT_ONCE]
                reply = await self._run(CHOOSE, [keys.active], (0, 1, 0, len(some), *self._names([keys]), *some))
                found = sum_of(found, _busy(reply))
        return found

    def _names(self, queues: Sequence[Keys]) -> tuple[Any, ...]:
        return (len(self._heads), *self._heads, *(keys.base for keys in queues))

    async def fence(self, pods: Collection[str], *, ttl_ms: int, why: str = "drain") -> None:
        """Let pods claim nothing more, busy or not."""
        if pods:
            await self._run(FENCE, self._keys(pods), (ttl_ms, why))

    async def renew(self, pods: Collection[str], *, ttl_ms: int) -> set[str]:
        """Let standing fences stand longer. Returns the pods whose fence stands; others may have claimed since theirs fell."""
        if not pods:
            return set()
        renewed = await self._run(RENEW, self._keys(pods), (ttl_ms,))
        return self._standing(pods, renewed)

    async def lift(self, pods: Collection[str]) -> None:
        """Let pods claim again."""
        if pods:
            await self._run(LIFT, self._keys(pods), ())

    async def begin(self) -> None:
        """Make the term known, so that from now on no older one touches a fence here."""
        await self._run(LIFT, (), ())

    async def fenced(self, pods: Collection[str]) -> set[str]:
        """Those of the pods that may claim nothing now."""
        if not pods:
            return set()
        return self._standing(pods, await self._server.commands.execute_command("MGET", *self._keys(pods)))

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        try:
            return await self._server.run(script, [self._term_key, *keys], (self._term.number, *args))
        except ResponseError as error:
            if str(error).startswith("OUTDATED "):
                raise OutdatedTermError(str(error).partition(" ")[2]) from error
            raise

    def _keys(self, pods: Iterable[str]) -> list[str]:
        return [head + pod for pod in pods for head in self._heads]

    def _standing(self, pods: Iterable[str], fences: Sequence[Any]) -> set[str]:
        """``fences`` are of ``_keys``; a pod is fenced when none of its is missing."""
        width = len(self._heads)
        return {pod for n, pod in enumerate(pods) if all(fences[n * width : (n + 1) * width])}


def _busy(reply: Sequence[Any]) -> dict[str, Busy]:
    _, flat, now_ms = reply
    return {
        flat[at].decode(errors="replace"): Busy(flat[at + 1], max(0, now_ms - flat[at + 2]) / 1000 if flat[at + 2] >= 0 else None)
        for at in range(0, len(flat), 3)
    }


def places(server: Server, queues: Iterable[Keys], term: Term) -> list[Fences]:
    """The queues of one server that one script can see together: all of them, in a cluster those with the same hash tag.

    Raises UnfenceableError for a queue of a cluster without one: its locks and the fences lie on different nodes.
    """
    queues = list(queues)
    if not server.address.cluster:
        return [Fences(server, queues, term)]
    groups: dict[str, list[Keys]] = {}
    for keys in queues:
        if keys.hash_tag is None:
            raise UnfenceableError(
                f"queue {keys.queue} of prefix {keys.prefix} has no hash tag, so the cluster at {server.address} keeps its locks and the "
                f"fences on different nodes, and no pod can be ended safely: use a prefix such as {{{keys.prefix}}}"
            )
        groups.setdefault(keys.hash_tag, []).append(keys)
    return [Fences(server, group, term) for group in groups.values()]


async def choose_on_all(everywhere: Sequence[Fences], candidates: Sequence[str], count: int, *, ttl_ms: int) -> Chosen:
    """``choose`` for pods that serve queues of several places: idle are those that hold no job anywhere, fenced everywhere.

    Each is fenced in one place after the other; whom a later place finds busy has its fences lifted, and another takes its turn. An error
    of one place lifts what was fenced here, as far as can be, and passes through. Fences that stood before go on standing.
    """
    if len(everywhere) == 1:
        return await everywhere[0].choose(candidates, count, ttl_ms=ttl_ms)
    busy: dict[str, Busy] = {}
    for found in await asyncio.gather(*(place.busy() for place in everywhere)):
        busy = sum_of(busy, found)
    were_fenced = await asyncio.gather(*(place.fenced(candidates) for place in everywhere))
    pool, idle, touched = [pod for pod in candidates if pod not in busy], list[str](), set[str]()

    try:
        while pool and len(idle) < count:
            some = pool[: count - len(idle)]
            pool = pool[len(some) :]
            touched.update(some)
            free: Sequence[str] = some
            for place in everywhere:
                chosen = await place.choose(free, len(free), ttl_ms=ttl_ms)
                busy.update((pod, chosen.busy[pod]) for pod in free if pod in chosen.busy)
                free = chosen.idle
            for place, standing in zip(everywhere, were_fenced, strict=True):
                await place.lift(set(some) - set(free) - standing)
            idle += free
    except BaseException:
        for place, standing in zip(everywhere, were_fenced, strict=True):
            with contextlib.suppress(RedisError, OSError):
                await place.lift(touched - standing)
        raise
    return Chosen(tuple(idle), {pod: jobs for pod, jobs in busy.items() if pod not in idle})


def sum_of(some: Mapping[str, Busy], more: Mapping[str, Busy]) -> dict[str, Busy]:
    """Who is busy in two places together."""
    return {pod: some[pod] + more[pod] if pod in some and pod in more else some.get(pod) or more[pod] for pod in {**some, **more}}
