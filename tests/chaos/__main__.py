"""Thousands of jobs while everything that can break does: ``python tests/chaos``, or ``make chaos``."""

from __future__ import annotations

import sys
from pathlib import Path

# The folder above, in place of this one: our modules are chaos.*, and none of them may hide one of Python's own.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from chaos.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
