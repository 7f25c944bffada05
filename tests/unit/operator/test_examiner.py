"""Pods that are not ready: asked about after a while, ever more seldom, and never about many targets at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kayan_operator.cluster.fleet import Deployment, Key
from kayan_operator.cluster.kube import ApiError, Kube
from kayan_operator.scaling.examiner import Examiner
from kayan_operator.scaling.turns import Turns

WORDS = "1 pod does not come up (ImagePullBackOff)"


def target(ready: int = 0) -> Deployment:
    return Deployment(key=Key("kayan", "email"), uid="u", version=1, replicas=2, ready=ready, present=2, terminating=0, updated=2,
                      is_settled=True, selector="app=email", cpu=0)


class Api(Kube):
    """Has one pod, which cannot pull its image, or the error that it is given."""

    def __init__(self) -> None:
        self.asked = 0
        self.at_once: list[int] = []
        self.error: ApiError | None = None
        self.is_well = False
        self._now = 0

    async def pages(self, path: str, *, labels: str = "") -> AsyncIterator[list[dict[str, Any]]]:
        self.asked += 1
        self._now += 1
        self.at_once.append(self._now)
        await asyncio.sleep(0.01)
        self._now -= 1
        if self.error:
            raise self.error
        waiting = {"waiting": {"reason": "ContainerCreating" if self.is_well else "ImagePullBackOff"}}
        yield [{"metadata": {"name": "email-1", "uid": "1", "ownerReferences": [{"kind": "ReplicaSet"}]},
                "status": {"containerStatuses": [{"state": waiting}]}}]  # fmt: skip


class Watch:
    """Looks, second by second."""

    def __init__(self, api: Api) -> None:
        self.now = 1000.0
        self.changes = 0
        self.api = api
        self.examiner = Examiner(api, Turns().pods, self._change, lambda: self.now)

    def _change(self) -> None:
        self.changes += 1

    async def look(self, seconds: int, ready: int = 0) -> list[int]:
        """The seconds, from now, at which something was asked."""
        asked = []
        for second in range(seconds):
            before = self.api.asked
            self.examiner.look(target(ready))
            await asyncio.sleep(0.012)
            if self.api.asked > before:
                asked.append(second)
            self.now += 1
        return asked


@pytest.fixture
def watch() -> Watch:
    return Watch(Api())


async def test_pods_that_stay_unready_are_asked_about_ever_more_seldom(watch: Watch) -> None:
    assert await watch.look(120) == [10, 20, 40, 70, 100]
    assert (watch.examiner.broken, watch.changes) == (WORDS, 1)


async def test_one_that_becomes_ready_is_news(watch: Watch) -> None:
    await watch.look(80)
    assert await watch.look(12, ready=1) == [0, 10]


async def test_broken_pods_that_are_ready_now_are_asked_about_until_they_are_well(watch: Watch) -> None:
    await watch.look(15)
    assert await watch.look(20, ready=2) == [0, 5, 10, 15]
    watch.api.is_well = True
    assert await watch.look(20, ready=2) == [0]
    assert (watch.examiner.broken, watch.changes) == ("", 2)


async def test_where_the_api_does_not_answer_what_was_known_stays(watch: Watch) -> None:
    await watch.look(15)
    watch.api.error = ApiError(0, "the Kubernetes API does not answer")
    assert await watch.look(60)
    assert watch.examiner.broken == WORDS


async def test_a_target_that_is_ready_or_has_no_pods_is_not_asked_about(watch: Watch) -> None:
    assert await watch.look(30, ready=2) == []


async def test_hundreds_of_targets_are_asked_about_a_few_at_a_time() -> None:
    api, turns, now = Api(), Turns(), 0.0
    examiners = [Examiner(api, turns.pods, lambda: None, lambda: now) for _ in range(50)]
    for now in (0.0, 20.0):  # noqa: B007  the clock
        for one in examiners:
            one.look(target())
    async with asyncio.timeout(5):
        while any(not one.broken for one in examiners):
            await asyncio.sleep(0.01)
    assert max(api.at_once) == 2
