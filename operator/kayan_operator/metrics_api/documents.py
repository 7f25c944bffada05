"""The JSON of the API group ``external.metrics.k8s.io``: what is served, the values, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from kayan_operator.metrics_api.samples import Sample

Document = dict[str, Any]

GROUP: Final = "external.metrics.k8s.io"
VERSION: Final = "v1beta1"

_GROUP_VERSION: Final = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
_THIS_GROUP: Final = {"name": GROUP, "versions": [_GROUP_VERSION], "preferredVersion": _GROUP_VERSION}

GROUPS: Final[Document] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_THIS_GROUP]}
THE_GROUP: Final[Document] = {"kind": "APIGroup", "apiVersion": "v1", **_THIS_GROUP}
RESOURCES: Final[Document] = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": f"{GROUP}/{VERSION}",
    "resources": [{"name": "externalmetrics", "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}],
}
"""One resource for all metrics, as the field's adapters have it: clients never ask for the list of metrics."""

REASONS: Final = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 406: "NotAcceptable",
    500: "InternalError", 503: "ServiceUnavailable",
}  # fmt: skip


def values(metric: str, samples: Iterable[Sample]) -> Document:
    """An ExternalMetricValueList. Without samples it is empty, which its reader takes for unknown."""
    items = [_value(metric, sample) for sample in samples]
    return {"kind": "ExternalMetricValueList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": items}


def status(code: int, message: str) -> Document:
    """A Status that says what went wrong."""
    reason = REASONS.get(code, "")
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}


def _value(metric: str, sample: Sample) -> Document:
    item = {
        "metricName": metric,
        "metricLabels": dict(sample.labels),
        "timestamp": datetime.fromtimestamp(sample.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "value": str(sample.value),
    }
    return item if sample.window is None else item | {"window": round(sample.window)}
