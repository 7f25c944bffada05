"""Files with the policies to try: QueueScalers as in the cluster, a list of them as kubectl prints it, or nothing but their ``spec``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kayan_operator.decision.policy import Policy
from kayan_operator.decision.spec import SpecError, read_scaler
from kayan_operator.simulate.documents import documents
from kayan_operator.simulate.trouble import SimulationError


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """A policy, and what it is called in charts and tables."""

    name: str
    policy: Policy


def read_policies(path: Path) -> list[NamedPolicy]:
    """All of a file's. Raises SimulationError, which names the file and the field."""
    found = [one for document in documents(path) for one in _scalers(path, document)]
    if not found:
        raise SimulationError(f"{path} has no QueueScaler")
    names = [name for name, _ in found]
    return [
        NamedPolicy(name if names.count(name) == 1 else f"{name}-{place}", _policy(path, name if len(found) > 1 else "", written))
        for place, (name, written) in enumerate(found, 1)
    ]


def _scalers(path: Path, document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and spec of what the document has. Resources of other kinds are somebody else's."""
    if not isinstance(document, Mapping):
        raise SimulationError(f"{path} holds {_kind(document)} where a QueueScaler or its spec is expected")
    if isinstance(items := document.get("items"), list):
        for item in items:
            yield from _scalers(path, item)
        return
    if "kind" not in document and "spec" not in document:
        yield path.stem, document
        return
    if document.get("kind", "QueueScaler") != "QueueScaler":
        return
    metadata, written = document.get("metadata"), document.get("spec")
    if not isinstance(written, Mapping):
        raise SimulationError(f"{path}: a QueueScaler has no spec")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    yield str(name or path.stem), written


def _policy(path: Path, name: str, written: Mapping[str, Any]) -> Policy:
    try:
        return read_scaler(written)
    except SpecError as error:
        raise SimulationError(f"{path}: " + (f"{name}: " if name else "") + str(error)) from error


def _kind(value: Any) -> str:
    return {list: "a list", str: "a text", bool: "a truth value"}.get(type(value), "a number")
