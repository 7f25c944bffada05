"""Files of every kind, good and bad, and what must come of each: ``python tests/corpus make|show|draft|fuzz``."""

from __future__ import annotations

import sys
from pathlib import Path

# The folder above, in place of this one: our modules are corpus.*, and none of them may hide one of Python's own.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from corpus.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
