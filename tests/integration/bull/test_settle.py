"""What finishing many jobs in one call leaves in Redis: the same as finishing them one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kayan_workers.bull import scripts, settle
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.outcome import Completed
from redis import Redis

KEYS = Keys("mail")
FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class StraightLine:
    """A line that answers at once."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def run(self, script: scripts.Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        return scripts.run_blocking(self._client, script, keys, args)


def finish(url: str, ids: Sequence[str], keep: int | None = None) -> dict[str, int]:
    """Finish these jobs, whose locks are ours, with one call. Returns the refused ones."""
    options = SimpleNamespace(keep_completed=keep)
    jobs: list[Any] = [SimpleNamespace(id=job_id, token=f"t.{job_id}", debounce_id=None, options=options) for job_id in ids]
    done = [Completed(job, None, "null", 0.0) for job in jobs]
    with Redis.from_url(url) as client:
        for job_id in ids:
            client.hset(KEYS.job(job_id), "data", "{}")
            client.set(KEYS.lock(job_id), f"t.{job_id}")
        line: Any = StraightLine(client)
        reply = asyncio.run(settle.settle(line, KEYS, now=1_000, lock_ms=30_000, events="e", pod="p", finished=done))
    return reply.refused


@FEW
@given(st.lists(st.integers(0, 90), max_size=150), st.lists(st.integers(0, 90), unique=True, max_size=70))
@example(list(range(200)), list(range(0, 200, 3)))
@example(list(range(200)), list(range(50, 150)))
@example(list(range(12_000)), list(range(5, 60)))
@example([1, 2, 3], list(range(50)))
def test_jobs_that_finish_together_leave_the_others_as_they_stood(redis_url: str, active: list[int], mine: list[int]) -> None:
    expected, missing = [str(job_id) for job_id in active], set()
    for job_id in map(str, mine):
        if job_id in expected:
            del expected[len(expected) - 1 - expected[::-1].index(job_id)]  # Bull's LREM takes the entry nearest the tail
        else:
            missing.add(job_id)
    with Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushdb()
        if active:
            client.rpush(KEYS.active, *active)

        refused = finish(redis_url, list(map(str, mine)))

        assert client.lrange(KEYS.active, 0, -1) == expected
        assert refused == dict.fromkeys(missing, -3)
        assert set(client.zrange(KEYS.completed, 0, -1)) == set(map(str, mine)) - missing


def test_of_more_than_the_policy_keeps_the_newest_stay_and_all_are_told(redis_url: str) -> None:
    ids = [str(number) for number in range(8)]
    with Redis.from_url(redis_url, decode_responses=True) as client, client.pubsub() as told:
        client.rpush(KEYS.active, *ids)
        finish(redis_url, ["older"], keep=3)
        told.subscribe(KEYS.completed)
        assert finish(redis_url, ids, keep=3) == {}

        assert client.zrange(KEYS.completed, 0, -1) == ["5", "6", "7"]
        assert sorted(client.keys(KEYS.job("[0-9]*"))) == [KEYS.job(job_id) for job_id in ("5", "6", "7")]
        assert client.hget(KEYS.job("7"), "finishedOn") == "1000"
        messages = [told.get_message(timeout=5) for _ in range(9)]
        assert [message["data"] for message in messages if message and message["type"] == "message"] == [
            f'{{"jobId":"{job_id}"}}' for job_id in ids
        ]
