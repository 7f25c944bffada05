"""The events that sources log, found in the sources themselves."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from kayan_workers.processors.table import DATABASE, MAIL, STORAGE

LOGGED_BY = {"debug": 0, "info": 0, "warning": 0, "error": 0, "note": 1}
"""Methods that log an event, and which of their arguments it is."""

Event = tuple[str, frozenset[str]]
"""Its name and the fields that it is given there."""


def names(event: ast.expr) -> list[str]:
    """The events that an argument can be: a text, one of two, or an edge's."""
    match event:
        case ast.Constant(value=str(name)):
            return [name]
        case ast.IfExp():
            return names(event.body) + names(event.orelse)
        case ast.JoinedStr(values=[ast.FormattedValue(value=ast.Name(id="edge")), ast.Constant(value=str(end))]):
            return [f"{edge}{end}" for edge in (DATABASE, STORAGE, MAIL)]
        case _:
            return []


def logged(sources: Path) -> Iterator[Event]:
    """Every event that is logged below a folder."""
    for file in sources.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr=method), args=args, keywords=keywords) if len(args) > LOGGED_BY.get(method, 99):
                    found, fields = names(args[LOGGED_BY[method]]), [keyword.arg for keyword in keywords if keyword.arg]
                case ast.Dict(keys=[ast.Constant(value="event"), *_], values=[event, *_]):
                    found, fields = names(event), []
                case ast.Assign(targets=[ast.Name(id="event")], value=event):
                    found, fields = names(event), ["library", "message"]
                case _:
                    continue
            yield from ((name, frozenset(fields)) for name in found if re.fullmatch(r"[a-z_]+\.[a-z_]+", name))
