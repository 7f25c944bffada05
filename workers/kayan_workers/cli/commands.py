"""How a command's help reads: the arguments as we write them, and no types of Python's. And where ``kayan`` finds its commands."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class _Readable:
    """For a command of typer's: what its parameters are called is theirs to say, by their ``metavar``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Flags and arguments without the type that typer writes beside them (``<bool>``, ``<list[str]>``)."""
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if param.param_type_name == "argument" or getattr(param, "is_flag", False):
                param.display_type_rich = _nothing
        return params

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """``[OPTIONS]``, then each argument by its own name, without brackets around brackets."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        arguments = [param for param in self.get_params(ctx) if param.param_type_name == "argument"]
        own = [param.metavar or param.name.upper() for param in arguments]
        return [*pieces[:1], *own, *pieces[1 + len(arguments) :]]


class Command(_Readable, TyperCommand):
    """One of kayan's commands."""


class Commands(_Readable, TyperGroup):
    """A group of commands."""


class FrontDoor(Commands):
    """``kayan`` itself: its own commands, and those of other packages, which are looked for when one is called that is not its own."""

    def list_commands(self, ctx: Any) -> list[str]:
        from kayan_workers.cli import added

        own = super().list_commands(ctx)
        return [*own, *(name for name in added.names() if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        from kayan_workers.cli import added

        return added.command(cmd_name)


def _nothing(**_: Any) -> None:
    return None
