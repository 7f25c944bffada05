"""The two sides as processes that do what they are told: ``peer.py`` with this library, ``node/peer.js`` with Bull.

Both understand the same requests, one JSON line each, so that a suite never knows which side it talks to.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from wire import node_packages

TESTS = Path(__file__).resolve().parent.parent
SHARP = TESTS / "bench" / "node"
"""Where npm installs sharp, which only the pictures need."""

Side = Literal["ours", "bull"]
SIDES: tuple[Side, Side] = ("ours", "bull")


class PeerFailedError(Exception):
    """A side could not do what it was asked; the text is its own."""


def command(side: Side, redis_url: str, *more: str) -> tuple[list[str], Mapping[str, str]]:
    """How to start a side's process: arguments and environment."""
    if side == "ours":
        return [sys.executable, "-m", "bench.peer", redis_url, *more], dict(os.environ)
    # One npm install serves the wire tests and this: node finds it by NODE_PATH.
    environment = os.environ | {"NODE_PATH": str(node_packages.FOLDER / "node_modules"), "NODE_ENV": "production"}
    return [node_packages.node(), str(TESTS / "bench" / "node" / "peer.js"), redis_url, *more], environment


class Obedient:
    """A process that answers requests. ``async with Obedient("bull", arguments, environment) as peer: await peer.ask("ping")``."""

    def __init__(self, side: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.side = side
        self._arguments = arguments
        self._environment = environment
        self._ids = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._process: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments, cwd=TESTS, env=self._environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**26,
        )
        self._reader = asyncio.create_task(self._read())
        await self.ask("ping")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, op: str, *, within: float = 300, **args: Any) -> Any:
        """Make a request and wait for its answer. Raises PeerFailedError with the other side's message."""
        assert self._process.stdin is not None
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._calls[number] = answer
        self._process.stdin.write(json.dumps({"id": number, "op": op, **args}).encode() + b"\n")
        try:
            return await asyncio.wait_for(answer, within)
        except TimeoutError:
            del self._calls[number]
            raise PeerFailedError(f"{self.side}: no answer to {op} within {within:g} s") from None

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = json.loads(line)
            answer = self._calls.pop(message["id"], None)
            if answer is None or answer.done():
                continue
            if "error" in message:
                answer.set_exception(PeerFailedError(f"{self.side}: {message['error']}"))
            else:
                answer.set_result(message.get("value"))
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(PeerFailedError(f"{self.side}: the process has ended"))


class Peer(Obedient):
    """One process of one side. ``async with Peer(side, url) as peer: await peer.ask("work", queue="q", concurrency=10)``."""

    def __init__(self, side: Side, redis_url: str) -> None:
        super().__init__(side, *command(side, redis_url))


class Crew:
    """Workers of one side, spread evenly over a few processes."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        self.peers = peers

    async def ask(self, op: str, **args: Any) -> list[Any]:
        return await asyncio.gather(*(peer.ask(op, **args) for peer in self.peers))

    async def total(self, op: str, **args: Any) -> float:
        return float(sum(await self.ask(op, **args)))

    async def handled(self, count: int, *, within: float = 120) -> None:
        """Wait until these workers have completed ``count`` jobs together since the last ``reset``."""
        async with asyncio.timeout(within):
            while await self.total("count") < count:
                await asyncio.sleep(0.05)
