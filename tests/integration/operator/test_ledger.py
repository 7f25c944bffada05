"""Decisions that are remembered in Redis, also in one that comes, goes and hangs, and the commands that tell of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import typer
from kayan_operator import decision_commands
from kayan_operator.decision.decide import Decision, decide
from kayan_operator.decision.facts import QueueFacts, Snapshot
from kayan_operator.decision.history import History
from kayan_operator.decision.policy import Policy, Queue
from kayan_operator.queues import ledger as ledgers
from kayan_operator.queues.ledger import KEPT, Ledger, decisions_of, known_scalers, latest_look_at
from kayan_workers.bull import keys
from kayan_workers.bull.ending import end
from kayan_workers.bull.server import RedisAddress, Server
from proxy import Proxy
from redis.asyncio import Redis
from redis_process import ClusterGroup, RedisProcess
from typer.testing import CliRunner
from waiting import wait_until

POLICY = Policy(queues=(Queue(name="thumbnail-generation"),), max_replicas=50)
THUMBNAIL = ("kayan", "thumbnail")


def decided(waiting: int, *, replicas: int = 1, next_due: float | None = None) -> Decision:
    facts = QueueFacts(waiting=waiting, next_due=next_due)
    shot = Snapshot(at=time.monotonic(), wall=time.time(), queues=(facts,), replicas=replicas, ready=replicas)
    return decide(shot, POLICY, History.begin(shot))


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def writing(server: Server, clock: Clock | None = None) -> AsyncIterator[Ledger]:
    ledger = Ledger({"eu": Server(RedisAddress(port=1)), "default": server}, clock=clock or time.time)
    task = asyncio.create_task(ledger.run())
    try:
        yield ledger
    finally:
        await end([task])


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "_WRITE_SECONDS", 0.01)
    monkeypatch.setattr(ledgers, "_AWAY_SECONDS", 0.1)


async def test_the_last_hundred_decisions_are_kept_the_newest_first(server: Server, redis: Redis) -> None:
    async with writing(server) as ledger:
        for number in range(KEPT + 20):
            ledger.note(THUMBNAIL, POLICY, decided(number), changed=True)
        ledger.note(("other", "mail"), POLICY, decided(5), changed=True)
        await wait_until(lambda: redis.exists(keys.decisions("other", "mail")))
    found = await decisions_of(server, *THUMBNAIL)
    assert [record.load for record in found] == list(range(KEPT + 19, 19, -1))
    assert [record.load for record in await decisions_of(server, *THUMBNAIL, 2)] == [KEPT + 19, KEPT + 18]
    assert set(await known_scalers(server)) == {THUMBNAIL, ("other", "mail")}
    assert await redis.ttl(keys.decisions(*THUMBNAIL)) > 86_400
    assert {key.split(":")[0] for key in await redis.keys("*")} == {"kayan"}


async def test_the_latest_look_is_kept_for_a_day_also_when_nothing_changed(server: Server, redis: Redis) -> None:
    async with writing(server) as ledger:
        ledger.note(THUMBNAIL, POLICY, decided(31), changed=False)
        await wait_until(lambda: redis.exists(keys.why(*THUMBNAIL)))
    look = await latest_look_at(server, *THUMBNAIL)
    assert look is not None
    assert (look.load, look.desired) == (31, 4)
    assert 86_000 < await redis.ttl(keys.why(*THUMBNAIL)) <= 86_400
    assert await decisions_of(server, *THUMBNAIL) == []
    assert await latest_look_at(server, "kayan", "never") is None


async def test_looks_are_written_seldom_and_those_at_rest_more_seldom(server: Server, redis: Redis) -> None:
    clock = Clock()

    async def look(decision: Decision, seconds: float) -> bool:
        """Whether the look that is made so many seconds later is written."""
        clock.now += seconds
        before = await redis.get(keys.why(*THUMBNAIL))
        ledger.note(THUMBNAIL, POLICY, decision, changed=False)
        await ledger._write()
        return bool(await redis.get(keys.why(*THUMBNAIL)) != before)

    ledger = Ledger({"default": server}, clock=clock)
    assert await look(decided(10), 0)
    assert not await look(decided(12), 1)
    assert await look(decided(13), 2.1)
    assert await look(decided(0, next_due=100), 3.1), "other than before"
    assert not await look(decided(0, next_due=96), 3.1), "nothing waits, and the same is decided"
    assert await look(decided(0, next_due=50), 57)
    assert not await look(decided(10), 1)
    clock.now += 2.1
    await ledger._write()
    latest = await latest_look_at(server, *THUMBNAIL)
    assert latest is not None
    assert latest.load == 10, "what was put off is written though nobody looks again"


async def test_a_thousand_scalers_at_rest_cost_redis_a_few_commands_a_second(server: Server, redis: Redis) -> None:
    clock = Clock()
    ledger = Ledger({"default": server}, clock=clock)
    scalers, resting = [("kayan", f"scaler-{number}") for number in range(1000)], decided(0)

    async def look_for(seconds: int) -> None:
        for _ in range(seconds):
            clock.now += 1
            for scaler in scalers:
                ledger.note(scaler, POLICY, resting, changed=False)
            await ledger._write()

    await look_for(3)
    before = (await redis.info("commandstats"))["cmdstat_set"]["calls"]
    await look_for(120)
    assert (await redis.info("commandstats"))["cmdstat_set"]["calls"] - before <= 2 * 1000


class TestTrouble:
    async def test_an_outage_costs_the_oldest_records_and_nobody_waits_for_it(self, private_redis: RedisProcess) -> None:
        server = Server(RedisAddress(url=private_redis.url), call_timeout=1)
        async with writing(server) as ledger:
            ledger.note(THUMBNAIL, POLICY, decided(1), changed=True)
            await wait_until(lambda: decisions_of(server, *THUMBNAIL))
            private_redis.kill()
            began = time.monotonic()
            for number in range(2, 2 * ledgers._OUTSTANDING):
                ledger.note(THUMBNAIL, POLICY, decided(number), changed=True)
                if number % 500 == 0:
                    await asyncio.sleep(0)
            assert len(ledger._decisions) <= ledgers._OUTSTANDING
            assert time.monotonic() - began < 30, "it was never in the way"
            private_redis.start()

            async def newest() -> tuple[float, float]:
                """Of the decisions, and of the looks, which are written more seldom."""
                found, look = await decisions_of(server, *THUMBNAIL, 1), await latest_look_at(server, *THUMBNAIL)
                return found[0].load if found else 0, look.load if look else 0

            async def has_the_newest() -> bool:
                return await newest() == (2 * ledgers._OUTSTANDING - 1,) * 2

            await wait_until(has_the_newest)
            loads = [record.load for record in await decisions_of(server, *THUMBNAIL)]
            assert loads == sorted(loads, reverse=True)
        await server.close()

    async def test_a_redis_that_hangs_holds_up_neither_notes_nor_the_end(self, private_redis: RedisProcess) -> None:
        server = Server(RedisAddress(url=private_redis.url), call_timeout=30)
        assert private_redis.process is not None
        try:
            async with asyncio.timeout(15), writing(server) as ledger:
                ledger.note(THUMBNAIL, POLICY, decided(1), changed=True)
                await wait_until(lambda: decisions_of(server, *THUMBNAIL))
                os.kill(private_redis.process.pid, signal.SIGSTOP)
                ledger.note(THUMBNAIL, POLICY, decided(2), changed=True)
                await wait_until(lambda: not ledger._decisions)  # it is being sent
        finally:
            os.kill(private_redis.process.pid, signal.SIGCONT)
        await server.close()

    async def test_decisions_whose_answer_was_lost_are_told_once(self, server: Server, redis_url: str, redis: Redis) -> None:
        address = urlsplit(redis_url)
        async with Proxy(address.port or 6379, address.hostname or "127.0.0.1") as proxy:
            ledger = Ledger({"default": (behind := Server(RedisAddress(url=proxy.url), call_timeout=5))})
            for number in (1, 2, 3):
                ledger.note(THUMBNAIL, POLICY, decided(number), changed=True)
            proxy.swallow_reply_to(b"LPUSH")
            assert not await ledger._write()
            assert await ledger._write()
            await behind.close()
        assert await redis.llen(keys.decisions(*THUMBNAIL)) == 6
        assert [record.load for record in await decisions_of(server, *THUMBNAIL)] == [3, 2, 1]

    async def test_what_redis_refuses_is_said_once_and_forgotten(
        self, server: Server, redis: Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        await redis.set(keys.decisions(*THUMBNAIL), "no list")
        with caplog.at_level(logging.WARNING):
            async with writing(server) as ledger:
                for number in range(3):
                    ledger.note(THUMBNAIL, POLICY, decided(number), changed=True)
                    await ledger._write()
                ledger.note(("kayan", "mail"), POLICY, decided(1), changed=True)
                await wait_until(lambda: redis.exists(keys.decisions("kayan", "mail")))
        assert len([record for record in caplog.records if "refuses to remember" in record.message]) == 1
        assert "WRONGTYPE" in caplog.text

    async def test_what_is_noted_last_is_written_before_the_end(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ledgers, "_WRITE_SECONDS", 60)
        async with writing(server) as ledger:
            ledger.note(THUMBNAIL, POLICY, decided(1), changed=True)
            await wait_until(lambda: decisions_of(server, *THUMBNAIL))
            ledger.note(THUMBNAIL, POLICY, decided(2), changed=True)
        assert [record.load for record in await decisions_of(server, *THUMBNAIL)] == [2, 1]


async def test_in_a_cluster_scalers_need_no_slot_in_common() -> None:
    cluster = ClusterGroup()
    try:
        cluster.start()
        server = Server(RedisAddress(url=cluster.url, cluster=True), call_timeout=5)
        async with writing(server) as ledger:
            for number in range(20):
                ledger.note(("kayan", f"scaler-{number}"), POLICY, decided(number), changed=True)

            async def all_there() -> bool:
                return len(await known_scalers(server)) == 20

            await wait_until(all_there)
        for number in range(20):
            assert [record.load for record in await decisions_of(server, "kayan", f"scaler-{number}")] == [number]
        await server.close()
    finally:
        cluster.remove()


class TestCommands:
    @pytest.fixture
    async def remembered(self, server: Server, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("REDIS_URL", redis_url)
        async with writing(server) as ledger:
            ledger.note(THUMBNAIL, POLICY, decided(0, replicas=3), changed=True)
            ledger.note(THUMBNAIL, POLICY, decided(95, replicas=3), changed=True)
            ledger.note(("eu", "mail"), POLICY, decided(7), changed=True)
            ledger.note(("us", "mail"), POLICY, decided(7), changed=True)
            await wait_until(lambda: latest_look_at(server, "us", "mail"))

    async def run(self, *words: str) -> tuple[int, str]:
        """Exit code and output, of a command in a thread: it has a loop of its own."""
        app = typer.Typer()
        app.command("why")(decision_commands.why)
        app.command("decisions")(decision_commands.decisions)
        result = await asyncio.to_thread(CliRunner().invoke, app, list(words))
        return result.exit_code, result.output

    @pytest.mark.usefixtures("remembered")
    async def test_why_tells_the_chain_of_reasoning(self) -> None:
        code, text = await self.run("why", "thumbnail")
        assert code == 0
        assert text.startswith("kayan/thumbnail: 3 pods, 10 wanted. Looked at ")
        assert "1. 95 waiting, 0 active and 0 due soon, at 10 jobs for each pod, deserve 10 pods." in text
        assert "3 → 10" in text
        code, text = await self.run("why", "thumbnail", "--namespace", "kayan", "--json")
        told = json.loads(text)
        assert (told["namespace"], told["name"], told["desired"], len(told["decisions"])) == ("kayan", "thumbnail", 10, 2)

    @pytest.mark.usefixtures("remembered")
    async def test_decisions_are_a_table_the_newest_first(self) -> None:
        code, text = await self.run("decisions", "thumbnail")
        assert code == 0
        header, _, newer, older = text.splitlines()
        assert header.split() == ["at", "pods", "load", "rule", "because"]
        assert "3 → 10" in newer
        assert "3 → 3" in older
        code, text = await self.run("decisions", "thumbnail", "--count", "1", "--json")
        assert [one["desired"] for one in json.loads(text)] == [10]

    @pytest.mark.usefixtures("remembered")
    async def test_a_name_that_is_unknown_or_not_enough_is_answered_with_those_there_are(self) -> None:
        code, text = await self.run("why", "thumbnial")
        assert code == 1
        assert text == ("kayan: no decision is remembered of a QueueScaler thumbnial; decisions are remembered of "
                        "eu/mail, kayan/thumbnail, us/mail\n")
        code, text = await self.run("decisions", "mail")
        assert (code, text) == (1, "kayan: there are QueueScalers named mail in eu, us: say which with --namespace\n")
        assert (await self.run("decisions", "mail", "-n", "eu"))[0] == 0
        code, text = await self.run("why", "mail", "-n", "asia")
        assert "asia/mail" in text

    async def test_a_scaler_nobody_has_looked_at_for_a_day_still_has_its_decisions(self, remembered: None, redis: Redis) -> None:
        await redis.delete(keys.why(*THUMBNAIL))
        code, text = await self.run("why", "thumbnail")
        assert code == 1
        assert "has not looked at kayan/thumbnail within a day" in text
        assert "kayan decisions thumbnail --namespace kayan" in text

    async def test_trouble_is_one_line(self, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
        monkeypatch.setenv("REDIS_URL", redis_url)
        assert (await self.run("why", "x")) == (
            1, "kayan: no decision is remembered of a QueueScaler x; no operator has written any to this Redis\n")
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
        code, text = await self.run("decisions", "x")
        assert code == 1
        assert text.startswith("kayan: Redis at redis://127.0.0.1:1/0: ")
        assert len(text.splitlines()) == 1
        monkeypatch.setenv("REDIS_URL", "http://somewhere")
        assert (await self.run("why", "x"))[0] == 2
