"""Whether a PDF ends before it should: readers mend one whose end is missing, and show what they find."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TAIL = 1_000_000
"""What other programs append, web servers and mail filters, is far shorter."""
_END = re.compile(rb"%%EOF|startxref\s+\d")
_OBJECT = re.compile(rb"[\r\n]\d{1,10} \d{1,5} obj\b")


def breaks_off(source: Path) -> bool:
    """Whether nothing says that it ends, or more of it follows what does: a file that was changed or is made for the web has several."""
    with source.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        tail = file.read(_TAIL)
    after = max((end.end() for end in _END.finditer(tail)), default=None)
    return after is None or _OBJECT.search(tail, after) is not None
