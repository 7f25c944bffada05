"""The APIService that sends requests for external metrics to somebody: to us, to another adapter, or to nobody.

A cluster has one of them. While it is there and nobody answers behind it, no namespace of the cluster can be deleted; so it is made only
when that was asked for, and never touched when it is another's.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from kayan_workers import logs

from kayan_operator.metrics_api.documents import GROUP, VERSION
from kayan_operator.metrics_api.kubernetes_api import ConflictError, KubernetesApi, Object

NAME: Final = f"{VERSION}.{GROUP}"
COLLECTION: Final = "/apis/apiregistration.k8s.io/v1/apiservices"
PATH: Final = f"{COLLECTION}/{NAME}"

Kind = Literal["available", "unavailable", "foreign", "absent", "forbidden"]

_PRIORITY: Final = 100


@dataclass(frozen=True, slots=True)
class MetricsApiState:
    """Whether HorizontalPodAutoscalers get their numbers from us, and a sentence for people.

    ``available``: they do. ``unavailable``: it is ours, and does not work (yet). ``foreign``: another adapter has it. ``absent``: nobody
    has it. ``forbidden``: a right is missing that the message names.
    """

    kind: Kind
    message: str


@dataclass(frozen=True, slots=True)
class Found:
    """The APIService as it was read. ``bundle`` is what it trusts, where it is ours and verifies at all."""

    state: MetricsApiState
    bundle: bytes | None = None
    version: str = ""
    takes_bundle: bool = False
    """Whether it is for us to say what it trusts."""


class ApiService:
    """Reads and keeps the one APIService of external metrics, for the Service ``namespace``/``service``."""

    def __init__(
        self, api: KubernetesApi, *, namespace: str, service: str, service_port: int, create_when_absent: bool, labels: Mapping[str, str]
    ) -> None:
        self._api = api
        self._namespace, self._service, self._service_port = namespace, service, service_port
        self._create_when_absent = create_when_absent
        self._labels = labels

    async def look(self) -> Found:
        """Read it. Raises KubernetesError."""
        found = await self._api.find(PATH)
        if found is None:
            return Found(MetricsApiState("absent", f"there is no APIService {NAME}"), takes_bundle=self._create_when_absent)
        if not self._is_ours(found):
            return Found(MetricsApiState("foreign", f"APIService {NAME} belongs to {owner_of(found)}"))
        spec = found["spec"]
        bundle = base64.b64decode(spec.get("caBundle") or "")
        # who skips verification has said so on purpose, and Kubernetes takes no bundle beside it
        verifies = not spec.get("insecureSkipTLSVerify")
        return Found(_availability(found), bundle, found["metadata"]["resourceVersion"], takes_bundle=verifies)

    async def publish(self, found: Found, bundle: bytes) -> bool:
        """Have it trust ``bundle``, where that is ours to say and it does not yet; True when something was written.

        Somebody who was quicker wins: the next look shows what he wrote. Raises KubernetesError.
        """
        if not found.takes_bundle or found.bundle == bundle:
            return False
        try:
            if found.bundle is None:
                await self._api.create(COLLECTION, self._body(bundle))
            else:
                metadata = {"resourceVersion": found.version}
                await self._api.patch(PATH, {"metadata": metadata, "spec": {"caBundle": base64.b64encode(bundle).decode()}})
        except ConflictError:
            return False
        logs.get().info("api_service.published", created=found.bundle is None)
        return True

    async def remove_if_ours(self) -> bool:
        """Delete it, before what answers behind it goes; False when there is none or another's. Raises KubernetesError."""
        found = await self._api.find(PATH)
        if found is None or not self._is_ours(found):
            return False
        # not another one that came in between
        await self._api.delete(PATH, {"preconditions": {"uid": found["metadata"]["uid"]}})
        logs.get().info("api_service.removed")
        return True

    def _is_ours(self, found: Object) -> bool:
        service = found["spec"].get("service") or {}
        return (service.get("namespace"), service.get("name")) == (self._namespace, self._service)

    def _body(self, bundle: bytes) -> Object:
        return {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": NAME, "labels": dict(self._labels)},
            "spec": {
                "group": GROUP, "version": VERSION, "groupPriorityMinimum": _PRIORITY, "versionPriority": _PRIORITY,
                "service": {"namespace": self._namespace, "name": self._service, "port": self._service_port},
                "caBundle": base64.b64encode(bundle).decode(),
            },
        }  # fmt: skip


_ADAPTERS: Final = {
    "keda": "KEDA",
    "datadog": "Datadog's cluster agent",
    "prometheus-adapter": "prometheus-adapter",
    "stackdriver": "Google's Stackdriver adapter",
    "kube-metrics-adapter": "Zalando's kube-metrics-adapter",
    "cloudwatch": "the CloudWatch adapter",
    "azure-k8s-metrics-adapter": "Azure's metrics adapter",
    "newrelic": "New Relic's adapter",
    "kayan": "another Kayan fleet",
}
"""What tells an adapter by the names and labels that its charts give, and what people call it."""


def owner_of(found: Object) -> str:
    """In words, who answers behind an APIService: the adapter where it can be told, and its Service."""
    service = found["spec"].get("service")
    if not service:
        return "kube-apiserver itself"
    named = f"Service {service.get('namespace')}/{service.get('name')}"
    labels = found["metadata"].get("labels") or {}
    release = (found["metadata"].get("annotations") or {}).get("meta.helm.sh/release-name", "")
    traces = " ".join([str(service.get("name")), release, *labels.values()]).lower()
    adapter = next((words for trace, words in _ADAPTERS.items() if trace in traces), None)
    return f"{adapter} ({named})" if adapter else named


def _availability(found: Object) -> MetricsApiState:
    conditions = (found.get("status") or {}).get("conditions") or []
    available: Object = next((condition for condition in conditions if condition.get("type") == "Available"), {})
    if available.get("status") == "True":
        return MetricsApiState("available", f"APIService {NAME} is available")
    why = available.get("message") or available.get("reason") or "kube-apiserver has not tried yet"
    return MetricsApiState("unavailable", f"APIService {NAME} is not available: {why}")
