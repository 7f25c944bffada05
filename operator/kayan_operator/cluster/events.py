"""Events, as ``kubectl describe`` shows them: of transitions only, so that they tell a story and not a state."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from kayan_workers import logs

from kayan_operator.cluster import kube
from kayan_operator.cluster.fleet import Key
from kayan_operator.cluster.kube import GROUP, VERSION, ApiError, Kube

_LONGEST_NOTE = 1000


class Events:
    """Posts events about our resources. One that cannot be posted is lost: the status says the same."""

    def __init__(self, api: Kube, instance: str) -> None:
        self._api = api
        self._instance = instance

    async def post(
        self, kind: str, key: Key, uid: str, *, reason: str, note: str, action: str, type_: Literal["Normal", "Warning"] = "Normal"
    ) -> None:
        now = datetime.now(UTC)
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"generateName": f"{key.name[:200]}-", "namespace": key.namespace},
            "regarding": {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "namespace": key.namespace, "name": key.name, "uid": uid},
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "type": type_,
            "reason": reason,
            "action": action,
            "note": note[:_LONGEST_NOTE],
            "reportingController": f"{GROUP}/kayan-operator",
            "reportingInstance": self._instance,
        }
        try:
            await self._api.create(kube.events(key.namespace), event)
        except ApiError as error:
            logs.get(namespace=key.namespace, name=key.name).debug("event.lost", reason=reason, error=str(error))
