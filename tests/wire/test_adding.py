"""Adding jobs: what we write, Bull reads, and the other way round. Wire document, section 9, scenarios 1, 3, 6, 8, 9."""

from __future__ import annotations

import random
from typing import Any

import pytest
from kayan_workers.bull.errors import BulkError
from kayan_workers.bull.options import Backoff, Debounce, JobOptions, KeepJobs
from kayan_workers.bull.queue import BulkJob, Queue
from redis.asyncio import Redis
from waiting import wait_until
from wire.dump import dump, job_hash
from wire.party import Party
from wire.peer import NodePeer

PAYLOADS: list[Any] = [
    {"to": "ada@example.com", "nested": {"list": [1, 2.5, None, True], "empty": {}}},
    {"text": 'Grüße, 世界 🎬, \u2028 and "quotes" \\ / \b\f\n\r\t \u0001'},
    [],
    {},
    [1, [2, [3]]],
    "just text",
    42,
    -0.5,
    True,
    {"big": 2**53 - 1, "tiny": 1e-9},
    None,
    0,
    "",
    False,
]

OPTIONS: list[tuple[JobOptions, dict[str, Any]]] = [
    (JobOptions(), {}),
    (
        JobOptions(attempts=3, backoff=Backoff(type="exponential", delay_ms=2000)),
        {"attempts": 3, "backoff": {"type": "exponential", "delay": 2000}},
    ),
    (JobOptions(backoff=500), {"backoff": 500}),
    (JobOptions(priority=5), {"priority": 5}),
    (JobOptions(lifo=True), {"lifo": True}),
    (JobOptions(delay_ms=60_000), {"delay": 60_000}),
    (JobOptions(timeout_ms=1000, stack_trace_limit=3), {"timeout": 1000, "stackTraceLimit": 3}),
    (JobOptions(remove_on_complete=100, remove_on_fail=500), {"removeOnComplete": 100, "removeOnFail": 500}),
    (
        JobOptions(remove_on_complete=True, remove_on_fail=KeepJobs(age_seconds=3600, count=5)),
        {"removeOnComplete": True, "removeOnFail": {"age": 3600, "count": 5}},
    ),
    (JobOptions(job_id="order-1"), {"jobId": "order-1"}),
    (JobOptions(debounce=Debounce(id="once", ttl_ms=60_000)), {"debounce": {"id": "once", "ttl": 60_000}}),
    (JobOptions(timestamp_ms=1_795_431_001_546), {"timestamp": 1_795_431_001_546}),
]


@pytest.mark.parametrize(("ours", "theirs"), OPTIONS, ids=lambda options: repr(options)[:50])
async def test_an_add_leaves_the_same_keys_as_bulls_own(
    party: Party, node: NodePeer, redis: Redis, ours: JobOptions, theirs: dict[str, Any]
):
    """Scenario 1, first half: the hash, the lists and the indexes are those of Bull's own add."""
    await node.open("theirs")
    await node.add("theirs", {"to": "ada"}, name="welcome", **theirs)

    await party.queue("ours").add({"to": "ada"}, name="welcome", options=ours)

    assert await dump(redis, "ours") == await dump(redis, "theirs")


async def test_bull_runs_a_job_that_we_added(queue: Queue, node: NodePeer, redis: Redis):
    """Scenario 1, second half."""
    job = await queue.add({"to": "ada"}, options=JobOptions(attempts=2))

    await node.open("mail")
    await node.process("mail", "echo")
    await wait_until(lambda: redis.zscore("bull:mail:completed", job.id))

    assert await redis.hget(f"bull:mail:{job.id}", "returnvalue") == '{"to":"ada"}'


