"""The resources that the chart defines: their schemas as files, and what is a good one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from chart.rendered import CHART, Object

CRDS: Mapping[str, Object] = {
    found["spec"]["names"]["kind"]: found
    for file in sorted((CHART / "crds").glob("*.yaml"))
    for found in [yaml.safe_load(file.read_text())]
}
"""The definitions by kind."""

LEAST: Object = {"scaleTargetRef": {"name": "kayan-workers-thumbnail"}, "queues": [{"name": "thumbnail-generation"}]}
"""The spec of the shortest QueueScaler that there is."""

FULL: Object = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kayan-workers-media"},
    "queues": [
        {"name": "a", "weight": 0.5, "concurrency": 3, "redis": "eu", "prefix": "{bull}"}, {"name": "a", "prefix": "{bull}"}, {"name": "a"},
    ],
    "target": {"drainBy": "06:30 Europe/Berlin"}, "minReplicas": 1, "maxReplicas": 40, "mode": "direct", "paused": True,
    "lookAhead": "1m30s", "cooldown": "10m",
    "scaleUp": {"stabilization": "500ms", "pods": 4, "percent": 50, "period": "1m"},
    "scaleDown": {"stabilization": "1.5h", "pods": 1, "percent": 0.5, "period": "30d", "busy": "drain"},
    "schedule": [
        {"name": "office", "minReplicas": 3, "start": "08:00", "end": "18:00", "timeZone": "Asia/Dubai", "days": ["Mon", "Sun"]},
        {"name": "night", "minReplicas": 40, "start": "23:00", "end": "01:00"},
    ],
    "failure": {"errorPercent": 0, "window": "1h", "minJobs": 5, "brokenPods": "Ignore"},
    "fallback": {"replicas": 2, "after": "29d23h59m60s"}, "disruptionProtection": {"enabled": False, "after": "1s"},
    "budgetRef": {"name": "fleet"}, "priority": -7,
}  # fmt: skip
"""One that says everything."""


def resource(spec: Mapping[str, Any], kind: str = "QueueScaler", name: str = "thumbnail", **more: Any) -> Object:
    return {"apiVersion": "workers.kayanlive.com/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec, **more}


def schema(kind: str, part: str = "spec") -> Object:
    """The schema of a kind's ``spec`` or ``status``."""
    [version] = CRDS[kind]["spec"]["versions"]
    found: Object = version["schema"]["openAPIV3Schema"]["properties"][part]
    return found


def nodes(node: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Object]]:
    """Every node of a schema, with the names that lead to it; items of a list are under ``*``."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, (*path, name))
    if "items" in node:
        yield from nodes(node["items"], (*path, "*"))


def with_defaults(node: Object, value: Any) -> Any:
    """What the API server makes of a value: where a field is missing that has a default, it is there."""
    if isinstance(value, dict) and "properties" in node:
        filled = {name: child["default"] for name, child in node["properties"].items() if "default" in child} | value
        return {name: with_defaults(node["properties"][name], child) for name, child in filled.items()}
    if isinstance(value, list) and "items" in node:
        return [with_defaults(node["items"], child) for child in value]
    return value
