"""Marks on pods with long jobs, so that node autoscalers (Karpenter, the cluster autoscaler) let them finish."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kayan_operator.cluster import kube, pods
from kayan_operator.cluster.fleet import Deployment
from kayan_operator.cluster.kube import Kube
from kayan_operator.queues.fences import Busy

DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
MARKED = {DO_NOT_DISRUPT: "true", SAFE_TO_EVICT: "false"}
UNMARKED = dict.fromkeys(MARKED)

_IDLE_SECONDS = 30.0
"""A mark stays so long after the last long job: between two of them it need not be written twice."""
_WRITES_AT_ONCE = 20


class Protection:
    """The marks of one target's pods."""

    def __init__(self, api: Kube, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._marked: dict[str, float] | None = None
        """When each was last seen with a long job; None before the first look."""

    @property
    def may_have_marks(self) -> bool:
        """Before the first look nobody knows: an operator that was here before may have left some."""
        return self._marked is None or bool(self._marked)

    @property
    def has_marks(self) -> bool:
        """Whether there are some for certain."""
        return bool(self._marked)

    async def look(self, target: Deployment, busy: Mapping[str, Busy], after: float) -> None:
        """Mark pods that have had a job for ``after`` seconds, unmark those that have had none for a while. Raises ApiError."""
        now, namespace, marked = self._clock(), target.key.namespace, await self._known(target)
        ours = {name for name in busy if name.startswith(f"{target.key.name}-") and (busy[name].oldest_started_seconds or 0) >= after}
        writes = 0
        for name in ours:
            if name not in marked:
                if writes == _WRITES_AT_ONCE:
                    continue
                writes += 1
                if not await pods.annotate(self._api, namespace, name, MARKED):
                    continue
            marked[name] = now
        for name, seen in list(marked.items()):
            if name not in ours and now - seen >= _IDLE_SECONDS and writes < _WRITES_AT_ONCE:
                writes += 1
                await pods.annotate(self._api, namespace, name, UNMARKED)
                del marked[name]

    async def end(self, target: Deployment) -> None:
        """Take all marks away: nobody sees to them any more. Raises ApiError."""
        for name in list(marked := await self._known(target)):
            await pods.annotate(self._api, target.key.namespace, name, UNMARKED)
            del marked[name]

    async def _known(self, target: Deployment) -> dict[str, float]:
        if self._marked is None:
            found = await self._api.list(kube.pods(target.key.namespace), labels=target.selector)
            self._marked = {body["metadata"]["name"]: self._clock() for body in found if _is_ours(body["metadata"])}
        return self._marked


def _is_ours(metadata: Mapping[str, Any]) -> bool:
    """Whether it was we who set the marks of a pod, and not whoever wrote its template."""
    return any(
        f"f:{DO_NOT_DISRUPT}" in ((entry.get("fieldsV1") or {}).get("f:metadata", {}).get("f:annotations") or {})
        for entry in metadata.get("managedFields") or () if entry.get("manager") == kube.FIELD_MANAGER
    )
