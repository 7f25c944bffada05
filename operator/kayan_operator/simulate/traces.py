"""A trace file of any kind: a description (YAML, JSON) or a recording (CSV, JSON lines, a JSON list)."""

from __future__ import annotations

from pathlib import Path

from kayan_operator.simulate.documents import documents, text_of
from kayan_operator.simulate.recorded import recorded
from kayan_operator.simulate.synthetic import described, is_description
from kayan_operator.simulate.traffic import Trace
from kayan_operator.simulate.trouble import SimulationError


def read_trace(path: Path) -> Trace:
    """Raises SimulationError, which names the file and what is wrong in it."""
    if path.suffix in (".csv", ".jsonl", ".ndjson"):
        return recorded(path, text_of(path))
    if path.suffix == ".json" and text_of(path).lstrip().startswith("["):
        return recorded(path, text_of(path))
    found = documents(path)
    if len(found) > 1 or not is_description(found[0]):
        raise SimulationError(f"{path} describes no traffic: it has no list called traffic (a recording is called .csv, .jsonl or .json)")
    return described(path, found[0])
