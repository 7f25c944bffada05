"""How things stand with queues that Bull itself filled, in every state that makes other autoscalers err."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable

import pytest
from kayan_operator.decision.facts import QueueFacts, Unread
from kayan_operator.queues.reading import Reader, Request
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.server import RedisAddress, Server
from redis.asyncio import Redis
from redis_process import ClusterGroup, RedisProcess
from waiting import wait_until
from wire.peer import NodePeer

HOUR = 3_600_000
MAIL = Keys("mail")


@pytest.fixture
async def reader(server: Server) -> AsyncIterator[Reader]:
    reader = Reader(server)
    yield reader
    await reader.close()


async def look(reader: Reader, *, look_ahead: float = 10) -> QueueFacts:
    [facts] = await reader.read([Request(MAIL, look_ahead=look_ahead)])
    assert isinstance(facts, QueueFacts), facts
    return facts


async def until(reader: Reader, condition: Callable[[QueueFacts], bool], *, look_ahead: float = 10) -> QueueFacts:
    """Look again and again until it is so."""
    latest = QueueFacts()

    async def is_so() -> bool:
        nonlocal latest
        latest = await look(reader, look_ahead=look_ahead)
        return condition(latest)

    await wait_until(is_so, what="the facts to be as expected")
    return latest


class TestWhatBullLeaves:
    async def test_a_queue_nobody_ever_used_is_empty_and_not_unread(self, reader: Reader) -> None:
        assert await look(reader) == QueueFacts()
        assert await look(reader) == QueueFacts()

    async def test_jobs_that_run_count_though_none_waits(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        await node.process("mail", "hold", concurrency=50)
        for number in range(50):
            await node.add("mail", {"n": number})
        await until(reader, lambda facts: facts == QueueFacts(active=50, added=50))
        await node.ask("open_gate")
        await until(reader, lambda facts: facts == QueueFacts(added=50, finished=50))

    async def test_jobs_that_wait_and_for_how_long(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        await node.add("mail", {}, timestamp=int(time.time() * 1000) - 90_000)
        await node.add("mail", {})
        facts = await look(reader)
        assert (facts.waiting, facts.active, facts.added) == (2, 0, 2)
        assert facts.oldest_age is not None
        assert 89 < facts.oldest_age < 120

    async def test_a_delayed_job_is_due_within_the_look_ahead_and_not_before(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        await node.add("mail", {}, delay=5_000)
        near, far = await look(reader, look_ahead=10), await look(reader, look_ahead=1)
        assert (near.due, near.delayed, near.next_due) == (1, 1, None)
        assert (far.due, far.delayed) == (0, 1)
        assert far.next_due is not None
        assert 3 < far.next_due <= 5
        assert (await until(reader, lambda facts: facts.due == 1, look_ahead=4.5)).next_due is None

    async def test_a_job_delayed_by_an_hour_is_known_and_not_due(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        await node.add("mail", {}, delay=HOUR)
        facts = await look(reader)
        assert (facts.waiting, facts.due, facts.delayed) == (0, 0, 1)
        again = await until(reader, lambda latest: latest.next_due != facts.next_due)
        assert facts.next_due is not None
        assert again.next_due is not None
        assert 3500 < again.next_due < facts.next_due <= 3600, "what is known already grows nearer by the clock"

    async def test_an_earlier_delayed_job_beside_a_later_one_is_seen(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        await node.add("mail", {}, delay=HOUR)
        await look(reader)
        await node.add("mail", {}, delay=60_000)
        facts = await look(reader)
        assert facts.delayed == 2
        assert facts.next_due is not None
        assert facts.next_due <= 60

    async def test_a_retry_is_a_delayed_job_that_comes_near(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        await node.process("mail", "fail")
        await node.add("mail", {}, attempts=3, backoff={"type": "fixed", "delay": 20_000})
        facts = await until(reader, lambda facts: facts.delayed == 1 and facts.active == 0)
        assert (facts.due, facts.failed, facts.finished) == (0, 0, 0), "it has not failed for good"
        assert (await look(reader, look_ahead=30)).due == 1

    async def test_jobs_of_a_paused_queue_are_held_until_it_is_resumed(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        for _ in range(50):
            await node.add("mail", {})
        await look(reader)
        await node.call("mail", "pause")
        assert await look(reader) == QueueFacts(held=50, paused=True, added=50)
        assert await look(reader) == QueueFacts(held=50, paused=True, added=50), "also when nothing has changed"
        await node.add("mail", {})
        assert (await look(reader)).held == 51
        await node.call("mail", "resume")
        facts = await look(reader)
        assert (facts.waiting, facts.held, facts.paused) == (51, 0, False)

    async def test_what_is_due_in_a_paused_queue_starts_nobody(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        await node.call("mail", "pause")
        await node.add("mail", {}, delay=100)
        assert await look(reader) == QueueFacts(delayed=1, paused=True, added=1)

    async def test_a_queue_emptied_while_it_was_paused_works_again_whatever_its_other_flag_says(
        self, reader: Reader, node: NodePeer, redis: Redis
    ) -> None:
        await node.open("mail")
        await node.call("mail", "pause")
        await node.call("mail", "empty")
        await node.add("mail", {})
        assert await redis.hget(MAIL.meta, "paused") == "1"
        assert (await look(reader)).waiting == 1

    async def test_prioritised_jobs_count_once(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        for priority in (0, 1, 9, 9):
            await node.add("mail", {}, priority=priority)
        facts = await look(reader)
        assert (facts.waiting, facts.outstanding) == (4, 4)

    async def test_failed_and_finished_are_those_of_the_window(self, reader: Reader, node: NodePeer, redis: Redis) -> None:
        await node.open("mail")
        await node.process("mail", "nothing")
        now = time.time() * 1000
        await redis.zadd(MAIL.failed, {"long-ago": now - 400_000, "lately": now - 100_000})
        await node.add("mail", {})
        facts = await until(reader, lambda facts: facts.finished == 2)
        assert facts.failed == 1

    async def test_a_job_that_was_delayed_has_waited_since_it_was_due(self, reader: Reader, node: NodePeer) -> None:
        await node.open("mail")
        job = await node.add("mail", {}, delay=HOUR, timestamp=int(time.time() * 1000) - HOUR - 2_000)
        await node.job("mail", job, "promote")
        facts = await look(reader)
        assert facts.waiting == 1
        assert facts.oldest_age is not None
        assert 2 <= facts.oldest_age < 60


class TestEachVersion:
    """What may differ between servers: the script itself."""

    @pytest.fixture
    async def reader(self, each: Server) -> AsyncIterator[Reader]:
        reader = Reader(each)
        yield reader
        await reader.close()

    async def test_all_states_are_read_in_one_look(self, reader: Reader, each_redis: Redis) -> None:
        now = int(time.time() * 1000)
        await each_redis.set("bull:a:id", 7)
        await each_redis.rpush("bull:a:wait", 2, 1)
        await each_redis.hset("bull:a:1", mapping={"timestamp": now - 30_000, "opts": "{}"})
        await each_redis.rpush("bull:b:active", *range(3))
        await each_redis.zadd("bull:c:delayed", {"1": (now + 5_000) * 4096 + 1, "2": (now + 60_000) * 4096 + 2, "3": 4096})
        await each_redis.zadd("bull:d:failed", {"1": now, "2": 1})
        await each_redis.zadd("bull:d:completed", {"3": now})
        await each_redis.rpush("bull:e:paused", 1)
        await each_redis.set("bull:e:meta-paused", 1)

        requests = [Request(Keys(name), look_ahead=10) for name in "abcdef"]
        for _ in range(2):  # the second look knows what it saw
            a, b, c, d, e, f = await reader.read(requests)
            assert isinstance(a, QueueFacts)
            assert isinstance(c, QueueFacts)
            assert (a.waiting, a.added, round(a.oldest_age or 0, -1)) == (2, 7, 30)
            assert b == QueueFacts(active=3)
            assert (c.due, c.delayed, round(c.next_due or 0, -1)) == (2, 3, 60)
            assert d == QueueFacts(failed=1, finished=2)
            assert e == QueueFacts(held=1, paused=True)
            assert f == QueueFacts()

    @pytest.mark.parametrize("name", ["wait", "active", "paused", "delayed", "failed", "completed", "id"])
    async def test_a_key_of_the_wrong_type_makes_that_queue_unread_and_no_other(self, reader: Reader, each_redis: Redis, name: str) -> None:
        requests = [Request(Keys(queue)) for queue in ("good", "bad", "better")]
        await reader.read(requests)
        await each_redis.rpush("bull:good:wait", 1)
        if name in ("failed", "completed", "id"):  # at these it looks when something else happens
            await each_redis.rpush("bull:bad:active", 1)
        await (each_redis.rpush(f"bull:bad:{name}", "x") if name in ("delayed", "failed", "completed", "id")
               else each_redis.set(f"bull:bad:{name}", "x"))
        good, bad, better = await reader.read(requests)
        assert good == QueueFacts(waiting=1)
        assert better == QueueFacts()
        assert bad == Unread(f"its key bull:bad:{name} holds something else than Bull keeps there")
        await each_redis.delete(f"bull:bad:{name}", "bull:bad:active")
        assert (await reader.read(requests))[1] == QueueFacts()

    @pytest.mark.parametrize("name", ["wait", "active", "paused", "delayed", "meta-paused", "id"])
    async def test_one_of_many_quiet_queues_that_changes_is_found(self, reader: Reader, each_redis: Redis, name: str) -> None:
        requests = [Request(Keys(f"q{number}")) for number in range(450)]
        await each_redis.rpush("bull:q7:paused", "1")
        await each_redis.set("bull:q300:meta-paused", "1")
        before = await reader.read(requests)
        for changed in (0, 199, 200, 333, 449):
            if name == "delayed":
                await each_redis.zadd(f"bull:q{changed}:delayed", {"1": 2**52})
            elif name in ("meta-paused", "id"):
                await each_redis.set(f"bull:q{changed}:{name}", "5")
            else:
                await each_redis.rpush(f"bull:q{changed}:{name}", "1")
            after = await reader.read(requests)
            assert [place for place in range(450) if after[place] != before[place]] == [changed]
            before = after

    async def test_what_one_quiet_queue_loses_while_another_gains_it_is_noticed(self, reader: Reader, each_redis: Redis) -> None:
        requests = [Request(Keys("one")), Request(Keys("two"))]
        await each_redis.rpush("bull:one:paused", "1")
        assert await reader.read(requests) == [QueueFacts(held=1), QueueFacts()]
        await each_redis.rename("bull:one:paused", "bull:two:paused")
        assert await reader.read(requests) == [QueueFacts(), QueueFacts(held=1)]

    async def test_a_thousand_quiet_queues_cost_few_commands_a_look(self, reader: Reader, each_redis: Redis) -> None:
        due = (int(time.time() * 1000) + HOUR) * 4096
        for number in range(0, 1000, 3):
            await each_redis.zadd(f"bull:q{number}:delayed", {"1": due})
        requests = [Request(Keys(f"q{number}"), look_ahead=10) for number in range(1000)]
        first = await reader.read(requests)
        before = await calls(each_redis)
        for _ in range(10):
            latest = await reader.read(requests)
        assert await calls(each_redis) - before <= 10 * 20
        assert [getattr(one, "delayed", None) for one in latest] == [getattr(one, "delayed", None) for one in first]


async def calls(redis: Redis) -> int:
    """How many commands ran, also those inside scripts."""
    stats = await redis.info("commandstats")
    return sum(each["calls"] for name, each in stats.items() if not name.startswith(("cmdstat_info", "cmdstat_client")))


async def test_a_job_whose_id_stands_for_no_hash_still_waits(reader: Reader, redis: Redis) -> None:
    await redis.rpush(MAIL.wait, "gone")
    assert await look(reader) == QueueFacts(waiting=1)
    await redis.set(MAIL.job("gone"), "no hash")
    assert await look(reader) == QueueFacts(waiting=1)


@pytest.mark.parametrize(
    ("fields", "age"),
    [
        ({"timestamp": 100}, 100),
        ({"timestamp": 100, "opts": '{"delay":40000}'}, 60),
        ({"timestamp": 100, "opts": '{"backoff":{"type":"fixed","delay":40000}}'}, 100),
        ({"timestamp": 100, "processedOn": 30}, 30),
        ({"timestamp": 100, "processedOn": 30, "retriedOn": 10}, 10),
        ({"timestamp": 100, "opts": '{"delay":4 no JSON'}, 100),
        ({"timestamp": -500}, 0),
    ],
)
async def test_a_job_is_as_old_as_the_moment_since_which_it_could_run(
    reader: Reader, redis: Redis, fields: dict[str, int | str], age: float
) -> None:
    now = int(time.time() * 1000)
    await redis.rpush(MAIL.wait, 1)
    mapping = {name: now - value * 1000 if isinstance(value, int) else value for name, value in fields.items()}
    await redis.hset(MAIL.job("1"), mapping=mapping)
    found = (await look(reader)).oldest_age
    assert found is not None
    assert age <= found < age + 8


async def test_the_same_queue_may_be_asked_for_with_different_look_aheads(reader: Reader, redis: Redis) -> None:
    await redis.zadd(MAIL.delayed, {"1": (int(time.time() * 1000) + 60_000) * 4096})
    for _ in range(2):
        near, far, again = await reader.read([Request(MAIL, look_ahead=90), Request(MAIL, look_ahead=1), Request(MAIL, look_ahead=90)])
        assert isinstance(near, QueueFacts)
        assert isinstance(far, QueueFacts)
        assert (near.due, far.due, again) == (1, 0, near)


async def test_a_quiet_queue_that_something_happened_to_is_read_closely(reader: Reader, redis: Redis) -> None:
    await redis.zadd(MAIL.delayed, {"1": 2**52})
    await look(reader)
    await redis.zadd(MAIL.delayed, {"2": 2**51})  # as a retry is delayed: it adds no job
    reader.look_closely(MAIL.base)
    assert (await look(reader)).delayed == 2


class TestTrouble:
    @pytest.fixture
    async def reader(self, private_redis: RedisProcess) -> AsyncIterator[Reader]:
        server = Server(RedisAddress(url=private_redis.url), call_timeout=1)
        reader = Reader(server, patience=1)
        yield reader
        await reader.close()
        await server.close()

    async def test_a_redis_that_is_gone_leaves_all_unread_and_says_for_how_long(self, reader: Reader, private_redis: RedisProcess) -> None:
        requests = [Request(Keys("mail")), Request(Keys("post"))]
        assert await reader.read(requests) == [QueueFacts(), QueueFacts()]
        private_redis.kill()
        first = await reader.read(requests)
        assert all(isinstance(one, Unread) and str(private_redis.port) in one.why for one in first), first

        async def has_lasted() -> bool:
            return all(isinstance(one, Unread) and one.seconds > 0.5 for one in await reader.read(requests))

        await wait_until(has_lasted)
        private_redis.start()

        async def is_back() -> bool:
            return await reader.read(requests) == [QueueFacts(), QueueFacts()]

        await wait_until(is_back)
        lost_at = time.monotonic()
        private_redis.kill()
        [again, _] = await reader.read(requests)
        assert isinstance(again, Unread)
        assert again.seconds <= time.monotonic() - lost_at, "the time counts from the latest loss"

    async def test_a_queue_that_was_gone_for_a_while_is_unread_only_since_it_is_back(
        self, reader: Reader, private_redis: RedisProcess
    ) -> None:
        requests = [Request(Keys("mail")), Request(Keys("post"))]
        private_redis.kill()

        async def have_been_unread() -> bool:
            return all(isinstance(one, Unread) and one.seconds > 0.5 for one in await reader.read(requests))

        await wait_until(have_been_unread)
        reader.know({Keys("mail").base})
        mail, post = await reader.read(requests)
        assert isinstance(mail, Unread)
        assert isinstance(post, Unread)
        assert mail.seconds > post.seconds == 0

    async def test_a_redis_that_hangs_is_unread_before_long_and_read_once_it_goes_on(
        self, reader: Reader, private_redis: RedisProcess
    ) -> None:
        request = [Request(Keys("mail"))]
        assert await reader.read(request) == [QueueFacts()]
        assert private_redis.process is not None
        os.kill(private_redis.process.pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(5):
                [hung] = await reader.read(request)
                [still] = await reader.read(request)
            assert isinstance(hung, Unread)
            assert "answer" in hung.why
            assert isinstance(still, Unread)
        finally:
            os.kill(private_redis.process.pid, signal.SIGCONT)

        async def is_back() -> bool:
            return await reader.read(request) == [QueueFacts()]

        await wait_until(is_back)

    async def test_a_server_that_forgot_the_script_is_told_it_again(self, reader: Reader, private_redis: RedisProcess) -> None:
        await reader.read([Request(Keys("mail"))])
        with private_redis.client() as client:
            client.script_flush()
        assert await reader.read([Request(Keys("mail"))]) == [QueueFacts()]

    async def test_a_user_who_may_not_read_learns_so(self, private_redis: RedisProcess) -> None:
        with private_redis.client() as client:
            client.execute_command("ACL", "SETUSER", "eye", "on", ">pass", "~kayan:*", "+@all")
        server = Server(RedisAddress(url=f"redis://eye:pass@127.0.0.1:{private_redis.port}/0"), call_timeout=1)
        reader = Reader(server)
        [answer] = await reader.read([Request(Keys("mail"))])
        await reader.close()
        await server.close()
        assert isinstance(answer, Unread)
        assert "permission" in answer.why.lower()
        assert "pass" not in answer.why


async def test_queues_of_a_cluster_are_read_by_their_slots() -> None:
    cluster = ClusterGroup()
    try:
        cluster.start()
        server = Server(RedisAddress(url=cluster.url, cluster=True), call_timeout=2)
        reader = Reader(server, patience=3)
        keys = [Keys(queue, prefix) for prefix in ("{bull}", "{app}", "{other}") for queue in ("mail", "thumbnail")]
        keys.append(Keys("{one}", "bull"))
        for number, one in enumerate(keys):
            await server.commands.rpush(one.wait, *range(number + 1))
        for _ in range(2):
            *answers, untagged = await reader.read([*map(Request, keys), Request(Keys("mail", "bull"))])
            assert answers == [QueueFacts(waiting=number + 1) for number in range(len(keys))]
            assert isinstance(untagged, Unread)
            assert untagged.why == "in a Redis Cluster its keys need a hash tag, as in the prefix {bull}"
        await reader.close()
        await server.close()
    finally:
        cluster.remove()
