"""One Redis as the loop of the operator sees it: what of it is unread, and how soon, when it is gone or hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import figures
import pytest
from kayan_operator.decision.facts import QueueFacts, Unread
from kayan_operator.decision.policy import Queue
from kayan_operator.metrics import Metrics
from kayan_operator.servers import RedisServer
from kayan_workers.bull.ending import end
from kayan_workers.bull.server import RedisAddress
from redis_process import ClusterGroup, RedisProcess
from waiting import wait_until

MAIL, FILM = Queue(name="mail"), Queue(name="film")
TELL_SECONDS = 5
"""What the status has for its part of it is little: a look follows the news in 0.05 s."""


class Watched:
    """A server of which there is a look whenever it says that something has changed, as the operator's loop has it."""

    def __init__(self, address: RedisAddress, queues: Sequence[Queue]) -> None:
        self.server = RedisServer("default", address, Metrics())
        self.server.know(queues)
        self._queues = queues
        self.facts: list[QueueFacts | Unread] = []
        self.changes = 0
        self._news = asyncio.Event()
        self.server.tell(lambda prefix, queue: None, self._change)

    def _change(self) -> None:
        self.changes += 1
        self._news.set()

    @property
    def is_read(self) -> bool:
        return bool(self.facts) and not any(self.unread)

    @property
    def is_unread(self) -> bool:
        return bool(self.facts) and all(self.unread)

    @property
    def unread(self) -> list[bool]:
        return [isinstance(one, Unread) for one in self.facts]

    async def look(self) -> None:
        self.facts = await self.server.read([(queue, 0, 300) for queue in self._queues])

    async def look_always(self, every: float) -> None:
        while True:
            await self.look()
            try:
                async with asyncio.timeout(every):
                    await self._news.wait()
            except TimeoutError:
                continue
            self._news.clear()
            await asyncio.sleep(0.05)


@asynccontextmanager
async def watched(redis: RedisProcess | ClusterGroup, every: float, queues: Sequence[Queue] = (MAIL, FILM)) -> AsyncIterator[Watched]:
    """Looked at every so many seconds: one with jobs each second, one at rest every five."""
    watched = Watched(RedisAddress(url=redis.url, cluster=isinstance(redis, ClusterGroup)), queues)
    tasks = [asyncio.create_task(watched.server.run()), asyncio.create_task(watched.look_always(every))]
    try:
        await wait_until(lambda: watched.is_read and watched.changes, what="all is well at first")
        yield watched
    finally:
        await end(tasks)


