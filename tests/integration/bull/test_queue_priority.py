"""Where prioritised jobs stand: many added in one call stand where one by one would have put them. Wire document 3.3."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from at_work import queue_at
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kayan_workers.bull import scripts
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.queue import BulkJob
from redis import Redis


class Add(NamedTuple):
    priority: int
    lifo: bool = False


class Before(NamedTuple):
    """What stands on the queue already. ``stale`` are priorities of ids that are in the index and no longer in the list."""

    waiting: list[int]
    stale: list[int]


class ByTheBook:
    """Section 3.3 word by word: the list, its head first, and the index of priorities."""

    def __init__(self, before: Before) -> None:
        self.list: list[str] = []
        self.index: dict[str, int] = {}
        for number, priority in enumerate(before.waiting):
            self.add(f"old-{number}", Add(priority))
        self.index |= {f"stale-{number}": priority for number, priority in enumerate(before.stale)}

    def add(self, job_id: str, add: Add) -> None:
        if add.priority == 0:
            self.list.insert(len(self.list) if add.lifo else 0, job_id)
            return
        self.index[job_id] = add.priority
        count = sum(1 for priority in self.index.values() if priority <= add.priority)
        at = len(self.list) - (count - 1)
        if at < 0:  # LINDEX counts from the tail then
            at += len(self.list)
        pivot = self.list[at] if 0 <= at < len(self.list) else None
        self.list.insert(len(self.list) if pivot is None else self.list.index(pivot), job_id)


PRIORITIES = st.integers(0, 5)
ADDS = st.lists(st.builds(Add, PRIORITIES, st.sampled_from([False, False, False, True])), min_size=1, max_size=60)
NO_LIFO = st.lists(st.builds(Add, PRIORITIES), min_size=1, max_size=60)
WAITING = st.lists(PRIORITIES, max_size=60)
FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def add_in_bulk(url: str, before: ByTheBook, adds: Sequence[Add]) -> list[str]:
    """The ids that were given."""
    with Redis.from_url(url) as client:
        client.flushdb()
        if before.list:
            client.rpush("bull:mail:wait", *before.list)
        if before.index:
            client.zadd("bull:mail:priority", before.index)
    async with queue_at(url) as queue:
        jobs = [BulkJob({}, options=JobOptions(priority=add.priority, lifo=add.lifo)) for add in adds]
        return [job.id for job in await queue.add_bulk(jobs)]


def compare(url: str, before: Before, adds: Sequence[Add]) -> None:
    book = ByTheBook(before)
    for job_id, add in zip(asyncio.run(add_in_bulk(url, book, adds)), adds, strict=True):
        book.add(job_id, add)
    with Redis.from_url(url, decode_responses=True) as client:
        assert client.lrange("bull:mail:wait", 0, -1) == book.list
        assert {job_id: int(score) for job_id, score in client.zrange("bull:mail:priority", 0, -1, withscores=True)} == book.index


@FEW
@given(waiting=WAITING, adds=NO_LIFO)
def test_one_call_puts_jobs_where_one_call_each_would(redis_url: str, waiting: list[int], adds: list[Add]):
    compare(redis_url, Before(waiting, []), adds)


@FEW
@given(waiting=WAITING, stale=st.lists(st.integers(1, 5), max_size=40), adds=ADDS)
def test_so_it_does_where_lifo_jobs_and_stale_entries_have_upset_the_arithmetic(
    redis_url: str, waiting: list[int], stale: list[int], adds: list[Add],
):
    compare(redis_url, Before(waiting, stale), adds)


def test_a_large_backlog_is_rebuilt_to_the_same_order(redis_url: str):
    waiting = [number * 7 % 6 for number in range(3000)]
    adds = [Add(number * 5 % 6) for number in range(900)]

    compare(redis_url, Before(waiting, []), adds)
    compare(redis_url, Before(waiting, []), [Add(3)])


@FEW
@given(
    waiting=WAITING, stale=st.lists(st.integers(1, 5), max_size=5),
    due=st.lists(st.tuples(PRIORITIES, st.sampled_from([False] * 20 + [True])), min_size=1, max_size=60),
)
def test_jobs_due_together_go_where_they_would_one_by_one(
    redis_url: str, waiting: list[int], stale: list[int], due: list[tuple[int, bool]]
):
    """The limiter leaves jobs that it turns away in the index; those are marked here."""
    book = ByTheBook(Before(waiting, stale))
    book.index |= {f"due-{number}": priority for number, (priority, is_known) in enumerate(due) if is_known and priority}
    with Redis.from_url(redis_url, decode_responses=True) as client:
        client.flushdb()
        if book.list:
            client.rpush("bull:mail:wait", *book.list)
        if book.index:
            client.zadd("bull:mail:priority", book.index)
        for number, (priority, _) in enumerate(due):
            client.hset(f"bull:mail:due-{number}", "priority", priority)
            client.zadd("bull:mail:delayed", {f"due-{number}": 4096 + number})
            book.add(f"due-{number}", Add(priority))

        keys, args = ["kayan:office", "bull:mail:delayed"], ["somebody", 1000, "bull:mail:", "", 2]
        assert scripts.run_blocking(client, scripts.load("keep_office"), keys, args) == [1, ""]

        assert client.lrange("bull:mail:wait", 0, -1) == book.list
        assert {job_id: int(score) for job_id, score in client.zrange("bull:mail:priority", 0, -1, withscores=True)} == book.index
        assert client.exists("bull:mail:delayed") == 0
