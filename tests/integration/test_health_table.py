"""The table of all queues, as real workers of one fleet share it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from kayan import WorkerProcess
from slow_worker import SlowWorker
from waiting import wait_until

PERIOD_SECONDS = 4
SCALED_DOWN = f"""
from kayan_workers import health_table
health_table.FIRST_SECONDS = 0.5
health_table.PERIOD_SECONDS = {PERIOD_SECONDS}
"""


def tables(fleet: Sequence[WorkerProcess]) -> list[tuple[datetime, WorkerProcess]]:
    """When each table was logged, and by whom; in order."""
    said = [(datetime.fromisoformat(event["timestamp"]), one) for one in fleet for event in one.events("queues.health")]
    return sorted(said, key=lambda table: table[0])


async def test_three_workers_share_one_table_and_another_goes_on_when_its_teller_dies(redis_url: str, tmp_path: Path) -> None:
    slow = SlowWorker(tmp_path)
    with ExitStack() as stack:
        fleet = [stack.enter_context(slow.running(first=SCALED_DOWN, REDIS_URL=redis_url)) for _ in range(3)]
        silent = stack.enter_context(slow.running(first=SCALED_DOWN, REDIS_URL=redis_url, LOG_LEVEL="warn"))
        strangers = stack.enter_context(slow.running(first=SCALED_DOWN, REDIS_URL=redis_url, BULL_PREFIX="elsewhere"))
        await wait_until(lambda: len(tables(fleet)) >= 2 and tables([strangers]), 30)
        _, teller = tables(fleet)[-1]
        teller.signal(signal.SIGKILL)
        before = len(tables(fleet))
        await wait_until(lambda: len(tables(fleet)) > before + 1, 30)
        told = tables(fleet)
        assert not silent.events()
    assert all(who is not teller for _, who in told[before:])
    gaps = [(later - earlier).total_seconds() for (earlier, _), (later, _) in pairwise(told)]
    assert all(PERIOD_SECONDS - 0.2 < gap < 2 * PERIOD_SECONDS for gap in gaps), gaps


async def test_a_table_that_fails_for_whatever_reason_comes_the_next_time(redis_url: str, tmp_path: Path) -> None:
    once = f"""{SCALED_DOWN}
take_turn = health_table.HealthTable._take_turn
def fail_once(table):
    health_table.HealthTable._take_turn = take_turn
    raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")  # uvloop's
health_table.HealthTable._take_turn = fail_once
"""
    with SlowWorker(tmp_path).running(first=once, REDIS_URL=redis_url) as running:
        running.wait_for("queues.health")
        assert running.events("worker.broken") == []
