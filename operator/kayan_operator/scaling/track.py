"""One scaler under the leader's eyes: what is remembered of it, and how what was decided is carried out and told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from kayan_workers import logs
from kayan_workers.bull.ending import end
from redis.exceptions import RedisError

from kayan_operator.cluster import kube
from kayan_operator.cluster.events import Events
from kayan_operator.cluster.fleet import Deployment, Fleet, Scaler
from kayan_operator.cluster.kube import ApiError, Kube
from kayan_operator.decision.decide import Decision
from kayan_operator.decision.facts import Snapshot, Unread
from kayan_operator.decision.history import History
from kayan_operator.decision.policy import Mode, Queue
from kayan_operator.decision.sentences import pods as pods_in_words
from kayan_operator.decision.sentences import sentence
from kayan_operator.decision.startups import Startups
from kayan_operator.metrics import Metrics
from kayan_operator.queues.fences import UnfenceableError
from kayan_operator.scaling import status
from kayan_operator.scaling.actuator import Actuator
from kayan_operator.scaling.attendance import Attendance
from kayan_operator.scaling.examiner import Examiner
from kayan_operator.scaling.protection import Protection
from kayan_operator.scaling.scale_in import Fences
from kayan_operator.scaling.status import Condition
from kayan_operator.scaling.turns import Turns

_STATUS_SECONDS = 10.0
"""How often numbers that change with every job are written."""
_PROTECTION_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What came of one look. Without a ``decision`` there is only a status to write."""

    scaler: Scaler
    conditions: tuple[Condition, ...]
    mode: Mode = "advisory"
    target: Deployment | None = None
    snapshot: Snapshot | None = None
    decision: Decision | None = None
    rung: float | None = None
    """When the message came that it answers."""


