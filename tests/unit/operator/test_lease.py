"""Who leads, by a clock of the test's own: two replicas, one Lease, and what one may write that stood still meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from kayan_operator.cluster.kube import ApiError, Kube
from kayan_operator.cluster.lease import DURATION_SECONDS, Leadership
from waiting import wait_until


class Leases:
    """As much of the API server as keeps one Lease."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] = {}
        self.is_away = False

    async def get(self, path: str) -> dict[str, Any]:
        self._answer()
        if not self.lease:
            raise ApiError(404, "there is none")
        return self.lease

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        return self._put(body, 0)

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._answer()
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiError(409, "somebody was quicker")
        return self._put(body, int(body["metadata"]["resourceVersion"]))

    def _answer(self) -> None:
        if self.is_away:
            raise ApiError(0, "no answer")

    def _put(self, body: dict[str, Any], version: int) -> dict[str, Any]:
        self.lease = {**body, "metadata": {**body["metadata"], "uid": "u1", "resourceVersion": str(version + 1)}}
        return self.lease


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def replica(leases: Leases, identity: str, clock: Clock) -> Leadership:
    return Leadership(cast(Kube, leases), "kayan", "operator", identity, clock=clock)


@asynccontextmanager
async def elected(leadership: Leadership) -> AsyncIterator[asyncio.Task[None]]:
    """Takes part in the election, and wins it."""

    async def lead() -> None:
        await asyncio.Event().wait()

    running = asyncio.create_task(leadership.run(lead))
    try:
        await wait_until(lambda: leadership.leads, what="it is elected")
        yield running
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_each_leadership_has_a_higher_term_and_a_process_that_was_started_anew_one_of_its_own() -> None:
    leases, clock = Leases(), Clock()
    terms = []
    for identity in ("a", "b", "b", "a"):
        one = replica(leases, identity, clock)
        async with elected(one):
            terms.append(one.term)
    assert [term.lease for term in terms] == ["u1"] * 4
    assert [term.number for term in terms] == sorted({term.number for term in terms})


async def test_a_process_that_finds_its_own_name_in_the_lease_begins_a_term() -> None:
    leases, clock = Leases(), Clock()
    killed = replica(leases, "a", clock)
    async with elected(killed) as running:
        before, leases.is_away = killed.term, True  # so that it cannot give the lease back
        running.cancel()
        await asyncio.wait([running])
    leases.is_away = False
    again = replica(leases, "a", clock)
    async with elected(again):
        assert leases.lease["spec"]["holderIdentity"] == "a"
        assert again.term.number > before.number


async def test_a_leader_that_stood_still_may_write_nothing_from_its_first_moment_on() -> None:
    leases, clock = Leases(), Clock()
    leader = replica(leases, "a", clock)
    async with elected(leader):
        assert DURATION_SECONDS - 3 < leader.seconds_left <= DURATION_SECONDS
        clock.now += DURATION_SECONDS
        assert not leader.leads
        assert leader.seconds_left == 0


async def test_what_is_begun_must_end_before_another_may_act() -> None:
    leases, clock = Leases(), Clock()
    leader = replica(leases, "a", clock)
    async with elected(leader):
        leases.is_away = True
        clock.now += 6
        assert leader.leads
        assert leader.seconds_left == pytest.approx(DURATION_SECONDS - 6)


async def test_who_leaves_begins_nothing_more_and_may_tidy_up_until_the_lease_is_given_back() -> None:
    leases, clock = Leases(), Clock()
    leader = replica(leases, "a", clock)
    left: list[tuple[bool, float]] = []

    async def lead() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.append((leader.leads, leader.seconds_left))

    running = asyncio.create_task(leader.run(lead))
    await wait_until(lambda: leader.leads)
    running.cancel()
    await asyncio.wait([running])
    [(leads, seconds)] = left
    assert not leads
    assert seconds > 0
    assert leader.seconds_left == 0
    assert leases.lease["spec"]["holderIdentity"] == ""


async def test_whoever_may_not_write_sends_nothing_that_changes_anything() -> None:
    seconds = 0.0
    sent: list[tuple[str, float]] = []

    class Client:
        async def param_serialize(self, verb: str, path: str, **_: Any) -> tuple[Any, ...]:
            return verb, path, {}, None, None

        async def call_api(self, verb: str, url: str, headers: Any, body: Any, *, _request_timeout: float) -> Any:
            sent.append((verb, _request_timeout))
            raise TimeoutError

    api = Kube(cast(Any, Client()), may_write=lambda: seconds)
    for change in (api.create("/x", {}), api.replace("/x", {}), api.merge("/x", {}), api.patch("/x", []), api.delete("/x")):
        with pytest.raises(ApiError, match="does not lead"):
            await change
    assert not sent
    with pytest.raises(ApiError, match="does not answer"):
        await api.get("/x")
    seconds = 4.0
    with pytest.raises(ApiError, match="does not answer"):
        await api.merge("/x", {})
    assert sent == [("GET", 10.0), ("PATCH", 4.0)]
