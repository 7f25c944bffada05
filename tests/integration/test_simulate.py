"""What ``kayan jobs`` prints of real jobs is a recording that ``kayan simulate`` replays."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from at_work import queue_at, working
from kayan import kayan
from waiting import wait_until


async def test_jobs_that_were_done_are_replayed_as_they_were_added_and_as_long_as_they_ran(redis_url: str, tmp_path: Path) -> None:
    async def take_a_moment(_: Any) -> None:
        await asyncio.sleep(0.3)

    async with queue_at(redis_url, "email") as queue:
        for _ in range(5):
            await queue.add({"to": "ada@example.com"})
        async with working(queue, take_a_moment, concurrency=1) as (_, recorder):
            await wait_until(lambda: len(recorder.said("job_completed")) == 5)
    printed = kayan("jobs", "email", "--state", "completed", "--json", variables={"REDIS_URL": redis_url}).stdout
    trace, policy = tmp_path / "recorded.json", tmp_path / "scaler.json"
    trace.write_text(printed)
    policy.write_text(json.dumps({"scaleTargetRef": {"name": "email"}, "queues": [{"name": "email", "concurrency": 1}], "maxReplicas": 1}))

    found = kayan("simulate", "--trace", str(trace), "--policy", str(policy), "--startup", "5s", "--json", variables={})

    (outcome,) = json.loads(found.stdout)[0]["outcomes"]
    jobs = json.loads(printed)[::-1]  # it prints the latest first
    added = [moment(job["added"]) for job in jobs]
    ran = [moment(job["finished"]) - moment(job["started"]) for job in jobs]
    # one slot: each begins when the pod, asked for at once, has started and those before it are done
    waits = [5.05 + sum(ran[:place]) - (added[place] - added[0]) for place in range(5)]
    assert (outcome["jobs"], outcome["unfinished"]) == (5, 0)
    assert round(min(ran), 3) >= 0.3
    assert outcome["max_wait"] == pytest.approx(max(waits), abs=0.01)


def moment(written: str) -> float:
    """An ISO time in Unix seconds."""
    return datetime.fromisoformat(written).timestamp()
