"""The three worker processes: started, killed in one of two ways, and replaced at once, as Kubernetes would."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

import redis
from chaos import sink

_TESTS = Path(__file__).resolve().parent.parent
_FUSE_SECONDS = 4.0
"""How long a fuse may take: a worker with little to do sends few commands."""


class Crew:
    """Keeps ``size`` workers alive."""

    def __init__(self, size: int, redis_url: str, sink_url: str, settings: dict[str, object]) -> None:
        self._size = size
        self._arguments = (redis_url, sink_url, json.dumps(settings))
        self._sink = redis.Redis.from_url(sink_url)
        self._members: dict[str, asyncio.subprocess.Process] = {}
        self._doomed: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._born = 0
        self._leaving = False
        self.told: Counter[str] = Counter()
        """Event -> how often a worker told it."""
        self.warnings: Counter[str] = Counter()
        self.kills = 0
        self.died_running = 0
        """Handlers that were running when their worker was killed."""
        self.unexpected: list[str] = []
        """Workers that ended by themselves."""

    async def start(self) -> None:
        for _ in range(self._size):
            await self._hire()

    async def kill(self, dice: random.Random) -> None:
        """kill -9, at whatever instant this is."""
        await self._kill(await self._victim(dice))

    async def light(self, dice: random.Random) -> None:
        """Have a worker kill itself at one of its next commands to Redis: instants that chance alone would hardly hit."""
        name = await self._victim(dice)
        process = self._members[name]
        assert process.stdin is not None
        process.stdin.write(f"fuse {dice.randint(1, 40)} {dice.choice(['before', 'sent', 'answered'])}\n".encode())
        try:
            await asyncio.wait_for(process.wait(), _FUSE_SECONDS)
        except TimeoutError:
            await self._kill(name)

    async def leave(self) -> list[int]:
        """Let everybody finish and go; returns the exit codes, -9 for who did not go within 60 seconds."""
        self._leaving = True
        codes = await asyncio.gather(*(self._dismiss(process) for process in self._members.values()))
        await asyncio.gather(*self._tasks)
        self._sink.close()
        return list(codes)

    async def _victim(self, dice: random.Random) -> str:
        """A worker that nobody is about to kill already: each kill is to be one."""
        while not (alive := [name for name in self._members if name not in self._doomed]):
            await asyncio.sleep(0.05)
        name = dice.choice(alive)
        self._doomed.add(name)
        return name

    # -- inside --------------------------------------------------------------------------------------------------------------

    async def _hire(self) -> None:
        self._born += 1
        name = f"worker-{self._born}"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "chaos.worker", name, *self._arguments, cwd=_TESTS, env=os.environ,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        self._members[name] = process
        task = asyncio.create_task(self._look_after(name, process), name=name)
        self._tasks.add(task)

    async def _look_after(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Listen to a worker until it ends, and replace it."""
        assert process.stdout is not None
        async for line in process.stdout:
            event = json.loads(line)
            self.told[event["event"]] += event["count"]
            if event["event"] == "warning":
                self.warnings[f"{event['queue']}: {event['text']}"] += 1
        code = await process.wait()
        if self._leaving:
            return
        del self._members[name]
        if code == -9:
            self.kills += 1
            self.died_running += sink.bury(self._sink, name)
        else:
            self.unexpected.append(f"{name} ended with {code}")
        await self._hire()

    async def _kill(self, name: str) -> None:
        if process := self._members.get(name):
            process.kill()
            await process.wait()

    async def _dismiss(self, process: asyncio.subprocess.Process) -> int:
        assert process.stdin is not None
        process.stdin.close()
        try:
            return await asyncio.wait_for(process.wait(), 60)
        except TimeoutError:
            process.kill()
            return -9
