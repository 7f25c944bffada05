"""The front door: ``kayan`` and ``python -m kayan_workers`` are the same."""

from __future__ import annotations

import os
import signal


def main() -> None:
    if os.getpid() == 1:
        # The kernel keeps from a container's first process every signal that it does not listen to. Set before anything else is loaded:
        # a pod that is deleted while it starts would be sent its SIGTERM in vain, and work on until its grace period is over.
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    from kayan_workers.cli.app import app
    from kayan_workers.mounted import adopt

    adopt()
    app(prog_name="kayan")


if __name__ == "__main__":
    main()
