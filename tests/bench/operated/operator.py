"""The operator under measurement: a process of this machine, what it uses, and where its time goes."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from bench.peers import TESTS
from bench.stage import cpu_seconds
from cluster.operator_process import OperatorProcess
from prometheus_client.parser import text_string_to_metric_families
from redis_process import RedisProcess

_WRITES = ("POST", "PUT", "PATCH", "DELETE")
_PROFILE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Used:
    """What was used so far, or in a window."""

    cpu: float
    """Seconds."""
    commands: float
    """That Redis has processed, those inside scripts too."""
    writes: float
    """Requests to the Kubernetes API that change something, the Lease's renewals apart."""
    renewals: float
    reads: float

    def __sub__(self, before: Used) -> Used:
        return Used(self.cpu - before.cpu, self.commands - before.commands, self.writes - before.writes, self.renewals - before.renewals,
                    self.reads - before.reads)

    def each(self, seconds: float) -> Used:
        """Of a window: a second's share."""
        return Used(self.cpu / seconds, self.commands / seconds, self.writes / seconds, self.renewals / seconds, self.reads / seconds)


class Operator:
    """``async with operating(…) as operator``: it leads."""

    def __init__(self, process: OperatorProcess, redis: RedisProcess, profile: Path) -> None:
        self.process = process
        self._profile = profile
        self._redis = redis.client()  # one connection, so that our own commands are known

    @property
    def pid(self) -> int:
        assert self.process.process
        return self.process.process.pid

    async def used(self) -> Used:
        cpu, commands = cpu_seconds(self.pid), int(self._redis.info("stats")["total_commands_processed"])
        requests = await asyncio.to_thread(self._requests)
        return Used(
            cpu, commands,
            writes=sum(count for (verb, resource), count in requests.items() if verb in _WRITES and resource != "leases"),
            renewals=sum(count for (verb, resource), count in requests.items() if verb in _WRITES and resource == "leases"),
            reads=sum(count for (verb, _), count in requests.items() if verb not in _WRITES),
        )

    async def used_within(self, seconds: float) -> Used:
        """From now on, for so long."""
        before = await self.used()
        await asyncio.sleep(seconds)
        window = await self.used() - before
        return Used(window.cpu, window.commands - 1, window.writes, window.renewals, window.reads)  # ours: one INFO

    def connections(self) -> int:
        """To Redis, all but the one that asks. For while nobody else has any."""
        own = self._redis.client_id()
        return sum(int(client["id"]) != own for client in self._redis.client_list())

    async def metric(self, name: str, **labels: str) -> float:
        return await asyncio.to_thread(self.process.metric, name, **labels)

    @contextlib.asynccontextmanager
    async def sampled(self, into: dict[str, str], title: str) -> AsyncIterator[None]:
        """Where the time goes in the block."""
        self.process.signal(signal.SIGUSR1)
        yield
        self._profile.unlink(missing_ok=True)
        self.process.signal(signal.SIGUSR2)
        async with asyncio.timeout(_PROFILE_SECONDS):
            while not (self._profile.exists() and (text := self._profile.read_text())):
                await asyncio.sleep(0.05)
        into[title] = text

    def close(self) -> None:
        self._redis.close()

    def _requests(self) -> dict[tuple[str, str], float]:
        found: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(self.process.page("/metrics") or ""):
            for sample in family.samples:
                if sample.name == "kayan_operator_api_requests_total":
                    key = sample.labels["verb"], sample.labels["resource"]
                    found[key] = found.get(key, 0) + sample.value
        return found


@contextlib.asynccontextmanager
async def operating(namespace: str, redis: RedisProcess, **variables: str) -> AsyncIterator[Operator]:
    """An operator of one namespace, on this Redis, as long as the block. What it said is in the error when it does not start."""
    profile = Path(tempfile.mkdtemp(prefix="kayan-operator-profile-")) / "profile.txt"
    variables = {"KAYAN_BENCH_PROFILE": str(profile), "PYTHONPATH": str(TESTS), **variables}
    process = OperatorProcess(namespace, {"default": redis}, module="bench.operated.sampled_operator", **variables)
    starting = asyncio.create_task(asyncio.to_thread(process.start))
    try:
        await asyncio.shield(starting)
        operator = Operator(process, redis, profile)
        try:
            async with asyncio.timeout(60):
                while not await asyncio.to_thread(lambda: process.leads):
                    await asyncio.sleep(0.1)
            yield operator
        finally:
            operator.close()
    finally:
        await asyncio.wait([starting])  # cut short in the midst of it, there would be nothing to stop yet
        if process.process and process.process.poll() is None:
            await asyncio.to_thread(process.stop)
