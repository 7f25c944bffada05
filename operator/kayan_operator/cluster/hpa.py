"""The HorizontalPodAutoscaler that writes the number in mode ``hpa``: its shape, and how its tolerance is got around.

Its one metric is external and says the desired pods themselves (``averageValue: "1"``), so it computes nothing of its own. But it ignores
a difference of up to a tenth (20 to 21 pods, measured): where that matters, ``minReplicas`` or ``maxReplicas`` are moved to the number
until it is reached. Newer clusters take a tolerance of zero, and then nothing need be moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kayan_operator.cluster.fleet import Scaler
from kayan_operator.cluster.kube import GROUP, VERSION
from kayan_operator.decision.spec import MOST_REPLICAS

METRIC = "kayan-desired-replicas"
LABEL = "queuescaler"
_TOLERANCE = 0.1
MANAGED_BY = {"app.kubernetes.io/managed-by": "kayan-operator"}


def within_tolerance(current: int, wanted: int) -> bool:
    """Whether an HPA would leave ``current`` pods as they are though ``wanted`` are."""
    return current > 0 and current != wanted and abs(wanted / current - 1) <= _TOLERANCE + 1e-9


def body(scaler: Scaler, *, current: int, published: int, exact: bool) -> dict[str, Any]:
    """The HPA of a scaler with ``current`` pods, for which the metric says ``published``; ``exact``: a tolerance of zero is honoured."""
    assert scaler.policy
    assert scaler.target
    least, most = max(1, scaler.policy.min_replicas), scaler.policy.max_replicas
    if not exact and within_tolerance(current, published):
        if published > current:
            least = min(max(least, published), most)
        else:
            most = max(least, published)
    quickly = {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "tolerance": "0",
        "policies": [{"type": "Pods", "value": MOST_REPLICAS, "periodSeconds": 15}],
    }
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": scaler.target.name,
            "namespace": scaler.key.namespace,
            "labels": dict(MANAGED_BY),
            "ownerReferences": [{
                "apiVersion": f"{GROUP}/{VERSION}", "kind": "QueueScaler", "name": scaler.key.name, "uid": scaler.uid,
                "controller": True, "blockOwnerDeletion": False,
            }],
        },
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": scaler.target.name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{
                "type": "External",
                "external": {
                    "metric": {"name": METRIC, "selector": {"matchLabels": {LABEL: scaler.key.name}}},
                    "target": {"type": "AverageValue", "averageValue": "1"},
                },
            }],
            "behavior": {"scaleUp": quickly, "scaleDown": quickly},
        },
    }


def is_exact(spec: Mapping[str, Any]) -> bool:
    """Whether the server has kept the tolerance of zero that we wrote: one that does not know it drops it without a word."""
    behavior = spec.get("behavior") or {}
    return all("tolerance" in (behavior.get(direction) or {}) for direction in ("scaleUp", "scaleDown"))


def differs(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    """Whether the spec in the cluster says anything else than the one we want; what the server adds or drops does not count."""
    return any(wanted[name] != seen.get(name) for name in ("scaleTargetRef", "minReplicas", "maxReplicas", "metrics")) or any(
        (seen.get("behavior") or {}).get(direction, {}).get(name) != value
        for direction, rules in wanted["behavior"].items() for name, value in rules.items() if name != "tolerance"
    )
