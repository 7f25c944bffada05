"""bull-board on a queue that only this library works. Wire document, section 9, scenario 36.

The requests are those that the board's own page sends.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from kayan_workers.bull.options import JobOptions, Repeat
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.running import ActiveJob
from redis.asyncio import Redis
from waiting import wait_until
from wire.party import Party, Worker, finished
from wire.peer import NodePeer


@dataclass(frozen=True)
class Board:
    """The board's HTTP API."""

    port: int

    async def get(self, path: str) -> Any:
        return await self._ask("GET", path)

    async def put(self, path: str) -> Any:
        return await self._ask("PUT", path)

    async def queue(self, **query: Any) -> dict[str, Any]:
        """What the page of the queue ``mail`` shows."""
        parameters = {"activeQueue": "mail", "page": 1, "jobsPerPage": 10} | query
        text = "&".join(f"{name}={value}" for name, value in parameters.items())
        [shown] = (await self.get(f"/api/queues?{text}"))["queues"]
        return dict(shown)

    async def _ask(self, method: str, path: str) -> Any:
        return await asyncio.to_thread(self._request, method, path)

    def _request(self, method: str, path: str) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                body = response.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read()[:300]!r}") from error
        return json.loads(body) if body else None


async def handler(job: ActiveJob) -> Any:
    job.log("a row of ours")
    job.progress(50)
    if job.data.get("bad"):
        raise ValueError("smtp 550")
    return {"sent": True}


@pytest.fixture
async def worker(party: Party, queue: Queue) -> Worker:
    return party.work(queue, handler, metrics_minutes=60)


@pytest.fixture
async def board(worker: Worker, queue: Queue, node: NodePeer, redis: Redis) -> AsyncIterator[Board]:
    """A board on ``mail`` with one completed, one failed, two delayed jobs and a schedule, all of ours; the worker pauses."""
    await queue.add({"to": "ada"}, name="welcome")
    await queue.add({"bad": True}, name="reset", options=JobOptions(attempts=1))
    await finished(redis, "mail", 2)
    worker.consumer.pause_locally()
    await queue.add({}, name="later", options=JobOptions(delay_ms=600_000))
    await queue.add({}, name="tick", options=JobOptions(repeat=Repeat(cron="0 5 * * *")))
    await queue.add({"n": 1}, name="waits")
    await node.open("mail", metrics={"maxDataPoints": 60})
    yield Board(await node.ask("board", names=["mail"]))


async def test_the_board_shows_our_counts_and_every_tab(board: Board):
    """Scenario 36: the counts, and the jobs of each state."""
    shown = await board.queue()
    assert {state: shown["counts"][state] for state in ("waiting", "active", "completed", "failed", "delayed", "paused")} == {
        "waiting": 1,
        "active": 0,
        "completed": 1,
        "failed": 1,
        "delayed": 2,
        "paused": 0,
    }
    tabs = {status: [job["name"] for job in (await board.queue(status=status))["jobs"]] for status in shown["counts"]}
    assert tabs["completed"] == ["welcome"]
    assert tabs["failed"] == ["reset"]
    assert sorted(tabs["delayed"]) == ["later", "tick"]
    assert tabs["waiting"] == ["waits"]
    assert len((await board.queue(status="latest"))["jobs"]) == 5


async def test_the_board_shows_a_job_of_ours_in_detail(board: Board):
    """Scenario 36: payload, result, failure with its stack trace, progress and logs."""
    done = (await board.get("/api/queues/mail/1"))["job"]
    assert (done["name"], done["data"], done["returnValue"], done["progress"]) == ("welcome", {"to": "ada"}, {"sent": True}, 50)
    assert done["finishedOn"] >= done["processedOn"] >= done["timestamp"]
    failed = (await board.get("/api/queues/mail/2"))["job"]
    assert (failed["failedReason"], failed["isFailed"]) == ("smtp 550", True)
    assert "ValueError: smtp 550" in failed["stacktrace"][0]
    assert await board.get("/api/queues/mail/1/logs") == ["a row of ours"]


async def test_the_board_lists_our_worker_and_our_schedule_and_our_metrics(board: Board, redis: Redis):
    """Scenario 36: who works, what repeats, how many a minute."""
    workers = (await board.get("/api/queues/mail/workers"))["workers"]
    assert len(workers) == 1
    schedules = await board.get("/api/job-schedulers?queue=mail")
    assert "0 5 * * *" in json.dumps(schedules)
    assert await redis.hget("bull:mail:metrics:completed", "count") == "1"
    assert await board.get("/api/queues/mail/metrics")
    assert await board.get("/api/redis/stats")


async def test_the_boards_buttons_work_on_our_jobs(board: Board, queue: Queue, worker: Worker, redis: Redis):
    """Scenario 36: retry, promote, remove, pause, resume, clean."""
    await board.put("/api/queues/mail/2/retry")
    await board.put("/api/queues/mail/3/promote")
    await board.put("/api/queues/mail/1/clean")
    assert await queue.state_of("2") == "waiting"
    assert await queue.state_of("3") == "waiting"
    assert await queue.get_job("1") is None

    await board.put("/api/queues/mail/pause")
    assert await queue.is_paused()
    worker.consumer.resume_locally()
    await asyncio.sleep(0.3)
    assert len(worker.started) == 2
    await board.put("/api/queues/mail/resume")
    await worker.has_started(5)
    await wait_until(lambda: redis.zscore("bull:mail:failed", "2"))
    await wait_until(lambda: redis.zscore("bull:mail:completed", "3"))

    await board.put("/api/queues/mail/retry/failed")
    await worker.has_started(6)
    await queue.add({}, options=JobOptions(delay_ms=600_000))
    await _old_enough(redis)
    await board.put("/api/queues/mail/clean/completed")
    await wait_until(lambda: _gone(redis, "completed"))
    await board.put("/api/queues/mail/empty")
    assert (await queue.counts()).waiting == 0


async def _old_enough(redis: Redis) -> None:
    """The board cleans what finished more than five seconds ago; make it so."""
    for job_id in await redis.zrange("bull:mail:completed", 0, -1):
        await redis.hset(f"bull:mail:{job_id}", "finishedOn", "1795000000000")
        await redis.zadd("bull:mail:completed", {job_id: 1_795_000_000_000})


async def _gone(redis: Redis, state: str) -> bool:
    return not await redis.exists(f"bull:mail:{state}")
