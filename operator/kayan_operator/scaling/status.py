"""What a QueueScaler's status says: numbers, the reason, and conditions in the shape of the API conventions. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kayan_operator.decision.decide import Decision
from kayan_operator.decision.facts import QueueFacts, Snapshot, Unread
from kayan_operator.decision.policy import Mode
from kayan_operator.decision.sentences import sentence

VOLATILE = frozenset(["backlog", "waiting", "active", "due", "oldestWaitingSeconds", "message", "lastWorkTime"])
"""What changes with every job: worth no write of its own."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition; ``status`` is True, False or None for Unknown."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


def of_decision(decision: Decision, snapshot: Snapshot, *, mode: Mode, published: int | None, waits_for: str) -> dict[str, Any]:
    """The numbers after a decision."""
    read = [facts for facts in snapshot.queues if isinstance(facts, QueueFacts)]
    all_read = len(read) == len(snapshot.queues)
    oldest = max((facts.oldest_age for facts in read if facts.oldest_age is not None), default=None)
    last = next((step for step in reversed(decision.steps) if step.rule == decision.reason), decision.steps[0])
    message = sentence(last)
    if waits_for and decision.desired < decision.replicas:
        message = f"{message}; {waits_for}"
    return {
        "mode": mode,
        # of what cannot be read nothing is said: unknown is not zero
        "backlog": round(decision.load) if all_read else None,
        "waiting": sum(facts.waiting for facts in read) if all_read else None,
        "active": sum(facts.active for facts in read) if all_read else None,
        "due": sum(facts.due for facts in read) if all_read else None,
        "oldestWaitingSeconds": None if oldest is None else round(oldest),
        "replicas": snapshot.replicas,
        "readyReplicas": snapshot.ready,
        "desiredReplicas": decision.desired,
        "publishedReplicas": published,
        "reason": decision.reason,
        "message": message[:1].upper() + message[1:],
    }


def of_queues(snapshot: Snapshot, names: Sequence[str]) -> Condition:
    """Whether all queues could be read."""
    for name, facts in zip(names, snapshot.queues, strict=True):
        if isinstance(facts, Unread):
            return Condition("QueuesReadable", False, "Unreadable", f"queue {name}: {facts.why}. Replicas stay as they are")
    return Condition("QueuesReadable", True, "Read")


def of_limits(decision: Decision) -> Condition:
    """Whether it gets all the pods that its jobs deserve."""
    if not decision.limits:
        return Condition("ScalingLimited", False, "WithinLimits")
    step = decision.limits[-1]
    return Condition("ScalingLimited", True, step.rule, f"{step.before} wanted: {sentence(step)}")


def of_work(decision: Decision, snapshot: Snapshot) -> Condition:
    """Whether there is anything to do."""
    if decision.load > 0:
        return Condition("Active", True, "JobsToDo")
    if any(isinstance(facts, Unread) for facts in snapshot.queues):
        return Condition("Active", None, "Unknown", "some of its queues cannot be read")
    return Condition("Active", False, "Idle")


def with_conditions(
    numbers: Mapping[str, Any], conditions: Sequence[Condition], *, before: Mapping[str, Any], generation: int, now: float
) -> dict[str, Any]:
    """The whole status. A condition whose status is as before keeps its time of transition; one that nobody speaks of any more is gone."""
    earlier = {one.get("type"): one for one in before.get("conditions") or ()}
    written = []
    for condition in conditions:
        status = {True: "True", False: "False", None: "Unknown"}[condition.status]
        same = earlier.get(condition.type, {}).get("status") == status
        written.append({
            "type": condition.type,
            "status": status,
            "reason": condition.reason,
            "message": condition.message,
            "observedGeneration": generation,
            "lastTransitionTime": earlier[condition.type]["lastTransitionTime"] if same else timestamp(now),
        })
    return {"observedGeneration": generation, **numbers, "conditions": written}


def differs(one: Mapping[str, Any], other: Mapping[str, Any], *, closely: bool) -> bool:
    """Whether two statuses say something else; not ``closely``, what changes with every job does not count."""
    return _essence(one, closely) != _essence(other, closely)


def _essence(status: Mapping[str, Any], closely: bool) -> dict[str, Any]:
    kept = {name: value for name, value in status.items() if value is not None and (closely or name not in VOLATILE)}
    conditions = status.get("conditions") or ()
    kept["conditions"] = [{name: value for name, value in one.items() if closely or name != "message"} for one in conditions]
    return kept


def transitions(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The conditions whose status or reason is another than before; those that begin as they should be are none."""
    earlier = {one.get("type"): one for one in before.get("conditions") or ()}
    changed = []
    for one in after["conditions"]:
        previous = earlier.get(one["type"])
        says, said = (one["status"], one["reason"]), (previous.get("status"), previous.get("reason")) if previous else None
        if says != said and (is_trouble(one) or (previous is not None and is_trouble(previous))):
            changed.append(one)
    return changed


def is_trouble(condition: Mapping[str, Any]) -> bool:
    """Whether somebody should look at it."""
    bad = {"Ready": "False", "QueuesReadable": "False", "MetricsAvailable": "False", "ScalingLimited": "True", "Consuming": "False"}
    return bool(condition["status"] == bad.get(condition["type"]))


def timestamp(now: float) -> str:
    """Unix seconds as the API writes times."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
