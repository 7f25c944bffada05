"""Tasks end, even those that overhear it."""

from __future__ import annotations

import asyncio

import pytest
from kayan_workers.bull import ending


async def test_a_task_that_forgets_its_cancellation_is_told_again(monkeypatch) -> None:
    monkeypatch.setattr(ending, "_PATIENCE_SECONDS", 0.02)
    told = 0

    async def deaf_in_one_ear() -> None:
        nonlocal told
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                told += 1
                if told > 1:
                    raise

    task = asyncio.create_task(deaf_in_one_ear())
    await asyncio.sleep(0)
    await asyncio.wait_for(ending.end([task]), 5)

    assert task.cancelled()
    assert told == 2


async def test_who_awaits_work_that_forgets_its_cancellation_is_ended_all_the_same(monkeypatch) -> None:
    monkeypatch.setattr(ending, "_PATIENCE_SECONDS", 0.02)
    has_begun = asyncio.Event()

    async def forgets_the_first() -> None:
        has_begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    waiting = asyncio.create_task(ending.heard(forgets_the_first()))
    await has_begun.wait()
    waiting.cancel()
    await asyncio.wait([waiting], timeout=5)

    assert waiting.cancelled()


async def test_work_that_must_not_be_disturbed_comes_to_its_end_however_often_its_owner_is_told_to_end() -> None:
    may_end, has_ended = asyncio.Event(), False

    async def last_words() -> None:
        nonlocal has_ended
        await may_end.wait()
        has_ended = True

    async def owner() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await ending.undisturbed(last_words())

    task = asyncio.create_task(owner())
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task], timeout=0.05)
    assert not task.done()
    may_end.set()
    await asyncio.wait([task], timeout=5)

    assert has_ended
    assert task.cancelled(), "what it was told meanwhile was forgotten"


async def test_work_that_is_not_disturbed_gives_its_result_or_its_error() -> None:
    async def answers() -> int:
        return 42

    async def fails() -> None:
        raise ValueError("no such thing")

    assert await ending.undisturbed(answers()) == 42
    with pytest.raises(ValueError, match="no such thing"):
        await ending.undisturbed(fails())


async def test_work_that_is_awaited_gives_its_result_or_its_error() -> None:
    async def answers() -> int:
        return 42

    async def fails() -> None:
        raise ValueError("no such thing")

    assert await ending.heard(answers()) == 42
    with pytest.raises(ValueError, match="no such thing"):
        await ending.heard(fails())


async def test_tasks_that_have_ended_or_end_in_an_error_are_no_trouble() -> None:
    async def fails_on_the_way_out() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise RuntimeError("the door was locked")

    over = asyncio.create_task(asyncio.sleep(0))
    failing = asyncio.create_task(fails_on_the_way_out())
    await asyncio.sleep(0.01)
    await ending.end([over, failing])

    assert over.done()
    assert failing.done()
