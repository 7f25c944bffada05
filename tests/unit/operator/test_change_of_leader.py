"""Who begins to lead finds statuses that the leader before has written. He has nothing to add, and must be as good a source as that one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from waiting import wait_until

METADATA = {"namespace": "kayan", "name": "email", "uid": "email", "resourceVersion": "1", "generation": 1}
SCALER = {"metadata": METADATA, "spec": {"scaleTargetRef": {"name": "email"}, "queues": [{"name": "email"}], "mode": "advisory"}}
DEPLOYMENT = {"metadata": METADATA, "spec": {"replicas": 0, "selector": {}, "template": {"spec": {"containers": []}}}}


class Redis:
    """A queue in which always as much waits."""

    async def read(self, queues: Sequence[tuple[Queue, float, float]]) -> list[QueueFacts | Unread]:
        return [QueueFacts(waiting=25) for _ in queues]

    def consumers(self, queue: Queue) -> Consumers | None:
        return None

    def know(self, queues: Iterable[Queue]) -> None:
        pass

    def tell(self, rung: Callable[[str, str], None], changed: Callable[[], None]) -> None:
        pass


class Written(Kube):
    """The API server, as far as it keeps the scaler's status."""

    def __init__(self) -> None:
        super().__init__(cast(Any, None))
        self.statuses: list[dict[str, Any]] = []

    async def merge(self, path: str, body: Mapping[str, Any]) -> Any:
        self.statuses.append({name: value for name, value in body["status"].items() if value is not None})


class Nobody:
    """Keeps no ledger."""

    def note(self, key: Key, policy: Policy, decision: Decision, *, changed: bool, consumers: Consumers | None = None) -> None:
        pass

    def forget(self, key: Key) -> None:
        pass


async def leads_until_it_tells(api: Written, status: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status that a new leader gives to Prometheus, where this one stands in the cluster."""
    fleet = Fleet(prefix="bull")
    fleet.see_deployment(DEPLOYMENT)
    fleet.see_scaler({**SCALER, "status": status})
    controller = Controller(
        api=api, fleet=fleet, servers={"default": Redis()}, fences=lambda queues: cast(Fences, None), may_act=lambda: True,
        metrics=Metrics(), events=Events(api, "me"), ledger=Nobody(), metrics_api=lambda: MetricsApiState("off", ""),
    )  # fmt: skip
    leading = asyncio.create_task(controller.lead())
    try:
        await wait_until(lambda: list(controller.statuses()), 5, what="it tells of its scaler")
        [(_, told)] = controller.statuses()
        return told
    finally:
        leading.cancel()
        await asyncio.wait([leading])


async def test_prometheus_is_told_of_a_scaler_to_whose_status_a_new_leader_has_nothing_to_add() -> None:
    api = Written()
    await leads_until_it_tells(api, {})
    [before] = api.statuses
    assert before["desiredReplicas"] == 3

    told = await leads_until_it_tells(api, before)
    assert told["desiredReplicas"] == 3
    assert len(api.statuses) == 1
