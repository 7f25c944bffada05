"""The rate limiter, shared by both sides. Wire document, section 9, scenario 37, and window W15."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.settle import Limiter
from redis.asyncio import Redis
from wire.party import Party, Worker, finished, nothing
from wire.peer import NodePeer

Work = Callable[..., Worker]

WINDOW_MS = 1000


def most_in_a_window(starts_ms: Sequence[float], window_ms: float = WINDOW_MS) -> int:
    """The most starts in any window; 100 ms short, as a process may stamp a start so long after Redis allowed it."""
    starts = sorted(starts_ms)
    return max(sum(first <= start < first + window_ms - 100 for start in starts) for first in starts)


async def test_two_limited_sides_together_keep_the_limit_and_lose_nothing(queue: Queue, work: Work, node: NodePeer, redis: Redis):
    """Scenario 37: two starts a second at most, from either or both; every job runs once."""
    await node.open("mail", limiter={"max": 2, "duration": WINDOW_MS})
    await queue.add_bulk([BulkJob({"n": n}) for n in range(8)])
    worker = work(queue, nothing, concurrency=4, limiter=Limiter(2, WINDOW_MS))
    await node.process("mail", "nothing", concurrency=4)

    await finished(redis, "mail", 8, timeout=25)

    starts = [start.at_ms for start in worker.seen.starts] + [event.at_ms for event in node.named("start")]
    ran = worker.started + node.started()
    assert sorted(ran, key=int) == [str(number) for number in range(1, 9)]
    assert most_in_a_window(starts) <= 2, sorted(starts)
    assert not await redis.exists("bull:mail:wait", "bull:mail:active", "bull:mail:delayed", "bull:mail:limiter:limited")


async def test_our_limiter_alone_starts_as_many_as_it_may(queue: Queue, work: Work, redis: Redis):
    """The limit is not only kept but used: nine jobs at three a second take two to three seconds."""
    await queue.add_bulk([BulkJob({"n": n}) for n in range(9)])

    worker = work(queue, nothing, concurrency=9, limiter=Limiter(3, WINDOW_MS))
    await finished(redis, "mail", 9, timeout=15)

    starts = [start.at_ms for start in worker.seen.starts]
    assert most_in_a_window(starts) <= 3
    assert starts[-1] - starts[0] < 4500


@pytest.mark.parametrize("producer", ["ours", "theirs"])
async def test_groups_are_limited_each_by_itself(party: Party, node: NodePeer, redis: Redis, producer: str):
    """groupKey: the ids that either producer makes carry the group, and the groups do not slow each other down."""
    await node.open("mail", limiter={"max": 1, "duration": WINDOW_MS, "groupKey": "customer"})
    queue = party.queue("mail", group_key="customer")
    for customer in ("a", "b", "a", "b"):
        if producer == "ours":
            await queue.add({"customer": customer})
        else:
            await node.add("mail", {"customer": customer})

    worker = party.work(queue, nothing, concurrency=4, limiter=Limiter(1, WINDOW_MS, grouped=True))
    await finished(redis, "mail", 4, timeout=15)

    for customer in ("a", "b"):
        starts = [start.at_ms for start in worker.seen.starts if start.data["customer"] == customer]
        assert len(starts) == 2
        assert most_in_a_window(starts) == 1
    assert all(job_id.rsplit(":", 1)[1] in "ab" for job_id in worker.started)
    first_two = worker.seen.starts[:2]
    assert first_two[1].at_ms - first_two[0].at_ms < WINDOW_MS / 2
