"""The jobs: quick and slow ones, some that fail once or twice or for good, some delayed, urgent or last in and first out."""

from __future__ import annotations

import random
from typing import Any

from kayan_workers.bull.options import Backoff, JobOptions
from kayan_workers.bull.producer import BulkJob

ASYNC, THREAD, BATCH = "chaos-async", "chaos-thread", "chaos-batch"
QUEUES = {ASYNC: 70, THREAD: 10, BATCH: 20}
"""Queue -> its share of the jobs. The kind of handler is in the name."""

FOR_GOOD = 99
"""As a number of failures: no attempt succeeds."""

DEFAULTS = JobOptions(attempts=3, backoff=Backoff(type="exponential", delay_ms=200), remove_on_complete=100, remove_on_fail=500)
"""The app's own, but for the waits."""


def some_job(number: int, dice: random.Random) -> tuple[str, BulkJob]:
    """A queue, and a job for it whose payload carries ``number``."""
    queue = dice.choices(list(QUEUES), list(QUEUES.values()))[0]
    data: dict[str, Any] = {"n": number, "ms": _duration_ms(dice)}
    if failures := dice.choices([0, 1, 2, FOR_GOOD], [92, 5, 2, 1])[0]:
        data["fail"] = failures
    options = dice.choices(
        [None, JobOptions(delay_ms=dice.randint(50, 2000)), JobOptions(priority=dice.randint(1, 5)), JobOptions(lifo=True)], [84, 8, 5, 3],
    )[0]
    return queue, BulkJob(data, options=options)


def _duration_ms(dice: random.Random) -> int:
    shortest, longest = dice.choices([(0, 0), (1, 20), (50, 150), (300, 800)], [75, 15, 8, 2])[0]
    return dice.randint(shortest, longest)