async def test_every_payload_reads_the_same_on_both_sides(queue: Queue, node: NodePeer, redis: Redis):
    """Scenario 3: unicode, nesting, empties and falsy data, both ways; whatever JavaScript takes for false is stored as {}."""
    await node.open("mail")
    ours = [(await queue.add(payload)).id for payload in PAYLOADS]
    theirs = [await node.add("mail", payload) for payload in PAYLOADS]

    for payload, our_id, their_id in zip(PAYLOADS, ours, theirs, strict=True):
        expected = payload or ({} if not isinstance(payload, list) else payload)
        assert (await node.call("mail", "getJob", our_id))["data"] == expected
        their_job = await queue.get_job(their_id)
        assert their_job is not None
        assert their_job.data == expected
        assert await redis.hget(f"bull:mail:{our_id}", "data") == await redis.hget(f"bull:mail:{their_id}", "data")


async def _same_adds(node: NodePeer, ours: Queue, seed: int, count: int) -> None:
    """Add the same random jobs to ``theirs`` with Bull and to ``ours`` with us."""
    choice = random.Random(seed)
    for _ in range(count):
        priority = choice.choice([0, 0, 0, *range(1, 11)])
        lifo = choice.random() < 0.2
        await node.add("theirs", {}, **({"priority": priority} if priority else {}), **({"lifo": True} if lifo else {}))
        await ours.add({}, options=JobOptions(priority=priority, lifo=lifo))


@pytest.mark.parametrize("seed", range(4))
async def test_prioritised_jobs_stand_in_bulls_own_order(party: Party, node: NodePeer, redis: Redis, seed: int):
    """Scenario 6: the same random adds, priorities 0 to 10 mixed with lifo, give the same list and the same index."""
    await node.open("theirs")
    await _same_adds(node, party.queue("ours"), seed, 60)

    assert await redis.lrange("bull:ours:wait", 0, -1) == await redis.lrange("bull:theirs:wait", 0, -1)
    assert await redis.zrange("bull:ours:priority", 0, -1, withscores=True) == await redis.zrange(
        "bull:theirs:priority", 0, -1, withscores=True
    )


async def test_prioritised_jobs_stand_in_bulls_own_order_while_paused(party: Party, node: NodePeer, redis: Redis):
    """Scenario 6, on a paused queue: the jobs gather in the paused list instead."""
    await node.open("theirs")
    await node.call("theirs", "pause")
    ours = party.queue("ours")
    await ours.pause()

    await _same_adds(node, ours, 11, 60)

    assert await redis.lrange("bull:ours:paused", 0, -1) == await redis.lrange("bull:theirs:paused", 0, -1)
    assert not await redis.exists("bull:ours:wait")


async def test_a_bulk_of_prioritised_jobs_stands_in_bulls_own_order(party: Party, node: NodePeer, redis: Redis):
    """Scenario 6, in bulk, onto a list that lifo jobs have disturbed: the shortcuts we take must not show."""
    choice = random.Random(5)
    priorities = [choice.randrange(11) for _ in range(300)]
    await node.open("theirs")
    ours = party.queue("ours")
    await _same_adds(node, ours, 7, 40)

    await node.call("theirs", "addBulk", [{"name": "n", "data": {}, "opts": {"priority": p} if p else {}} for p in priorities])
    await ours.add_bulk([BulkJob({}, name="n", options=JobOptions(priority=p)) for p in priorities])

    assert await redis.lrange("bull:ours:wait", 0, -1) == await redis.lrange("bull:theirs:wait", 0, -1)


async def test_a_custom_id_is_added_once_whoever_comes_second(queue: Queue, node: NodePeer, redis: Redis):
    """Scenario 8: the second add returns the first one's id, changes nothing and tells the listeners."""
    await node.open("mail")
    await node.listen("mail", "global:duplicated")
    await queue.add({"from": "us"}, options=JobOptions(job_id="order-1"))
    await node.add("mail", {"from": "bull"}, jobId="order-2")
    before = await dump(redis, "mail")

    assert await node.add("mail", {"again": 1}, jobId="order-1") == "order-1"
    assert (await queue.add({"again": 2}, options=JobOptions(job_id="order-2"))).id == "order-2"

    await node.saw("global:duplicated", count=2)
    assert [args[0] for args in node.args_of("global:duplicated")] == ["order-1", "order-2"]
    after = await dump(redis, "mail")
    assert after.pop("id") == str(int(before.pop("id")) + 2)
    assert after == before


