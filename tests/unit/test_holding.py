"""Which roles claim nothing while which edge cannot be used, and what is said of it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kayan_workers import logs
from kayan_workers.bull.ending import end
from kayan_workers.holding import Holding
from kayan_workers.processors.table import ROLES
from waiting import wait_until

EMAIL, THUMBNAIL = (next(role for role in ROLES if role.name == name) for name in ("email", "thumbnail"))


class Edge:
    """An edge that cannot be used while it has a reason."""

    def __init__(self) -> None:
        self.why = ""
        self.asked = 0
        self.doubts = 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def __call__(self) -> None:
        self.asked += 1
        await self.answers.wait()
        if self.why:
            raise ConnectionError(self.why)

    def begin(self) -> None:
        pass

    def doubt(self) -> None:
        self.doubts += 1

    def close(self) -> None:
        pass


class Fleet:
    """A database and a bucket, watched for a role that needs the first and one that needs both."""

    def __init__(self) -> None:
        self.database, self.storage = Edge(), Edge()
        self.held: set[str] = set()
        self.stream = io.StringIO()
        logs.configure(level="info", stream=self.stream)
        self.holding = Holding([EMAIL, THUMBNAIL], {"database": self.database, "storage": self.storage}, self._hold)

    def _hold(self, role: Any, is_held: bool) -> None:
        assert is_held is (role.name not in self.held), f"{role.name} is told what it knows"
        (self.held.add if is_held else self.held.remove)(role.name)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        watches = [asyncio.create_task(self.holding.watch(edge)) for edge in ("database", "storage")]
        await wait_until(lambda: self.database.asked and self.storage.asked)
        yield
        await end(watches)

    def said(self) -> list[tuple[str, list[str]]]:
        events = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [(event["event"], event.get("roles", [])) for event in events]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


async def test_a_role_is_held_until_each_edge_that_it_needs_can_be_used_and_each_change_is_said_once(fleet: Fleet) -> None:
    fleet.storage.why = "no such bucket"
    async with fleet.watched():
        await wait_until(lambda: fleet.held == {"thumbnail"})
        fleet.database.why = "refused"
        fleet.holding.doubt(EMAIL)
        await wait_until(lambda: fleet.held == {"thumbnail", "email"})
        fleet.storage.why = ""
        await wait_until(lambda: ("storage.usable", []) in fleet.said())
        assert fleet.held == {"thumbnail", "email"}
        fleet.database.why = ""
        await wait_until(lambda: not fleet.held)
    assert fleet.said() == [
        ("storage.unusable", []), ("worker.holding", ["thumbnail"]), ("database.unusable", []), ("worker.holding", ["email"]),
        ("storage.usable", []), ("database.usable", []), ("worker.released", ["email", "thumbnail"]),
    ]  # fmt: skip


async def test_a_worker_that_starts_takes_no_job_before_it_has_looked_and_says_nothing_of_it(fleet: Fleet) -> None:
    fleet.storage.answers.clear()
    fleet.holding.begin()
    assert fleet.held == {"thumbnail", "email"}
    async with fleet.watched():
        await wait_until(lambda: fleet.held == {"thumbnail"})
        fleet.storage.answers.set()
        await wait_until(lambda: not fleet.held)
    assert fleet.said() == []


async def test_what_the_first_look_finds_wrong_is_said_of_the_roles_that_waited_for_it(fleet: Fleet) -> None:
    fleet.database.why = "refused"
    fleet.holding.begin()
    async with fleet.watched():
        await wait_until(lambda: fleet.said() == [("database.unusable", []), ("worker.holding", ["email", "thumbnail"])])
        assert fleet.held == {"thumbnail", "email"}
        fleet.database.why = ""
        await wait_until(lambda: not fleet.held)


async def test_a_first_look_that_takes_too_long_is_not_waited_for(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kayan_workers.holding._FIRST_LOOK_SECONDS", 0.1)
    fleet.database.answers.clear()
    fleet.holding.begin()
    async with fleet.watched():
        await wait_until(lambda: not fleet.held)
    assert fleet.said() == []


async def test_an_edge_that_says_another_reason_is_quoted_again_and_nobody_is_held_twice(fleet: Fleet) -> None:
    fleet.database.why = "refused"
    async with fleet.watched():
        await wait_until(lambda: fleet.held == {"thumbnail", "email"})
        fleet.database.why = "starting up"
        await wait_until(lambda: fleet.said().count(("database.unusable", [])) == 2)
        fleet.database.why = "refused"
        before = fleet.database.asked
        await wait_until(lambda: fleet.database.asked > before)
    assert fleet.said() == [("database.unusable", []), ("worker.holding", ["email", "thumbnail"]), ("database.unusable", [])]


async def test_reasons_that_never_repeat_are_not_all_kept(fleet: Fleet) -> None:
    fleet.database.why = "refused"
    async with fleet.watched():
        await wait_until(lambda: bool(fleet.held))
        for number in range(20):
            fleet.holding._cannot_be_used("database", f"no connection for request {number}")
        assert len(fleet.holding._unusable["database"]) < 10
        assert fleet.said().count(("database.unusable", [])) == 21


async def test_a_jobs_trouble_is_reason_to_look_at_once_at_the_edges_of_its_role_only(fleet: Fleet) -> None:
    async with fleet.watched():
        fleet.database.why = "refused"
        fleet.holding.doubt(EMAIL)
        await wait_until(lambda: fleet.held == {"thumbnail", "email"}, 4, what="less than the time between two looks")
    assert (fleet.database.doubts, fleet.storage.doubts, fleet.storage.asked) == (1, 0, 1)


async def test_a_storm_of_trouble_asks_an_edge_no_more_than_twice_a_second(fleet: Fleet) -> None:
    async with fleet.watched():
        loop = asyncio.get_running_loop()
        end_at = loop.time() + 1.2
        while loop.time() < end_at:
            fleet.holding.doubt(EMAIL)
            await asyncio.sleep(0)
    assert fleet.database.asked <= 4
