"""What a real worker says of a job, from its start to each of its ends: the same events as JSON and as text."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from at_work import queue_at
from kayan import WorkerProcess
from kayan_workers.bull.options import JobOptions
from slow_worker import SlowWorker
from waiting import wait_until

QUICK = {"LOCK_DURATION_MS": "1000", "LOCK_RENEW_MS": "300", "STALLED_INTERVAL_MS": "500"}


class Told:
    """The lines of a worker, in either form."""

    def __init__(self, running: WorkerProcess, form: str) -> None:
        self._running = running
        self._form = form

    async def says(self, event: str, job_id: str, text: str, **fields: Any) -> None:
        """Wait for the line: an event with these fields among its own, or a text that matches."""
        await wait_until(lambda: self._has(event, text, {"queue": "slow", "job_id": job_id} | fields), 30, what=f"{event} of {job_id}")

    def _has(self, event: str, text: str, fields: dict[str, Any]) -> bool:
        lines = self._running.output().splitlines()
        if self._form == "text":
            return any(re.search(rf"^\d\d:\d\d:\d\d \S.* slow {fields['job_id']} {text}", line) for line in lines)
        said = [json.loads(line) for line in lines if line.startswith("{")]
        return any(one["event"] == event and fields.items() <= one.items() for one in said)


@pytest.mark.parametrize("form", ["json", "text"])
async def test_each_start_and_each_end_of_a_job_is_a_line(redis_url: str, tmp_path: Path, form: str) -> None:
    slow = SlowWorker(tmp_path)
    settings = QUICK | {"REDIS_URL": redis_url, "LOG_FORMAT": form}
    async with queue_at(redis_url, "slow") as queue:
        good = await queue.add({})
        poor = await queue.add({"fail": "temporary"}, options=JobOptions(attempts=2, backoff=50))
        bad = await queue.add({"fail": "permanent"}, options=JobOptions(attempts=2))
        with slow.running(**settings) as running:
            told = Told(running, form)
            await told.says("job.started", good.id, "started$", attempt=1, level="info")
            await told.says("job.completed", good.id, r"completed in \d+ ms", attempt=1, level="info")
            await told.says(
                "job.retried", poor.id, r"failed \(attempt 1\), again in 50 ms: failed on purpose: temporary",
                attempt=1, delay_ms=50, error="failed on purpose: temporary", error_type="TemporaryError", level="warning",
            )  # fmt: skip
            await told.says("job.started", poor.id, r"started \(attempt 2\)", attempt=2)
            await told.says(
                "job.failed", poor.id, r"failed for good \(attempt 2\): failed on purpose: temporary",
                attempt=2, permanent=False, error="failed on purpose: temporary", level="error",
            )  # fmt: skip
            await told.says(
                "job.failed", bad.id, r"failed for good \(attempt 1\): failed on purpose: permanent",
                attempt=1, permanent=True, error="failed on purpose: permanent", level="error",
            )  # fmt: skip
            long = await queue.add({"seconds": 60})
            await told.says("job.started", long.id, "started$")
            running.signal(signal.SIGKILL)
        with slow.running(**settings) as running:
            told = Told(running, form)
            await told.says("job.stalled", long.id, "stalled: its worker died or hung; it runs again", level="warning")
            await told.says("job.started", long.id, "started$", attempt=1)
            await queue.pause()
            await queue.obliterate(force=True)
            await told.says("job.removed", long.id, "is gone: there is no such job any more", attempt=1, level="warning")
            assert "lost" not in running.output()
