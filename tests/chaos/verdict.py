"""The books after a run: what was added against what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from chaos import sink
from chaos.workload import QUEUES
from redis_process import RedisProcess


@dataclass
class Verdict:
    """What a run came to. Good is: nothing in ``lost``, ``doubled``, ``leftovers`` and ``unexpected``."""

    jobs: int
    lost: list[str]
    """Payloads that never had an effect, and where their job stands."""
    doubled: list[str]
    """Payloads with more than one effect."""
    leftovers: list[str]
    """Job hashes in no list, locks nobody needs, entries without a hash."""
    runs: int
    """Handlers begun; retries and second runs after a kill make them more than the jobs."""
    overlaps: int
    """Runs that began while another living worker still ran the same job: its lock had been lost meanwhile."""
    waits: list[float]
    """Seconds from the time a job was due to its effect, sorted."""
    kills: int = 0
    died_running: int = 0
    seconds: float = 0
    seconds_of_trouble: float = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)

    def report(self) -> str:
        told = self.told
        median, most, longest = (_at(self.waits, share) for share in (0.5, 0.99, 1))
        lines = [
            "faults          " + ", ".join(f"{count}× {name}" for name, count in self.faults.items()),
            f"jobs            {self.jobs:,} added, {self.runs:,} handlers begun, {self.overlaps} runs overlapped another",
            f"killed          {self.kills} workers with {self.died_running} running handlers",
            f"stalled         {told['stalled']} counted, {told['forgiven']} put back uncounted (never begun), {told['given up']} given up",
            f"locks           {told['lost lock']} lost, {told['handed back']} jobs handed back",
            f"due → effect    median {median:.2f} s, 99 % within {most:.2f} s, the longest {longest:.2f} s",
            f"time            {self.seconds:.1f} s, of which {self.seconds_of_trouble:.1f} s under fire",
        ]
        lines += [f"warning         {count}× {text}" for text, count in self.warnings.most_common(8)]
        for name, some in (("UNEXPECTED", self.unexpected), ("LEFT OVER", self.leftovers), ("LOST", self.lost), ("DOUBLED", self.doubled)):
            lines += [f"{name:15} {entry}" for entry in some[:10]]
        lines.append(f"lost            {len(self.lost)}")
        lines.append(f"doubled effects {len(self.doubled)}")
        return "\n".join(lines)


def unfinished(server: RedisProcess) -> list[int]:
    """How many jobs wait, run or are delayed, per queue."""
    with server.client() as client, client.pipeline(transaction=True) as pipe:
        for queue in QUEUES:
            pipe.llen(f"bull:{queue}:wait").llen(f"bull:{queue}:active").zcard(f"bull:{queue}:delayed").llen(f"bull:{queue}:paused")
        return list(pipe.execute())


def compare(server: RedisProcess, effects_server: RedisProcess, added: Mapping[int, float]) -> Verdict:
    """``added`` is payload number -> when it was due."""
    with effects_server.client() as client:
        effects = {int(number): int(count) for number, count in client.hgetall(sink.EFFECTS).items()}
        at = {int(number): float(moment) for number, moment in client.hgetall(sink.AT).items()}
        runs = sum(int(count) for count in client.hvals(sink.RUNS))
        overlaps = int(client.get(sink.OVERLAPS) or 0)
    missing = {number for number in added if number not in effects}
    return Verdict(
        jobs=len(added),
        lost=[f"payload {number}: {where}" for number, where in _whereabouts(server, missing).items()],
        doubled=[f"payload {number}: {count} effects" for number, count in effects.items() if count > 1],
        leftovers=_leftovers(server),
        runs=runs, overlaps=overlaps,
        waits=sorted(max(0.0, at[number] - due) for number, due in added.items() if number in at),
    )


def _whereabouts(server: RedisProcess, numbers: set[int]) -> dict[int, str]:
    """For each payload: the job that carries it and the lists it is in, as far as its hash still stands."""
    found = dict.fromkeys(sorted(numbers), "no job in Redis carries it")
    if not found:
        return found
    with server.client() as client:
        for queue in QUEUES:
            for key in client.scan_iter(f"bull:{queue}:[0-9]*", count=1000, _type="hash"):
                data, reason = client.hmget(key, "data", "failedReason")
                number = int(data.split(b'"n":')[1].split(b",")[0]) if data and b'"n":' in data else -1
                if number in found:
                    found[number] = f"job {key.decode()}, state {_state(server, queue, key.decode().rsplit(':', 1)[1])}, {reason!r}"
    return found


def _state(server: RedisProcess, queue: str, job_id: str) -> str:
    with server.client() as client:
        lists = [name for name in ("wait", "active", "paused") if client.lpos(f"bull:{queue}:{name}", job_id) is not None]
        sets = [name for name in ("delayed", "completed", "failed") if client.zscore(f"bull:{queue}:{name}", job_id) is not None]
    return "+".join(lists + sets) or "none"


def _leftovers(server: RedisProcess) -> list[str]:
    """After all is done a queue holds the finished jobs that retention keeps, and nothing else."""
    found: list[str] = []
    with server.client() as client:
        for queue in QUEUES:
            base = f"bull:{queue}:"
            listed: set[bytes] = set()
            for name in ("wait", "active", "paused"):
                listed.update(client.lrange(base + name, 0, -1))
            for name in ("delayed", "completed", "failed"):
                listed.update(client.zrange(base + name, 0, -1))
            hashes = {key.removeprefix(base.encode()) for key in client.scan_iter(base + "[0-9]*", count=1000, _type="hash")}
            found += [f"{queue}: the hash of job {job_id.decode()} is in no list" for job_id in sorted(hashes - listed)]
            found += [f"{queue}: job {job_id.decode()} is listed and has no hash" for job_id in sorted(listed - hashes)]
            found += [f"{queue}: {key.decode()} still stands" for key in client.scan_iter(base + "*:lock", count=1000)]
            found += [f"{queue}: job {job_id.decode()} is still in priority" for job_id in client.zrange(base + "priority", 0, -1)]
    return found


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
