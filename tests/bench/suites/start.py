"""From the start of the process to its first job handled, with the job already waiting."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable

import redis_process
from bench import fleet_worker
from bench.peers import SIDES, TESTS, Side, command
from bench.results import Row, at_most
from bench.stage import PAYLOAD, Stage
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server

GOAL_SECONDS = 1


async def run(stage: Stage) -> list[Row]:
    bare: dict[Side, list[float]] = defaultdict(list)
    real: list[float] = []
    with fleet_worker.database() as (database_url, app):
        user = app.user()
        for number in range(1 + stage.rounds):  # the first brings the files into memory and compiles them
            one = await _timed(stage, {
                "userId": user, "type": "TASK_ASSIGNED", "title": "New task", "message": "Render the booth",
            }, lambda: fleet_worker.start("notification", stage.server.port, database_url))
            if number:
                real.append(one)
            for side in SIDES:
                one = await _timed(stage, PAYLOAD, lambda side=side: _bare(stage, side))  # type: ignore[misc]
                if number:
                    bare[side].append(one)
        rows = [
            Row("kayan worker notification: start → first job in PostgreSQL", "s", real, bare["bull"], at_most(GOAL_SECONDS, "s")),
            Row("library alone, empty handler: start → first job", "s", bare["ours"], bare["bull"]),
        ]
        if stage.profile or rows[0].met is False:
            stage.profiles["imports of kayan worker notification"] = _imports(stage, database_url)
    return rows


async def _timed(stage: Stage, payload: object, start: Callable[[], subprocess.Popen[bytes]]) -> float:
    """Seconds from starting the process to the message that its job is completed."""
    server = Server(RedisAddress(url=stage.url))
    queue = Queue("notification", server)
    job = await queue.add(payload)
    async with stage.client() as client:
        heard = client.pubsub()
        await heard.subscribe("bull:notification:completed", "bull:notification:failed")
        began = time.perf_counter()
        process = start()
        try:
            async with asyncio.timeout(30):
                async for message in heard.listen():
                    if message["type"] == "message" and json.loads(message["data"])["jobId"] == job.id:
                        break
            took = time.perf_counter() - began
            if message["channel"].endswith("failed"):
                raise RuntimeError(f"the first job failed: {message['data']}")
        finally:
            await asyncio.to_thread(fleet_worker.end, process)
            await heard.aclose()  # type: ignore[no-untyped-call]
    await queue.close()
    await server.close()
    await stage.empty()
    return took


def _bare(stage: Stage, side: Side) -> subprocess.Popen[bytes]:
    arguments, variables = command(side, stage.url, "notification")
    return subprocess.Popen(arguments, cwd=TESTS, env=dict(variables), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


def _imports(stage: Stage, database_url: str) -> str:
    """The slowest imports of a worker that starts, by their own time, as Python's own -X importtime tells them."""
    arguments = [sys.executable, "-X", "importtime", *fleet_worker.command("notification")[1:]]
    variables = dict(fleet_worker.environment(stage.server.port, database_url, redis_process.free_port()))
    process = subprocess.Popen(arguments, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    process.terminate()
    told = process.communicate(timeout=40)[1].splitlines()
    lines = [line.removeprefix("import time:") for line in told if line.startswith("import time:") and line[12:].strip()[:1].isdigit()]
    lines.sort(key=lambda line: -int(line.split("|")[0]))
    return "\n".join(["self [µs] | cumulative | module", *lines[:25]])
