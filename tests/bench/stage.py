"""The stage both sides play on: a Redis of the measurement's own, jobs as the web app queues them, and Redis' own books."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis_process
from redis.asyncio import Redis

PAYLOAD = {
    "type": "ASSET_VIEW", "assetId": "cm3v8k2pq0001l80x4h2a9d7e", "userId": "cm3v8k2pq0000l80xw9zt1b6c", "data": {"source": "gallery"},
    "timestamp": "2026-11-23T09:41:07.192Z",
}
"""What the app's analytics queue carries, the busiest of the seven."""

OPTIONS = {"removeOnComplete": 100, "removeOnFail": 500, "attempts": 3, "backoff": {"type": "exponential", "delay": 2000}, "delay": 0}

# Writes hashes as both producers write them, and their ids to a list that nobody watches yet.
_FILL = """
local base, first, last, data, opts, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local ids = {}
for id = first, last do
  redis.call("HSET", base .. id, "name", "__default__", "data", data, "opts", opts, "timestamp", now, "delay", 0, "priority", 0)
  ids[#ids + 1] = id
end
redis.call("SET", base .. "id", last)
redis.call("LPUSH", base .. "stage", unpack(ids))
"""

# Commands that a consumer or producer of either side sends itself on its busy path. Others occur inside scripts, whose time
# EVALSHA includes already, as EXEC's includes what it executes. SREM occurs in both places; all of it is counted, which is to our
# disadvantage.
_SENT_BY_CLIENTS = ("evalsha", "eval", "brpoplpush", "blmove", "blpop", "srem")


@dataclass(frozen=True, slots=True)
class Books:
    """What Redis has counted so far."""

    commands: int
    """All commands, those inside scripts too."""
    cpu: float
    """Seconds of CPU."""
    script_usec: float
    """Time of the commands that clients sent, in microseconds; what scripts ran is part of theirs."""


@dataclass
class Stage:
    """One Redis and what is needed to measure on it."""

    server: redis_process.RedisProcess
    jobs: int
    rounds: int
    seconds: float
    """How long a timed window lasts."""
    profile: bool
    scalers: int = 1000
    """QueueScalers of the operator's suite."""
    profiles: dict[str, str] = field(default_factory=dict)
    """Title -> where the time went."""
    notes: list[str] = field(default_factory=list)
    """What whoever reads the table has to know."""

    @property
    def url(self) -> str:
        return self.server.url

    def client(self) -> Redis:
        return Redis.from_url(self.url, decode_responses=True)

    async def fill(self, queue: str, jobs: int) -> None:
        """Put ``jobs`` jobs in place, but where no worker looks; ``release`` lets them go."""
        now = time.time_ns() // 1_000_000
        async with self.client() as client:
            first = int(await client.get(f"bull:{queue}:id") or 0) + 1
            opts = json.dumps({**OPTIONS, "timestamp": now}, separators=(",", ":"))
            for start in range(first, first + jobs, 2000):
                last = min(start + 1999, first + jobs - 1)
                data = json.dumps(PAYLOAD, separators=(",", ":"))
                await client.eval(_FILL, 0, f"bull:{queue}:", start, last, data, opts, now)  # type: ignore[misc]

    async def release(self, queue: str) -> None:
        async with self.client() as client:
            await client.rename(f"bull:{queue}:stage", f"bull:{queue}:wait")

    async def books(self) -> Books:
        async with self.client() as client:
            stats, cpu, commands = await client.info("stats"), await client.info("cpu"), await client.info("commandstats")
        return Books(
            stats["total_commands_processed"], cpu["used_cpu_user"] + cpu["used_cpu_sys"],
            sum(commands.get(f"cmdstat_{name}", {"usec": 0})["usec"] for name in _SENT_BY_CLIENTS),
        )

    async def empty(self) -> None:
        async with self.client() as client:
            await client.flushdb()


@contextmanager
def stage(**how: Any) -> Iterator[Stage]:
    """A Redis without persistence, as long as the block."""
    with redis_process.running("--appendonly", "no") as server:
        yield Stage(server, **how)


def resident_mb(pid: int) -> float:
    """The resident memory of a process in MB (10^6 bytes), as the kernel counts it."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        fields: Mapping[str, str] = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmRSS"].split()[0]) * 1024 / 1e6
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout) * 1024 / 1e6


def family(pid: int) -> list[int]:
    """A process and all that descend from it. Linux only."""
    children = [int(child) for thread in Path(f"/proc/{pid}/task").iterdir() for child in (thread / "children").read_text().split()]
    return [pid, *(each for child in children for each in family(child))]


def peak_mb(pid: int) -> float:
    """The most memory in MB that a process and those that descend from it have each had resident, added up. Linux only."""
    statuses = [dict(line.split(":", 1) for line in Path(f"/proc/{each}/status").read_text().splitlines()) for each in family(pid)]
    return sum(int(status["VmHWM"].split()[0]) * 1024 / 1e6 for status in statuses)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and those that descend from it. Linux only."""
    fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in family(pid)]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
