"""Files of YAML or JSON, read as Kubernetes reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from kayan_operator.simulate.trouble import SimulationError


def text_of(path: Path) -> str:
    """What the file holds. Raises SimulationError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SimulationError(f"{path} is no text in UTF-8") from error
    except OSError as error:
        raise SimulationError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error


def documents(path: Path) -> list[Any]:
    """The documents of a file, without empty ones: JSON where it is called so, YAML otherwise. Raises SimulationError."""
    text = text_of(path)
    found = [_json(path, text)] if path.suffix == ".json" else _yaml(path, text)
    if not (found := [document for document in found if document is not None]):
        raise SimulationError(f"{path} is empty")
    return found


def _json(path: Path, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SimulationError(f"{path} is no JSON: {error}") from error


def _yaml(path: Path, text: str) -> Sequence[Any]:
    try:
        import yaml
    except ImportError as error:
        raise SimulationError(f"{path} is read as YAML, which needs PyYAML, and that is not installed: give JSON in a file called .json, "
                              "or install kayan-workers[operator]") from error

    class Loader(yaml.SafeLoader):  # type: ignore[misc,unused-ignore]
        """YAML as Kubernetes reads it: 12:30 and 2026-01-05 are texts, not numbers to the base of sixty and dates."""

    kept = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"}
    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in kept]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    numbers = list("-+.0123456789")
    # the exponent needs no dot and no sign, as in JSON
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", _compiled(r"^[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?$"),
                                 numbers)
    Loader.add_implicit_resolver("tag:yaml.org,2002:int", _compiled(r"^[-+]?[0-9]+$"), numbers)
    try:
        return list(yaml.load_all(text, Loader))
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        what = getattr(error, "problem", None) or str(error)
        raise SimulationError(f"{path}{line} is no YAML: {what}") from error


def _compiled(pattern: str) -> Any:
    import re

    return re.compile(pattern)
