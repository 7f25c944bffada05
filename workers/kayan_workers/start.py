"""What ``kayan worker`` turns into: the worker alone, in a fresh interpreter that has not loaded the command line's libraries.

They would stay for the worker's whole life: 10 MB in each pod, to read three words once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from kayan_workers.errors import SettingsError
from kayan_workers.mounted import adopt
from kayan_workers.processors.table import ROLES
from kayan_workers.settings import Settings

USAGE = 2
SIGNALS = (signal.SIGTERM, signal.SIGINT)
ANEW = signal.SIGUSR2
"""A worker that hears it finishes its jobs and begins anew in its place."""


def become_worker(roles: Sequence[str], concurrency: int | None) -> NoReturn:
    """Replace this process by a worker of these roles. Process id, standard streams and environment stay."""
    sys.stdout.flush()
    sys.stderr.flush()
    # one that comes while the new interpreter loads waits until somebody listens
    signal.pthread_sigmask(signal.SIG_BLOCK, {*SIGNALS, ANEW})
    # -P: the working directory is no place to import from, as it is none for the command itself.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "kayan_workers.start", str(concurrency or 0), *roles])  # noqa: S606  ourselves


def main() -> NoReturn:
    """Run the worker. Arguments: slots of each queue (0: as the environment and the table say), then names of roles."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: os._exit(0))  # nothing has begun: there is nothing to finish
    signal.signal(ANEW, signal.SIG_IGN)  # nor to begin anew
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*SIGNALS, ANEW})
    slots, names = int(sys.argv[1]), sys.argv[2:]
    chosen = [role for role in ROLES if role.name in names]
    adopt()
    try:
        settings = Settings.from_environment(roles=chosen)
        if slots:
            settings = replace(settings, concurrency=dict.fromkeys(names, slots))
        from kayan_workers.worker import run_worker

        code = run_worker(chosen, settings)
        if code is None:
            become_worker(names, slots)
    except SettingsError as error:
        print(refusal(error), file=sys.stderr)  # noqa: T201  there is no log yet: it is one of the settings
        code = USAGE
    sys.exit(code)


def refusal(error: SettingsError) -> str:
    """A wrong environment, told whole. Its first line names what is wrong: of a pod that starts again and again, many see only that one."""
    head = "kayan: the environment is wrong: "
    if len(error.problems) == 1:
        return head + error.problems[0]
    names = dict.fromkeys(problem.split(maxsplit=1)[0].rstrip(":") for problem in error.problems)
    return "\n".join([f"{head}{', '.join(names)} ({len(error.problems)} problems)", *(f"  - {problem}" for problem in error.problems)])


if __name__ == "__main__":
    main()
