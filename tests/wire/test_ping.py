"""``kayan ping`` beside Bull: who takes it says so in Bull's own words, and nothing of the app's is touched."""

from __future__ import annotations

import asyncio
import json

from kayan import kayan, worker
from redis.asyncio import Redis
from waiting import wait_until
from wire.dump import dump
from wire.peer import NodePeer


async def dump_but_the_counter(redis: Redis) -> dict[str, object]:
    """The queue's keys, without the one that grows with each add."""
    return {key: value for key, value in (await dump(redis, "email")).items() if key != "id"}


async def test_a_node_worker_fails_a_ping_and_touches_nothing(node: NodePeer, redis: Redis, redis_url: str):
    """Its jobs of before, done and failed, stay as they were, and it works on."""
    await node.open("email")
    await node.listen("email", "global:completed", "global:failed")
    await node.process("email", "echo")
    done = await node.add("email", {"to": "ada"})
    await wait_until(lambda: redis.zscore("bull:email:completed", done))
    before = await dump_but_the_counter(redis)

    asked = await asyncio.to_thread(kayan, "ping", "email", "--timeout", "20s", variables={"REDIS_URL": redis_url})

    assert asked.returncode == 1
    assert asked.stdout.startswith(
        "email/email: no answer: a worker that is not ours took it, and touched nothing (Missing process handler for job type kayan.ping)."
    ), asked.stdout
    assert await dump_but_the_counter(redis) == before
    assert node.started() == [done]
    [[_, reason, *_]] = node.args_of("global:failed")
    assert reason == "Missing process handler for job type kayan.ping"
    again = await node.add("email", {"to": "grace"})
    await wait_until(lambda: redis.zscore("bull:email:completed", again))


async def test_bull_reads_the_answer_of_our_worker_like_any_result(node: NodePeer, redis: Redis, redis_url: str, database_url: str):
    """The result goes over the wire as JSON in a string, and the job is gone when it is read."""
    await node.open("email")
    await node.listen("email", "global:completed")
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "POD_NAME": "email-0"}
    with worker("email", variables=settings | {"KAYAN_MAIL": "outbox:/nowhere"}):
        asked = await asyncio.to_thread(kayan, "ping", "email", "--json", variables={"REDIS_URL": redis_url})
    assert asked.returncode == 0, asked.stdout + asked.stderr
    [event] = await node.saw("global:completed")
    job_id, result, *_ = event.args
    pong = json.loads(result)["pong"]
    assert pong["pod"] == json.loads(asked.stdout)[0]["pod"] == "email-0"
    assert not [key for key in await redis.keys("*") if job_id in key]