class Track:
    """Carries out one plan at a time; of several that come meanwhile the latest."""

    def __init__(self, scaler: Scaler, queues: tuple[Queue, ...], *, api: Kube, fleet: Fleet, fences: Fences,
                 may_act: Callable[[], bool], metrics: Metrics, events: Events, changed: Callable[[], None], turns: Turns,
                 clock: Callable[[], float] = time.monotonic) -> None:
        key = self.key = scaler.key
        self.scaler_uid = scaler.uid
        self._target = scaler.target
        self.queues = queues
        self.history: History | None = None
        self.decision: Decision | None = None
        self.startups = Startups()
        self.status: Mapping[str, Any] | None = None
        """As last written."""
        self.examiner = Examiner(api, turns.pods, changed, clock)
        self.attendance = Attendance(clock)
        self.fences = fences
        self._api = api
        self._fleet = fleet
        self._may_act = may_act
        self._metrics = metrics
        self._events = events
        self._turns = turns
        self._clock = clock
        self._log = logs.get(namespace=key.namespace, scaler=key.name)
        self.actuator = Actuator(api, fleet, key, fences, may_act=may_act, written=self._written, log=self._log)
        for counted in (metrics.interrupted, metrics.survived, metrics.fenced):
            counted.labels(*key)  # from 0 on: a first increment that comes out of nothing is none to Prometheus
        self._protection = Protection(api, clock)
        self._protected_at = float("-inf")
        self._written_at = float("-inf")
        self._trouble = ""
        self._plan: Plan | None = None
        self._working: asyncio.Task[None] | None = None
        self._rung: float | None = None
        self._told_outcome: object = None

    def follow(self, plan: Plan) -> None:
        """Carry out a plan, if there is anything to do."""
        self._plan = plan
        if (self._working is None or self._working.done()) and self._has_work(plan):
            self._working = asyncio.create_task(self._work())

    async def stop(self) -> None:
        self.examiner.stop()
        await self.actuator.stop()
        if self._working:
            await end([self._working])

    def let_go(self) -> None:
        """The scaler has been deleted, and this is stopped: its fences and marks on pods go too, the marks unless another scaler sees to
        them from now on."""
        if self._may_act():
            _in_background(self._clear())

    async def _clear(self) -> None:
        target = self._fleet.deployments.get(self._target) if self._target else None
        try:
            await self.actuator.scale_in.forget()
            if target and self._protection.has_marks and not self._fleet.is_target(target.key):
                await self._protection.end(target)
        except Exception as error:  # of the API, or of Redis: the fences end by themselves
            self._log.warning("scaler.hindered", error=str(error))

    # -- carrying out ----------------------------------------------------------------------------------------------------------

    def _has_work(self, plan: Plan) -> bool:
        if plan.decision and plan.target:
            if not self.actuator.is_at_rest(plan.scaler, plan.target, plan.decision.desired, plan.mode):
                return True
            if self._protects(plan):
                return True
        # what the leader before has written may be just right, and is to be told to Prometheus all the same
        return self.status is None or self._is_news(self._status_of(plan), plan.scaler)

    async def _work(self) -> None:
        while (plan := self._plan) is not None:
            self._plan = None
            try:
                if plan.decision and plan.target:
                    await self._act(plan, plan.decision, plan.target)
                await self._tell(plan)
                if self._protects(plan):
                    await self._protect(plan)
                self._trouble = ""
            except (ApiError, RedisError, OSError, UnfenceableError) as error:  # TimeoutError is an OSError too
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    self._log.warning("scaler.hindered", error=str(error))
            except Exception as error:
                self._log.error("scaler.stumbled", error=error, exc_info=True)

    async def _act(self, plan: Plan, decision: Decision, target: Deployment) -> None:
        self._rung = plan.rung
        if decision.desired > target.replicas == 0:
            self.startups.asked(self._clock())
        await self.actuator.want(plan.scaler, target, decision.desired, plan.mode)

    def _written(self, scaler: Scaler, before: int, after: int, mode: Mode) -> None:
        """A number was written, by us or by our HPA."""
        direction = "wake" if not before else "zero" if not after else "up" if after > before else "down"
        self._metrics.writes.labels(*self.key, direction, mode).inc()
        if after > before and self._rung is not None:
            self._metrics.reaction.observe(self._clock() - self._rung)
            self._rung = None
        step = self.decision.steps[0] if self.decision else None
        why = sentence(step) if step else ""
        self._log.info("scale.changed", before=before, after=after, mode=mode, why=why)
        note = f"From {before} to {pods_in_words(after)}: {why}"
        self._post(scaler, "Scaled", note, "Scale", "Normal")

    # -- telling ---------------------------------------------------------------------------------------------------------------

    def _status_of(self, plan: Plan) -> dict[str, Any]:
        before = self.status if self.status is not None else plan.scaler.status
        numbers: dict[str, Any] = {}
        if plan.decision and plan.snapshot:
            numbers = status.of_decision(plan.decision, plan.snapshot, mode=plan.mode, published=self.actuator.published,
                                         waits_for=self.actuator.outcome.waits_for)
        else:
            condition = plan.conditions[0]
            numbers = {"reason": condition.reason, "message": condition.message}
        return status.with_conditions(numbers, plan.conditions, before=before, generation=plan.scaler.generation, now=time.time())

    def _is_news(self, now: Mapping[str, Any], scaler: Scaler) -> bool:
        before = self.status if self.status is not None else scaler.status
        is_time = self._clock() - self._written_at >= _STATUS_SECONDS and self._turns.figures.has_room
        return status.differs(now, before, closely=is_time)

    async def _tell(self, plan: Plan) -> None:
        now, before = self._status_of(plan), self.status if self.status is not None else plan.scaler.status
        if not self._is_news(now, plan.scaler) or not self._may_act():
            self.status = before if self.status is None else self.status
            return
        if not status.differs(now, before, closely=False):
            self._turns.figures.take()
        # a merge patch leaves what it does not name: what is no longer said is taken away
        gone = {name: None for name in before if name not in now}
        async with self._turns.statuses:
            await self._api.merge(kube.scalers(*self.key, "status"), {"status": {**now, **gone}})
        self.status, self._written_at = now, self._clock()
        for condition in status.transitions(before, now):
            trouble = status.is_trouble(condition)
            self._log.info("scaler.condition", condition=condition["type"], status=condition["status"], reason=condition["reason"],
                           message=condition["message"])
            note = condition["message"] or f"{condition['type']} is {condition['status']}"
            self._post(plan.scaler, condition["reason"], note, condition["type"], "Warning" if trouble else "Normal")
        if (outcome := self.actuator.outcome) is not self._told_outcome:
            self._told_outcome = outcome
            self._metrics.fenced.labels(*self.key).inc(outcome.went)
            self._metrics.survived.labels(*self.key).inc(outcome.survived)
            self._metrics.interrupted.labels(*self.key).inc(outcome.interrupted)

    def _post(self, scaler: Scaler, reason: str, note: str, action: str, type_: Any) -> None:
        _in_background(self._events.post("QueueScaler", self.key, scaler.uid, reason=reason, note=note, action=action, type_=type_))

    # -- protecting ------------------------------------------------------------------------------------------------------------

    def _protects(self, plan: Plan) -> bool:
        if plan.snapshot is None or plan.scaler.policy is None or any(isinstance(facts, Unread) for facts in plan.snapshot.queues):
            return False  # nobody can tell who is busy
        has_pods = plan.target is not None and plan.target.replicas > 0
        works = _marks(plan) and plan.decision is not None and plan.decision.load > 0
        is_time = self._clock() - self._protected_at >= _PROTECTION_SECONDS
        return has_pods and is_time and (works or self._protection.may_have_marks)

    async def _protect(self, plan: Plan) -> None:
        assert plan.target
        assert plan.scaler.policy
        if not self._may_act():
            return
        self._protected_at = self._clock()
        if _marks(plan):
            await self._protection.look(plan.target, await self.fences.busy(), plan.scaler.policy.protection.after)
        else:
            await self._protection.end(plan.target)


def _marks(plan: Plan) -> bool:
    """Whether pods may be marked: not where the operator only says what it would do."""
    return plan.scaler.policy is not None and plan.scaler.policy.protection.enabled and plan.mode != "advisory"


def _in_background(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    _background.add(task)
    task.add_done_callback(_background.discard)


_background: set[asyncio.Task[None]] = set()
"""Tasks that nobody else holds."""
