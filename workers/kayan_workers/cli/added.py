"""Commands that other packages add to ``kayan``: entry points of the group ``kayan.commands``.

Each is a function with typer's annotations, or a typer app with commands of its own. One that cannot be loaded stays in the list, says why
when it is called, and spoils nothing else.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.main import get_command, get_group

from kayan_workers.cli import session
from kayan_workers.cli.commands import Command

GROUP = "kayan.commands"
_PANEL = "Scale"


def names() -> list[str]:
    """The names of all that are installed."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def command(name: str) -> Any:
    """The command of that name, ready to be called; None when nobody adds one."""
    point = next(iter(entry_points(group=GROUP, name=name)), None)
    return None if point is None else _made(point)


def _made(point: EntryPoint) -> Any:
    try:
        found = point.load()
    except Exception as error:
        return _broken(point, error)
    if isinstance(found, typer.Typer):
        group = get_group(found)
        group.name, group.rich_help_panel = point.name, _PANEL
        return group
    return _single(point.name, found)


def _single(name: str, function: Any) -> Any:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(name, cls=Command, rich_help_panel=_PANEL)(function)
    return get_command(app)


def _broken(point: EntryPoint, error: Exception) -> Any:
    def complain() -> None:
        session.fail(f"the command {point.name} cannot be loaded from {point.value}: {type(error).__name__}: {error}")

    complain.__doc__ = "Cannot be loaded; call it to learn why."
    made = _single(point.name, complain)
    made.ignore_unknown_options = made.allow_extra_args = True
    made.context_settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return made
