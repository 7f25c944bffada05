"""What goes wrong, and when: every fault at a random instant of the run, from one seed."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import redis
from chaos.crew import Crew
from proxy import Proxy
from redis_process import RedisProcess


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything. ``seconds`` is the time over which jobs are added and faults happen."""

    jobs: int
    seconds: float
    kills: int
    restarts: int
    flushes: int
    cuts: int
    swallows: int
    settings: dict[str, object]
    """Of every consumer: ConsumerSettings."""
    recovery_seconds: float = 120
    """How long after the last fault everything must be done."""


class Faults:
    """Does the damage, and writes down what it did."""

    def __init__(self, plan: Plan, server: RedisProcess, proxy: Proxy, crew: Crew, seed: int) -> None:
        self._plan, self._server, self._proxy, self._crew = plan, server, proxy, crew
        self._dice = random.Random(seed)
        self._server_busy = asyncio.Lock()
        self.done: dict[str, int] = {}

    async def run(self) -> None:
        """Everything of the plan, spread over its time; returns when all of it has happened."""
        kinds: list[tuple[str, Callable[[], Awaitable[None]], int]] = [
            ("kill -9", lambda: self._crew.kill(self._dice), self._plan.kills // 2),
            ("kill -9 at a command", lambda: self._crew.light(self._dice), self._plan.kills - self._plan.kills // 2),
            ("Redis killed and restarted", lambda: self._restart(kill=True), self._plan.restarts - self._plan.restarts // 2),
            ("Redis stopped and restarted", lambda: self._restart(kill=False), self._plan.restarts // 2),
            ("SCRIPT FLUSH", self._flush, self._plan.flushes),
            ("CLIENT KILL", self._client_kill, self._plan.cuts),
            ("all connections cut", self._cut, self._plan.cuts),
            ("reply swallowed", self._swallow, self._plan.swallows),
            ("request dropped", self._drop, self._plan.swallows),
            ("network silent", self._silence, max(1, self._plan.restarts)),
        ]
        begin, span = self._plan.seconds * 0.05, self._plan.seconds * 0.95
        async with asyncio.TaskGroup() as group:
            for name, fault, count in kinds:
                for _ in range(count):
                    group.create_task(self._later(self._dice.uniform(begin, span), name, fault))

    async def _later(self, seconds: float, name: str, fault: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(seconds)
        await fault()
        self.done[name] = self.done.get(name, 0) + 1

    # -- faults --------------------------------------------------------------------------------------------------------------

    async def _restart(self, *, kill: bool) -> None:
        async with self._server_busy:
            await asyncio.to_thread(self._server.kill if kill else self._server.stop)
            await asyncio.sleep(self._dice.uniform(0, 1))
            await asyncio.to_thread(self._server.start)

    async def _flush(self) -> None:
        await self._tell_server("SCRIPT", "FLUSH")

    async def _client_kill(self) -> None:
        await self._tell_server("CLIENT", "KILL", "TYPE", "normal")

    async def _tell_server(self, *command: str) -> None:
        async with self._server_busy:
            with contextlib.suppress(redis.RedisError), self._server.client() as client:
                await asyncio.to_thread(client.execute_command, *command)

    async def _cut(self) -> None:
        self._proxy.cut_all()

    async def _swallow(self) -> None:
        self._proxy.swallow_reply_to(b"EVALSHA")

    async def _drop(self) -> None:
        self._proxy.drop_request(b"EVALSHA")

    async def _silence(self) -> None:
        self._proxy.silent = True
        await asyncio.sleep(self._dice.uniform(0.1, 1))
        self._proxy.silent = False
