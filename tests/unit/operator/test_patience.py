"""How long one waits for an answer, and what does not count as waiting."""

from __future__ import annotations

import asyncio
import gc
import socket
import time

import pytest
import uvloop
from kayan_operator.queues.patience import Patience, within


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> asyncio.Runner:
    return asyncio.Runner(loop_factory=request.param)


async def answer(text: str) -> str:
    await asyncio.sleep(0.01)
    return text


async def never() -> None:
    await asyncio.Event().wait()


def test_an_answer_in_time_is_passed_on_and_so_is_its_error(runner: asyncio.Runner) -> None:
    async def fail() -> None:
        raise LookupError("of its own")

    with runner:
        assert runner.run(within(1, answer("yes"))) == "yes"
        with pytest.raises(LookupError):
            runner.run(within(1, fail()))


def test_what_does_not_come_is_cancelled_when_patience_is_over(runner: asyncio.Runner) -> None:
    async def wait_in_vain() -> bool:
        task = asyncio.ensure_future(never())
        with pytest.raises(TimeoutError, match=r"within 0\.3 s"):
            await within(0.3, task)
        return task.cancelled()

    with runner:
        assert runner.run(wait_in_vain())


def test_whoever_is_told_to_go_while_the_work_fails_leaves_no_error_behind(runner: asyncio.Runner) -> None:
    complaints: list[object] = []

    async def go() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context["message"]))
        lost = asyncio.Event()

        async def fail() -> None:
            await lost.wait()
            raise ConnectionError("closed")

        waiting = asyncio.create_task(within(5, fail()))
        await asyncio.sleep(0.01)
        lost.set()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()

    with runner:
        runner.run(go())
        gc.collect()
        assert not complaints


def test_an_answer_that_came_while_the_loop_stood_still_counts(runner: asyncio.Runner) -> None:
    """Many times as long as patience would have lasted: both the limit and the answer are there when it goes on."""

    async def ask() -> bytes:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        asking = asyncio.ensure_future(within(0.2, asyncio.get_running_loop().sock_recv(ours, 10)))
        await asyncio.sleep(0.05)
        theirs.send(b"pong")
        time.sleep(1)
        try:
            return await asking
        finally:
            ours.close()
            theirs.close()

    with runner:
        assert runner.run(ask()) == b"pong"


def test_a_loop_that_is_always_late_comes_to_its_end_all_the_same(runner: asyncio.Runner) -> None:
    async def wait() -> int:
        patience, turns, future = Patience(0.5), 0, asyncio.get_running_loop().create_future()
        while not patience.is_over:
            turns += 1
            asyncio.get_running_loop().call_later(0.01, time.sleep, 0.4)
            assert not await patience.wait_for(future)
        return turns

    with runner:
        assert runner.run(wait()) == 2
