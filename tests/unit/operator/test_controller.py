"""A look at a thousand scalers is long, and nobody waits for its end: neither a job that was just added, nor whoever else has a turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from kayan_operator.cluster.events import Events
from kayan_operator.cluster.fleet import Fleet, Key
from kayan_operator.cluster.kube import Kube
from kayan_operator.decision.decide import Decision
from kayan_operator.decision.facts import Consumers, QueueFacts, Unread
from kayan_operator.decision.policy import Policy, Queue
from kayan_operator.metrics import Metrics
from kayan_operator.scaling.controller import Controller
from kayan_operator.scaling.obstacles import MetricsApiState
from kayan_operator.scaling.scale_in import Fences
from kayan_operator.scaling.turns import FIGURES_PER_SECOND
from kayan_workers.bull.ending import end
from waiting import wait_until

MANY = 1000
LATE = f"queue-{MANY - 1}"


@dataclass
class Redis:
    """The jobs of each queue, and who wants to hear of new ones."""

    waiting: dict[str, int] = field(default_factory=dict)
    ring: Callable[[str, str], None] = lambda prefix, queue: None
    on_read: Callable[[int], None] = lambda count: None

    async def read(self, queues: Sequence[tuple[Queue, float, float]]) -> list[QueueFacts | Unread]:
        facts: list[QueueFacts | Unread] = [QueueFacts(waiting=self.waiting.get(queue.name, 0)) for queue, _, _ in queues]
        await asyncio.sleep(0)
        self.on_read(len(queues))
        return facts

    def consumers(self, queue: Queue) -> Consumers | None:
        return None

    def know(self, queues: Iterable[Queue]) -> None:
        pass

    def tell(self, rung: Callable[[str, str], None], changed: Callable[[], None]) -> None:
        self.ring = rung

    def add(self, queue: str) -> None:
        self.waiting[queue] = self.waiting.get(queue, 0) + 1
        self.ring("bull", queue)


@dataclass
class Noted:
    """What was decided, in order."""

    decisions: list[tuple[str, int]] = field(default_factory=list)

    def note(self, key: Key, policy: Policy, decision: Decision, *, changed: bool, consumers: Consumers | None = None) -> None:
        self.decisions.append((key.name, decision.desired))

    def forget(self, key: Key) -> None:
        pass

    def of(self, name: str) -> list[int]:
        return [desired for key, desired in self.decisions if key == name]


def fleet_of(count: int, mode: str = "direct") -> Fleet:
    fleet = Fleet(prefix="bull")
    for number in range(count):
        name = f"queue-{number}"
        metadata = {"namespace": "kayan", "name": name, "uid": name, "resourceVersion": "1", "generation": 1}
        spec = {"scaleTargetRef": {"name": name}, "queues": [{"name": name}], "mode": mode, "maxReplicas": 5}
        template = {"spec": {"containers": []}}
        fleet.see_deployment({"metadata": metadata, "spec": {"replicas": 0, "selector": {}, "template": template}})
        fleet.see_scaler({"metadata": metadata, "spec": spec})
    return fleet


class Clock:
    """One that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@asynccontextmanager
async def first_look_at_everybody(redis: Redis) -> AsyncIterator[tuple[Noted, Clock]]:
    """By a leader that may write nothing. It is one look, which begins at once."""
    noted, nobody, clock = Noted(), Kube(cast(Any, None)), Clock()
    controller = Controller(
        api=nobody, fleet=fleet_of(MANY), servers={"default": redis}, fences=lambda queues: cast(Fences, None), may_act=lambda: False,
        metrics=Metrics(), events=Events(nobody, "me"), ledger=noted, metrics_api=lambda: MetricsApiState("off", ""), clock=clock,
    )
    leading = asyncio.create_task(controller.lead())
    await asyncio.sleep(0)
    clock.ahead += 1
    yield noted, clock
    leading.cancel()
    await asyncio.wait([leading])