async def test_a_debounced_job_is_added_once_whoever_comes_second(queue: Queue, node: NodePeer):
    """A debounce id taken by one side holds for the other."""
    await node.open("mail")
    await node.listen("mail", "global:debounced")
    first = await queue.add({}, options=JobOptions(debounce=Debounce(id="digest", ttl_ms=60_000)))

    assert await node.add("mail", {}, debounce={"id": "digest", "ttl": 60_000}) == first.id
    second = await queue.add({}, options=JobOptions(debounce=Debounce(id="digest", ttl_ms=60_000)))

    assert second.id == first.id
    await node.saw("global:debounced", count=2)
    assert (await queue.counts()).waiting == 1


def _mixed(count: int) -> list[tuple[str, dict[str, Any], dict[str, Any], JobOptions]]:
    """Jobs of every kind: (name, data, Bull's options, ours)."""
    kinds: list[tuple[dict[str, Any], JobOptions]] = [
        ({}, JobOptions()),
        ({"priority": 3}, JobOptions(priority=3)),
        ({"lifo": True}, JobOptions(lifo=True)),
        ({"delay": 600_000, "timestamp": 1_795_431_000_000}, JobOptions(delay_ms=600_000, timestamp_ms=1_795_431_000_000)),
        ({"attempts": 5, "backoff": 100}, JobOptions(attempts=5, backoff=100)),
    ]
    return [(f"kind{index % 5}", {"index": index}, *kinds[index % 5]) for index in range(count)]


async def test_a_bulk_of_a_thousand_mixed_jobs_leaves_bulls_own_state(party: Party, node: NodePeer, redis: Redis):
    """Scenario 9: lists, sets, indexes and every hash are those of Bull's addBulk."""
    jobs = _mixed(1000)
    await node.open("theirs")
    await node.call("theirs", "addBulk", [{"name": name, "data": data, "opts": theirs} for name, data, theirs, _ in jobs])

    added = await party.queue("ours").add_bulk([BulkJob(data, name=name, options=ours) for name, data, _, ours in jobs])

    assert [job.id for job in added] == [str(number) for number in range(1, 1001)]
    assert await dump(redis, "ours") == await dump(redis, "theirs")
    assert await redis.zrange("bull:ours:delayed", 0, -1, withscores=True) == await redis.zrange(
        "bull:theirs:delayed", 0, -1, withscores=True
    )


async def test_one_bad_job_of_a_bulk_takes_no_other_with_it(queue: Queue):
    """Scenario 9: the caller hears which one it was, and all others are there."""
    jobs = [BulkJob({"index": index}) for index in range(10)]
    jobs[3] = BulkJob(object())
    jobs[6] = BulkJob({}, options=JobOptions(job_id="wait"))

    with pytest.raises(BulkError) as caught:
        await queue.add_bulk(jobs)

    assert [index for index, outcome in enumerate(caught.value.outcomes) if isinstance(outcome, Exception)] == [3, 6]
    assert [job.data["index"] for job in await queue.jobs("waiting")] == [0, 1, 2, 4, 5, 7, 8, 9]


async def test_ids_that_would_collide_are_refused(queue: Queue):
    """Windows W22 and the reserved ids of section 1: Bull would lose such a job silently."""
    for job_id in ("3", "wait", "meta-paused", "x:lock", "de:x", "limiter:x", ""):
        with pytest.raises(ValueError, match="job id"):
            await queue.add({}, options=JobOptions(job_id=job_id))


async def test_a_job_that_bull_added_is_read_whole(queue: Queue, node: NodePeer, redis: Redis):
    """What Bull writes, the typed job shows."""
    await node.open("mail")
    job_id = await node.add("mail", {"to": "ada"}, name="welcome", attempts=3, priority=2, timeout=500)

    job = await queue.get_job(job_id)

    assert job is not None
    assert (job.name, job.data, job.priority, job.attempts, job.attempts_made) == ("welcome", {"to": "ada"}, 2, 3, 0)
    assert job.opts["timeout"] == 500
    assert (await job_hash(redis, "mail", job_id))["timestamp"] == "<ms>"
