"""Why a scaler cannot be seen to, and which mode can be had: pure looks at what is known of the cluster."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from kayan_operator.cluster.fleet import SCALING, Deployment, Fleet, Scaler
from kayan_operator.decision.policy import Mode, Policy
from kayan_operator.scaling.status import Condition


@dataclass(frozen=True, slots=True)
class MetricsApiState:
    """Whether an HPA gets an answer: ``kind`` is available, starting, unavailable, unreachable (for long), foreign, absent, forbidden
    or off."""

    kind: str
    message: str = ""


def obstacle(scaler: Scaler, fleet: Fleet, servers: Collection[str]) -> Condition | None:
    """What keeps everybody from scaling this target, as its condition Ready; None when nothing does."""
    policy, target = scaler.policy, scaler.target
    if policy is None or target is None:
        return Condition("Ready", False, "InvalidSpec", scaler.error)
    for queue in policy.queues:
        if queue.redis not in servers:
            known = ", ".join(servers)
            message = f"queue {queue.name} is on the Redis server {queue.redis}, but the operator knows only {known}: tell it of it"
            return Condition("Ready", False, "UnknownRedis", message)
    if target not in fleet.deployments:
        return Condition("Ready", False, "TargetNotFound", f"there is no Deployment {target.name} in namespace {target.namespace}")
    first = fleet.first_of_target(scaler)
    if first.key != scaler.key:
        message = f"Deployment {target.name} is scaled by QueueScaler {first.key.name} already, which is older: delete one of the two"
        return Condition("Ready", False, "TargetTaken", message)
    rivals = fleet.rivals(scaler)
    if rivals and policy.mode != "advisory":
        rival = rivals[0]
        whose = f" of {rival.owner}" if rival.owner else ""
        message = (
            f"HorizontalPodAutoscaler {rival.key.name}{whose} scales Deployment {target.name} as well, and two would fight over it: "
            f"delete {rival.owner or 'it'}, or set spec.mode to advisory"
        )
        return Condition("Ready", False, "ForeignAutoscaler", message)
    return None


def readiness(policy: Policy, target: Deployment, queues: Condition) -> Condition:
    """The condition Ready of a scaler that nothing keeps from its work. ``queues`` says whether they can be read."""
    if target.is_switched_off and policy.mode != "advisory":
        message = (f"Deployment {target.key.name} has the annotation {SCALING}: off, so its number is left alone: "
                   "take it away, or delete this QueueScaler")
        return Condition("Ready", False, "SwitchedOff", message)
    if not queues.status:
        return Condition("Ready", False, "QueuesUnreadable", queues.message)
    if policy.paused:
        return Condition("Ready", True, "Paused", "spec.paused is true: the number stays as it is")
    return Condition("Ready", True, "Scaling")


def mode_to_be_had(policy: Policy, target: Deployment, state: MetricsApiState) -> tuple[Mode, Condition | None]:
    """The mode in which the scaler can work now, and in mode hpa what there is to say of the metrics API."""
    if target.is_switched_off:
        return "advisory", None
    if policy.mode != "hpa":
        return policy.mode, None
    if state.kind == "available":
        return "hpa", Condition("MetricsAvailable", True, "Serving")
    if state.kind == "starting":
        return "hpa", Condition("MetricsAvailable", None, "Starting", state.message)
    if state.kind == "unavailable":
        message = f"{state.message}; until then the HPA leaves the number as it is. After a minute the operator writes it itself"
        return "hpa", Condition("MetricsAvailable", False, "Unavailable", message)
    message = f"{state.message}: the operator writes the number itself"
    return "direct", Condition("MetricsAvailable", False, state.kind.capitalize(), message)
