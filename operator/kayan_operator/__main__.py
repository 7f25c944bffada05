"""The front door of the operator: ``kayan-operator run``, or ``python -m kayan_operator run``."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    if os.getpid() == 1:
        # see kayan_workers.__main__: a container's first process hears only the signals that it listens to
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    import typer
    from kayan_workers.errors import SettingsError
    from kayan_workers.mounted import adopt

    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                      help="The operator of the Kayan Live workers: Deployments follow their queues.")

    @app.callback()
    def front() -> None:
        """The operator of the Kayan Live workers: Deployments follow their queues."""

    @app.command()
    def run() -> None:
        """Scale the Deployments of all QueueScalers until told to stop. Everything it is told is in its environment (README.md)."""
        from kayan_operator.running import run as run_operator
        from kayan_operator.settings import Settings

        adopt()
        try:
            code = run_operator(Settings.from_environment())
        except SettingsError as error:
            print(str(error), file=sys.stderr)  # noqa: T201
            raise typer.Exit(2) from error
        raise typer.Exit(code)

    app(prog_name="kayan-operator")


if __name__ == "__main__":
    main()
