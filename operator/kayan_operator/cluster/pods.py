"""The pods of a Deployment: which of them Kubernetes would end first, and what ails those that do not come up.

Source: ReplicaSet's order of deletion (kubernetes, ``pkg/controller/controller_utils.go``, ActivePodsWithRanks): pods without a node first,
then pending, then those that are not ready, then the lower ``controller.kubernetes.io/pod-deletion-cost``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kayan_operator.cluster import kube
from kayan_operator.cluster.fleet import Deployment
from kayan_operator.cluster.kube import ApiError, Kube

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
CHOSEN_COST = "-1000000"

_FAILING = frozenset(
    ["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError",
     "RunContainerError"]
)  # fmt: skip
_CRASHES = 2
"""Who was started anew once may have had an accident."""
_STEADY_SECONDS = 20.0
"""A container that has crashed before must run for so long before anybody believes in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod that is not leaving."""

    name: str
    uid: str
    created: str
    node: str
    phase: str
    is_ready: bool
    annotations: Mapping[str, str]
    trouble: str = ""

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """Kubernetes ends those of a lower rank first, whatever the deletion cost says."""
        return bool(self.node), self.phase == "Running", self.is_ready

    @property
    def is_chosen(self) -> bool:
        """Whether it bears our mark from a scale-in."""
        return self.annotations.get(DELETION_COST) == CHOSEN_COST


@dataclass(frozen=True, slots=True)
class Pods:
    """``staying`` are alive, ``leaving`` the names of those that have been told to go and are still there."""

    staying: tuple[Pod, ...]
    leaving: frozenset[str]


async def of_deployment(api: Kube, deployment: Deployment) -> Pods:
    """The pods now. Of what the selector finds only those that a ReplicaSet has made. Raises ApiError."""
    staying, leaving = [], set()
    for body in await api.list(kube.pods(deployment.key.namespace), labels=deployment.selector):
        metadata, status = body["metadata"], body.get("status") or {}
        if not any(owner.get("kind") == "ReplicaSet" for owner in metadata.get("ownerReferences") or ()):
            continue
        if status.get("phase") in ("Succeeded", "Failed"):
            continue
        if metadata.get("deletionTimestamp"):
            leaving.add(metadata["name"])
        else:
            staying.append(_pod(body))
    return Pods(tuple(staying), frozenset(leaving))


def _pod(body: Mapping[str, Any]) -> Pod:
    metadata, status = body["metadata"], body.get("status") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        created=metadata.get("creationTimestamp", ""),
        node=(body.get("spec") or {}).get("nodeName", ""),
        phase=status.get("phase", "Pending"),
        is_ready=conditions.get("Ready", {}).get("status") == "True",
        annotations=metadata.get("annotations") or {},
        trouble=trouble(status, time.time()),
    )


def trouble(status: Mapping[str, Any], now: float) -> str:
    """Why a pod with this status will not come up by itself, in Kubernetes' own word; empty when it may. ``now`` is in Unix seconds."""
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        reason: str = ((container.get("state") or {}).get("waiting") or {}).get("reason", "")
        if reason in _FAILING:
            return reason
        if _crashes(container, now):
            return "CrashLoopBackOff"
    placed: Mapping[str, Any] = next((one for one in status.get("conditions") or () if one["type"] == "PodScheduled"), {})
    return "Unschedulable" if placed.get("status") == "False" and placed.get("reason") == "Unschedulable" else ""


def _crashes(container: Mapping[str, Any], now: float) -> bool:
    """Between two crashes a container runs for a moment, and may even be ready then."""
    state, last = container.get("state") or {}, (container.get("lastState") or {}).get("terminated")
    if container.get("restartCount", 0) < _CRASHES or not (last or state.get("terminated")):
        return False
    started = (state.get("running") or {}).get("startedAt")
    return "terminated" in state or (started is not None and now - datetime.fromisoformat(started).timestamp() < _STEADY_SECONDS)


def broken(pods: Iterable[Pod]) -> str:
    """What is the matter with pods that do not come up: ``2 pods do not come up (CrashLoopBackOff)``; empty when all do."""
    troubles = [pod.trouble for pod in pods if pod.trouble]
    if not troubles:
        return ""
    return f"{len(troubles)} {'pods do' if len(troubles) > 1 else 'pod does'} not come up ({', '.join(sorted(set(troubles)))})"


async def annotate(api: Kube, namespace: str, pod: str, annotations: Mapping[str, str | None]) -> bool:
    """Set annotations, or take away those that are None. False when there is no such pod any more. Raises other ApiErrors."""
    try:
        await api.merge(kube.pods(namespace, pod), {"metadata": {"annotations": dict(annotations)}})
    except ApiError as error:
        if error.is_gone:
            return False
        raise
    return True
