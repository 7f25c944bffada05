"""Measure this library beside Bull 4.16.5, in the same run and on the same Redis: ``python tests/bench [SUITE…]``."""

from __future__ import annotations

import sys
from pathlib import Path

# The folder above, in place of this one: our modules are bench.*, and none of them may hide one of Python's own.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
