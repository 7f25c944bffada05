"""Answers are kept, asked for once, and outlive those who gave them where that is wanted."""

from __future__ import annotations

import asyncio

import pytest
from kayan_operator.metrics_api.remembered import Remembered
from unit.operator.metrics_api.conftest import Seconds


class Oracle:
    """Answers with how often it has been asked; ``silent`` when it does not."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.silent = False
        self.speak = asyncio.Event()
        self.speak.set()

    async def __call__(self, key: str) -> int:
        self.asked.append(key)
        await self.speak.wait()
        if self.silent:
            raise ConnectionError("silent")
        return len(self.asked)


def remembered(oracle: Oracle, seconds: Seconds, *, limit: int = 10) -> Remembered[str, int]:
    return Remembered(
        oracle, seconds=lambda _: 60.0, outlives=lambda _: 600.0, clock=seconds, retry_seconds=10.0, limit=limit
    )  # fmt: skip


async def test_an_answer_is_kept_for_its_time_and_then_asked_for_again(seconds: Seconds) -> None:
    oracle = Oracle()
    answers = remembered(oracle, seconds)

    assert await answers.get("a") == 1
    seconds.now += 59.9
    assert await answers.get("a") == 1
    seconds.now += 0.1
    assert await answers.get("a") == 2


async def test_an_answer_that_is_wanted_is_asked_for_anew_before_its_time_is_over_and_nobody_waits(seconds: Seconds) -> None:
    oracle = Oracle()
    answers = remembered(oracle, seconds)
    await answers.get("a")
    oracle.speak.clear()

    seconds.now += 45
    assert [await answers.get("a"), await answers.get("a")] == [1, 1]
    await asyncio.sleep(0)
    assert oracle.asked == ["a", "a"], "once, though two wanted it"
    oracle.speak.set()
    await asyncio.sleep(0.01)
    seconds.now += 59
    assert await answers.get("a") == 2


async def test_who_does_not_answer_ahead_of_time_is_asked_again_when_it_is_over(seconds: Seconds) -> None:
    oracle = Oracle()
    answers = remembered(oracle, seconds)
    await answers.get("a")
    oracle.silent = True

    seconds.now += 45
    for _ in range(3):
        assert await answers.get("a") == 1
        await asyncio.sleep(0.01)
    assert len(oracle.asked) == 2
    oracle.silent = False
    seconds.now += 15
    assert await answers.get("a") == 3


async def test_many_who_want_the_same_ask_once_and_one_who_leaves_takes_nothing_from_the_others(seconds: Seconds) -> None:
    oracle = Oracle()
    oracle.speak.clear()
    answers = remembered(oracle, seconds)
    waiting = [asyncio.create_task(answers.get("a")) for _ in range(50)]
    while not oracle.asked:
        await asyncio.sleep(0)

    waiting[0].cancel()
    oracle.speak.set()

    assert await asyncio.gather(*waiting[1:]) == [1] * 49
    assert oracle.asked == ["a"]


async def test_in_an_outage_an_old_answer_serves_on_and_asking_is_tried_now_and_then(seconds: Seconds) -> None:
    oracle = Oracle()
    answers = remembered(oracle, seconds)
    await answers.get("a")
    oracle.silent = True

    seconds.now += 60
    assert [await answers.get("a"), await answers.get("a")] == [1, 1]
    assert len(oracle.asked) == 2, "one attempt, not one for each who wants to know"
    seconds.now += 10
    assert await answers.get("a") == 1
    assert len(oracle.asked) == 3

    oracle.silent = False
    seconds.now += 10
    assert await answers.get("a") == 4


async def test_an_answer_does_not_outlive_the_outage_for_ever(seconds: Seconds) -> None:
    oracle = Oracle()
    answers = remembered(oracle, seconds)
    await answers.get("a")
    oracle.silent = True

    seconds.now += 599
    assert await answers.get("a") == 1
    seconds.now += 10
    with pytest.raises(ConnectionError):
        await answers.get("a")


async def test_a_failure_is_not_remembered(seconds: Seconds) -> None:
    oracle = Oracle()
    oracle.silent = True
    answers = remembered(oracle, seconds)
    with pytest.raises(ConnectionError):
        await answers.get("a")

    oracle.silent = False

    assert await answers.get("a") == 2


async def test_the_oldest_answers_make_room_for_new_ones(seconds: Seconds) -> None:
    oracle = Oracle()
    answers = remembered(oracle, seconds, limit=2)
    for key in ("a", "b", "c", "b", "c", "a"):
        await answers.get(key)

    assert oracle.asked == ["a", "b", "c", "a"]