async def test_a_job_that_comes_in_the_midst_of_a_look_at_everybody_has_its_pod_decided_before_the_end() -> None:
    redis = Redis()
    async with first_look_at_everybody(redis) as (noted, clock):

        def everybody_is_read(count: int) -> None:
            if count == MANY:
                redis.add(LATE)
                clock.ahead += 0.1  # the burst that it could have been the first of is over

        redis.on_read = everybody_is_read

        await wait_until(lambda: noted.of(LATE), what="it was looked at")
        assert noted.of(LATE) == [1]
        assert len(noted.decisions) < MANY

        await wait_until(lambda: len({name for name, _ in noted.decisions}) == MANY, what="the rest was looked at too")
        assert 0 not in noted.of(LATE), "nobody goes back to what was the case before"


async def test_others_have_their_turn_in_the_midst_of_a_look_at_everybody() -> None:
    turns: set[int] = set()
    async with first_look_at_everybody(Redis()) as (noted, _):
        while (done := len(noted.decisions)) < MANY:
            turns.add(done)
            await asyncio.sleep(0)
    assert len([done for done in turns if done]) > 3


class SlowKube(Kube):
    """An API that answers nothing, and whose calls take a moment to end."""

    def __init__(self) -> None:
        super().__init__(cast(Any, None))
        self.calls = 0

    async def _call(self, *_: Any, **__: Any) -> dict[str, Any]:
        self.calls += 1
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
        return {}


async def test_who_leads_no_longer_leaves_nothing_under_way_however_much_there_is_and_however_often_it_is_told() -> None:
    many = 30
    before, api = asyncio.all_tasks(), SlowKube()
    controller = Controller(
        api=api, fleet=fleet_of(many), servers={"default": Redis(waiting={f"queue-{number}": 1 for number in range(many)})},
        fences=lambda queues: cast(Fences, None), may_act=lambda: True, metrics=Metrics(), events=Events(api, "me"), ledger=Noted(),
        metrics_api=lambda: MetricsApiState("off", ""),
    )
    leading = asyncio.create_task(controller.lead())
    await wait_until(lambda: api.calls >= many, what="all of them write their number")
    await end([leading])
    assert asyncio.all_tasks() <= before


class Statuses(Kube):
    """An API that takes every status."""

    def __init__(self) -> None:
        super().__init__(cast(Any, None))
        self.written: list[str] = []

    async def _call(self, verb: str, path: str, *_: Any, **__: Any) -> dict[str, Any]:
        if verb == "PATCH":
            self.written.append(path.split("/")[-2])
        return {}


async def test_figures_of_hundreds_of_busy_scalers_are_told_a_few_a_second_and_those_of_few_are_told_all() -> None:
    for many, most in ((200, 4 * FIGURES_PER_SECOND), (5, 5)):
        redis, api, clock = Redis(), Statuses(), Clock()

        def jobs_come(_: int, redis: Redis = redis, many: int = many) -> None:
            redis.waiting = {f"queue-{number}": 100 + redis.waiting.get(f"queue-{number}", 0) for number in range(many)}

        jobs_come(0)
        controller = Controller(
            api=api, fleet=fleet_of(many, "advisory"), servers={"default": redis}, fences=lambda queues: cast(Fences, None),
            may_act=lambda: True, metrics=Metrics(), events=Events(api, "me"), ledger=Noted(),
            metrics_api=lambda: MetricsApiState("off", ""), clock=clock,
        )
        leading = asyncio.create_task(controller.lead())
        await wait_until(lambda api=api, many=many: len(set(api.written)) == many, what="all of them have a status")
        redis.on_read = jobs_come
        api.written.clear()
        clock.ahead += 60
        begun = clock()
        await wait_until(lambda clock=clock, begun=begun: clock() - begun > 2, what="two seconds are over")
        await end([leading])
        assert 5 <= len(api.written) <= most, (many, api.written)
        assert len(set(api.written)) == len(api.written), "in turn"
