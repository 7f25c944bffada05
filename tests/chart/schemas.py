"""JSON schemas of what a cluster knows, made from its own OpenAPI documents, so that no copy of Kubernetes' schemas is needed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

VERSIONS = ("api/v1", "apis/apps/v1", "apis/batch/v1", "apis/networking.k8s.io/v1", "apis/policy/v1", "apis/rbac.authorization.k8s.io/v1",
            "apis/apiregistration.k8s.io/v1", "apis/coordination.k8s.io/v1", "apis/workers.kayanlive.com/v1alpha1")
"""Where the kinds of the chart are described, beneath /openapi/v3."""

LOCATION = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
"""How kubeconform is told to find the files that ``write`` writes."""


def write(folder: Path) -> None:
    """One file for each kind of ``VERSIONS``; CalledProcessError when the cluster does not answer."""
    for version in VERSIONS:
        command = ["kubectl", "get", "--raw", f"/openapi/v3/{version}"]
        document = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)
        components = {name: _closed(schema) for name, schema in document["components"]["schemas"].items()}
        for name, schema in document["components"]["schemas"].items():
            for kind in schema.get("x-kubernetes-group-version-kind", []):
                suffix = "-".join(filter(None, (kind["group"].partition(".")[0], kind["version"])))
                file = folder / f"{kind['kind'].lower()}-{suffix}.json"
                file.write_text(json.dumps({"definitions": components, **components[name]}))


def _closed(node: Any) -> Any:
    """A schema that knows no other properties than its own, its references within one file."""
    if isinstance(node, list):
        return [_closed(child) for child in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(child) for key, child in node.items() if key not in ("default", "format") and not _is_description(key, child)}
    if isinstance(closed.get("$ref"), str):
        closed["$ref"] = closed["$ref"].replace("#/components/schemas/", "#/definitions/")
    if "properties" in closed and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed


def _is_description(key: str, child: Any) -> bool:
    """Of the schema itself; a property may be called so, too."""
    return key == "description" and isinstance(child, str)
