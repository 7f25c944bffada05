"""When a scaler is looked at: soon when it must be, once for a burst, and together with the others when nothing is urgent."""

from __future__ import annotations

import asyncio

import pytest
from kayan_operator.cluster.fleet import Key
from kayan_operator.scaling.agenda import AT_REST_SECONDS, AT_WORK_SECONDS, Agenda

EMAIL, THUMBNAIL = Key("kayan", "email"), Key("kayan", "thumbnail")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def agenda(clock: Clock) -> Agenda:
    return Agenda(clock)


async def is_due(agenda: Agenda) -> dict[Key, float | None]:
    """What is due at this moment."""
    waiting = asyncio.ensure_future(agenda.next())
    await asyncio.sleep(0)
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    return {}


async def test_the_earliest_plan_counts_and_is_done_once(agenda: Agenda, clock: Clock) -> None:
    agenda.look_at(EMAIL, 5)
    agenda.look_at(EMAIL, 1)
    agenda.look_at(EMAIL, 3)
    assert await is_due(agenda) == {}
    clock.now += 1
    assert await is_due(agenda) == {EMAIL: None}
    clock.now += 10
    assert await is_due(agenda) == {}


async def test_a_plan_wakes_whoever_waits_for_a_later_one(clock: Clock) -> None:
    agenda = Agenda()
    agenda.look_at(EMAIL, 60)
    waiting = asyncio.ensure_future(agenda.next())
    await asyncio.sleep(0)
    agenda.look_at(THUMBNAIL, 0)
    assert await waiting == {THUMBNAIL: None}


async def test_those_with_nothing_urgent_are_looked_at_in_the_same_moment(agenda: Agenda, clock: Clock) -> None:
    agenda.look_again(EMAIL, at_work=False, within=None)
    clock.now += AT_REST_SECONDS / 2
    agenda.look_again(THUMBNAIL, at_work=False, within=None)
    clock.now += AT_REST_SECONDS / 2
    assert set(await is_due(agenda)) == {EMAIL, THUMBNAIL}


async def test_what_has_jobs_is_looked_at_more_often(agenda: Agenda, clock: Clock) -> None:
    agenda.look_again(EMAIL, at_work=True, within=None)
    agenda.look_again(THUMBNAIL, at_work=False, within=None)
    clock.now += AT_WORK_SECONDS
    assert set(await is_due(agenda)) == {EMAIL}


async def test_a_time_of_its_own_comes_before_the_common_moment(agenda: Agenda, clock: Clock) -> None:
    agenda.look_again(EMAIL, at_work=False, within=0.5)
    clock.now += 0.5
    assert set(await is_due(agenda)) == {EMAIL}


async def test_a_burst_is_answered_once_when_it_is_over_or_has_gone_on_for_long(agenda: Agenda, clock: Clock) -> None:
    agenda.look_at(EMAIL, 4)
    begun = clock.now
    looks = []
    for _ in range(60):  # a job each 10 ms, for more than half a second
        agenda.ring(EMAIL, wakes=True)
        clock.now += 0.01
        if due := await is_due(agenda):
            looks.append((round(clock.now - begun, 2), due[EMAIL]))
    assert [moment for moment, _ in looks] == pytest.approx([0.25, 0.51], abs=0.015)
    assert looks[0][1] == begun
    clock.now += 0.1
    assert await is_due(agenda)
    assert not await is_due(agenda)


async def test_a_single_job_is_answered_within_a_few_hundredths(agenda: Agenda, clock: Clock) -> None:
    agenda.ring(EMAIL, wakes=True)
    assert not await is_due(agenda)
    clock.now += 0.061
    assert await is_due(agenda) == {EMAIL: clock.now - 0.061}


async def test_a_busy_queue_with_pods_is_not_looked_at_for_each_of_its_jobs(agenda: Agenda, clock: Clock) -> None:
    looks = 0
    for _ in range(1000):
        agenda.ring(EMAIL, wakes=False)
        clock.now += 0.001
        looks += bool(await is_due(agenda))
    assert 3 <= looks <= 5


async def test_what_is_gone_is_forgotten(agenda: Agenda, clock: Clock) -> None:
    agenda.look_at(EMAIL, 1)
    agenda.ring(EMAIL, wakes=True)
    agenda.forget(EMAIL)
    clock.now += 10
    assert not await is_due(agenda)
