"""The schemas of QueueScaler and FleetBudget, and what the operator reads, are one."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from chart.definitions import CRDS, FULL, LEAST, nodes, schema, with_defaults
from chart.rendered import Object
from kayan_operator.decision.spec import FleetBudgetSpec, QueueScalerSpec, read_budget, read_scaler

LENGTHS = {"minLength", "maxLength"}
"""What the API server may ask for beyond what the operator does: its rules take longer for longer texts."""
ABOUT = {"description", "format", "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-int-or-string"}
"""What is not about which values there are, or is tried on a cluster."""


def read(kind: str) -> Object:
    """The same schema from the operator's types, in the words of a definition."""
    document = msgspec.json.schema({"QueueScaler": QueueScalerSpec, "FleetBudget": FleetBudgetSpec}[kind])
    found: Object = translated(document, document["$defs"])
    return found


def translated(node: Any, kinds: Object) -> Any:
    if isinstance(node, list):
        return [translated(child, kinds) for child in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        node = node | kinds[node["$ref"].rpartition("/")[2]]
    if "enum" in node:
        node["type"] = "string"
    if "exclusiveMinimum" in node:
        node |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
    if "anyOf" in node:  # a number or a text, as with quantities
        number, text = sorted(node["anyOf"], key=lambda one: str(one["type"]))
        node = {"anyOf": [{"type": "integer"}, {"type": "string"}], "minimum": number["minimum"], "pattern": text["pattern"]}
    if "properties" in node:
        properties = {name: translated(child, kinds) for name, child in node["properties"].items()}
        return {"type": "object", "properties": properties, **({"required": node["required"]} if node["required"] else {})}
    if "items" in node:
        node["items"] = translated(node["items"], kinds)
    return {key: value for key, value in node.items() if key not in ("$defs", "$ref", "title")}


@pytest.mark.parametrize("kind", CRDS)
def test_every_field_of_the_definition_is_read_and_has_the_same_limits(kind: str) -> None:
    defined, reads = dict(nodes(schema(kind))), dict(nodes(read(kind)))

    assert defined.keys() == reads.keys()
    for path, node in defined.items():
        limits = {key: value for key, value in node.items() if key not in ABOUT | {"properties", "items", "default"}}
        own = {key: value for key, value in reads[path].items() if key not in ("description", "properties", "items", "default")}
        for either in (limits, own):
            for unordered in {"enum", "required"} & either.keys():
                either[unordered] = sorted(either[unordered])
        assert {key: value for key, value in limits.items() if key not in LENGTHS - own.keys()} == own, ".".join(path)


def test_a_default_of_the_definition_changes_nothing_in_what_is_read() -> None:
    for spec in (LEAST, FULL, LEAST | {"scaleUp": {"pods": 3}, "scaleDown": {"pods": 1}, "failure": {"minJobs": 7}}):
        assert read_scaler(with_defaults(schema("QueueScaler"), spec)) == read_scaler(spec)


def test_every_field_that_has_a_default_shows_it() -> None:
    filled = with_defaults(schema("QueueScaler"), LEAST)

    absent = {name for name in schema("QueueScaler")["properties"] if name not in filled}
    assert absent == {"schedule", "fallback", "budgetRef"}, "which are nothing unless they are written"
    for path, node in nodes(schema("QueueScaler")):
        for name, child in node.get("properties", {}).items():
            optional = name not in node.get("required", [])
            without = {"pods", "percent", "concurrency", "prefix", "days", "jobsPerReplica", "maxWait", "drainBy"} | absent
            assert ("default" in child) == (optional and name not in without), ".".join((*path, name))


def test_every_field_explains_itself_in_sentences() -> None:
    for kind in CRDS:
        for part in ("spec", "status"):
            for path, node in nodes(schema(kind, part)):
                said = node.get("description", "")
                if path[-1:] != ("*",):
                    assert re.fullmatch(r"[A-Za-z0-9].*[.)]", said), (kind, part, ".".join(path), said)


def test_a_rule_says_what_to_do_instead() -> None:
    for kind, crd in CRDS.items():
        for message in re.findall(r'"message": "([^"]*)"', json.dumps(crd)):
            assert re.search(r"\. [A-Z][^.]*\.$|^(write|Write) .*\.$", message), (kind, message)


def test_both_are_listed_together_and_have_a_short_name_and_a_status_of_their_own() -> None:
    for kind, short in (("QueueScaler", "qs"), ("FleetBudget", "fb")):
        names = CRDS[kind]["spec"]["names"]
        [version] = CRDS[kind]["spec"]["versions"]
        assert (names["shortNames"], names["categories"]) == ([short], ["kayan"])
        assert (version["name"], version["subresources"]) == ("v1alpha1", {"status": {}})
        assert CRDS[kind]["metadata"]["name"] == f"{names['plural']}.workers.kayanlive.com"


def test_a_budget_with_defaults_is_read_as_it_was_written() -> None:
    for spec in ({"maxReplicas": 0}, {"cpu": "500m"}, {"cpu": 20}):
        assert read_budget(with_defaults(schema("FleetBudget"), spec)) == read_budget(spec)
