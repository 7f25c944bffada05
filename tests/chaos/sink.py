"""Where the effects of the jobs go: a Redis of its own that nobody disturbs, guarded the way processors guard theirs.

An effect is recorded under queue, job id and the job's time stamp, as in the ledger, and applied to its payload only when that record
is new. So a job may run any number of times; but should an add make two jobs of one, or an id be given twice, the payload shows it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import redis

APPLIED, EFFECTS, AT, RUNS, RUNNING, OVERLAPS = "applied", "effects", "at", "runs", "running", "overlaps"

# KEYS 1 runs 2 running 3 overlaps; ARGV 1 worker, then payload numbers. A run overlaps when another worker that lives runs it too.
_BEGIN = """
for at = 2, #ARGV do
  redis.call("HINCRBY", KEYS[1], ARGV[at], 1)
  local other = redis.call("HGET", KEYS[2], ARGV[at])
  if other and other ~= ARGV[1] then redis.call("INCR", KEYS[3]) end
  redis.call("HSET", KEYS[2], ARGV[at], ARGV[1])
end
"""

# KEYS 1 applied 2 effects 3 at; ARGV 1 now, then pairs of record and payload number
_APPLY = """
for at = 2, #ARGV, 2 do
  if redis.call("SADD", KEYS[1], ARGV[at]) == 1 then
    redis.call("HINCRBY", KEYS[2], ARGV[at + 1], 1)
    redis.call("HSETNX", KEYS[3], ARGV[at + 1], ARGV[1])
  end
end
"""

# KEYS 1 running; ARGV 1 worker, then payload numbers
_END = """
for at = 2, #ARGV do
  if redis.call("HGET", KEYS[1], ARGV[at]) == ARGV[1] then redis.call("HDEL", KEYS[1], ARGV[at]) end
end
"""


class Work(Protocol):
    """What the sink needs of a job."""

    queue: str
    id: str
    timestamp_ms: int
    data: Any


@dataclass(frozen=True, slots=True)
class Sink:
    """``client`` is a redis-py client, plain or asyncio; with the latter every method returns an awaitable."""

    client: Any
    worker: str

    def begin(self, jobs: Sequence[Work]) -> Any:
        """Handlers have begun."""
        return self.client.eval(_BEGIN, 3, RUNS, RUNNING, OVERLAPS, self.worker, *(job.data["n"] for job in jobs))

    def apply(self, jobs: Sequence[Work]) -> Any:
        """The jobs' effects, once each however often this is called."""
        pairs = [part for job in jobs for part in (f"{job.queue}:{job.id}:{job.timestamp_ms}", job.data["n"])]
        return self.client.eval(_APPLY, 3, APPLIED, EFFECTS, AT, time.time(), *pairs)

    def end(self, jobs: Sequence[Work]) -> Any:
        return self.client.eval(_END, 1, RUNNING, self.worker, *(job.data["n"] for job in jobs))


def bury(client: redis.Redis[bytes] | redis.Redis, worker: str) -> int:
    """Forget what a killed worker was running; returns how many handlers died with it."""
    running: dict[bytes, bytes] = client.hgetall(RUNNING)  # type: ignore[assignment]
    died = [number for number, holder in running.items() if holder.decode() == worker]
    if died:
        client.hdel(RUNNING, *died)
    return len(died)
