"""``kayan-operator run`` that can be asked where its time goes: SIGUSR1 begins to sample, SIGUSR2 writes what was found.

Between the two signals the stack is looked at every few milliseconds of CPU; outside of them this costs nothing.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from bench.sampler import Sampler


def main() -> None:
    from kayan_operator.__main__ import main as run

    sampler, file = Sampler(), Path(os.environ["KAYAN_BENCH_PROFILE"])

    def write() -> None:
        part = file.with_suffix(".part")
        part.write_text(sampler.stop())
        part.replace(file)

    signal.signal(signal.SIGUSR1, lambda *_: sampler.start())
    signal.signal(signal.SIGUSR2, lambda *_: write())
    run()


if __name__ == "__main__":
    main()