@contextmanager
def frozen(redis: RedisProcess) -> Iterator[None]:
    assert redis.process
    os.kill(redis.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(redis.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("every", [1, 60], ids=["busy", "idle"])
class TestOutages:
    async def test_a_redis_that_hangs_makes_all_its_queues_unread_in_time(
        self, private_redis: RedisProcess, every: float, request: pytest.FixtureRequest
    ) -> None:
        async with watched(private_redis, every) as one:
            begun = time.monotonic()
            with frozen(private_redis):
                await wait_until(lambda: one.is_unread, TELL_SECONDS)
                figures.note("outages of Redis", f"hung, {request.node.callspec.id}: unread after", f"{time.monotonic() - begun:.2f} s")
                assert all("answer" in fact.why for fact in one.facts if isinstance(fact, Unread))
                asked = time.monotonic()
                await one.look()
                assert time.monotonic() - asked < 2, "it is known, and nobody waits three seconds for it again"
            await wait_until(lambda: one.is_read, 15)

    async def test_a_redis_that_is_killed_makes_all_its_queues_unread_at_once(
        self, private_redis: RedisProcess, every: float, request: pytest.FixtureRequest
    ) -> None:
        async with watched(private_redis, every) as one:
            begun = time.monotonic()
            private_redis.kill()
            await wait_until(lambda: one.is_unread, TELL_SECONDS)
            took = time.monotonic() - begun
            figures.note("outages of Redis", f"killed, {request.node.callspec.id}: unread after", f"{took:.2f} s")
            private_redis.start()
            await wait_until(lambda: one.is_read, 15)


class TestFalseAlarms:
    async def test_a_redis_that_is_slow_for_two_seconds_is_only_slow(self, private_redis: RedisProcess) -> None:
        async with watched(private_redis, 0.1) as one:
            changes = one.changes
            with frozen(private_redis):
                time_is_over = time.monotonic() + 2
                await wait_until(lambda: time.monotonic() > time_is_over)
            await one.look()
            assert one.is_read
            assert one.changes == changes

    async def test_a_loop_that_stands_still_for_long_accuses_nobody(self, private_redis: RedisProcess) -> None:
        async with watched(private_redis, 0.01) as one:
            changes = one.changes
            for _ in range(20):
                await asyncio.sleep(0.1)  # in the midst of whatever is under way
                time.sleep(0.3)
            time.sleep(4)
            await one.look()
            assert one.is_read
            assert one.changes == changes

    async def test_one_lost_connection_is_not_a_lost_server(self, private_redis: RedisProcess) -> None:
        async with watched(private_redis, 0.05) as one:
            with private_redis.client() as client:
                for _ in range(3):
                    listener = next(each for each in client.client_list() if each["psub"] != "0")
                    client.client_kill_filter(_id=listener["id"])
                    await wait_until(lambda listener=listener: [
                        each for each in client.client_list() if each["psub"] != "0" and each["id"] != listener["id"]
                    ])
                    assert one.is_read

    async def test_where_nobody_may_subscribe_a_hanging_redis_is_told_as_soon(self, private_redis: RedisProcess) -> None:
        with private_redis.client() as client:
            client.execute_command("ACL", "SETUSER", "default", "resetchannels")
        async with watched(private_redis, 60) as one:
            with frozen(private_redis):
                await wait_until(lambda: one.is_unread, TELL_SECONDS)
            await wait_until(lambda: one.is_read, 15)


@pytest.fixture(scope="module")
def cluster_group() -> Iterator[ClusterGroup]:
    group = ClusterGroup()
    try:
        yield group.start()
    finally:
        group.remove()


def on_each_node(group: ClusterGroup) -> list[Queue]:
    """Two queues of each node, in its order."""
    found: dict[str, list[Queue]] = {}
    for number in range(100):
        queue = Queue(name="mail", prefix=f"{{app-{number}}}")
        found.setdefault(group.holder(f"{queue.prefix}:mail:wait").url, []).append(queue)
    return [queue for node in group.nodes for queue in found[node.url][:2]]


@pytest.mark.parametrize("every", [1, 60], ids=["busy", "idle"])
@pytest.mark.parametrize("number", [0, 2], ids=["first", "last"])
class TestNodesOfACluster:
    """The first is the one that is asked about the cluster at first."""

    async def test_of_a_node_that_hangs_the_queues_are_unread_in_time_and_no_others(
        self, cluster_group: ClusterGroup, number: int, every: float, request: pytest.FixtureRequest
    ) -> None:
        async with watched(cluster_group, every, on_each_node(cluster_group)) as one:
            lost, begun = unread_at(number), time.monotonic()
            with frozen(cluster_group.nodes[number]):
                await wait_until(lambda: one.unread == lost, TELL_SECONDS)
                figures.note("outages of Redis", f"node of a cluster hung, {request.node.callspec.id}: unread after",
                             f"{time.monotonic() - begun:.2f} s")  # fmt: skip
                for _ in range(20):
                    asked = time.monotonic()
                    await one.look()
                    assert time.monotonic() - asked < 2, "it is known, and nobody waits three seconds for it again"
                    assert one.unread == lost
                    await asyncio.sleep(0.2)
            await wait_until(lambda: one.is_read, 15)

    async def test_of_a_node_that_is_killed_the_queues_are_unread_in_time_and_no_others(
        self, cluster_group: ClusterGroup, number: int, every: float, request: pytest.FixtureRequest
    ) -> None:
        async with watched(cluster_group, every, on_each_node(cluster_group)) as one:
            begun = time.monotonic()
            cluster_group.nodes[number].kill()
            try:
                await wait_until(lambda: one.unread == unread_at(number), TELL_SECONDS)
                figures.note("outages of Redis", f"node of a cluster killed, {request.node.callspec.id}: unread after",
                             f"{time.monotonic() - begun:.2f} s")  # fmt: skip
            finally:
                cluster_group.nodes[number].start()
            await wait_until(lambda: one.is_read, 15)


def unread_at(node: int) -> list[bool]:
    """Which of the queues of ``on_each_node`` cannot be read when this node is lost."""
    return [place // 2 == node for place in range(6)]
