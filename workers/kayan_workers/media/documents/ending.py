"""Whether a PDF ends before it should: readers mend one whose end is missing, and show what they find."""

from __future__ import annotations

import re
from pathlib import Path

from kayan_workers.media.reading import tail

_TAIL = 1_000_000
"""What other programs append, web servers and mail filters, is far shorter."""
_END = re.compile(rb"%%EOF|startxref\s+\d")
_OBJECT = re.compile(rb"[\r\n]\d{1,10} \d{1,5} obj\b")


def breaks_off(source: Path) -> bool:
    """Whether nothing says that it ends, or more of it follows what does: a file that was changed or is made for the web has several."""
    with source.open("rb") as file:
        end = tail(file, _TAIL)
    after = max((mark.end() for mark in _END.finditer(end)), default=None)
    return after is None or _OBJECT.search(end, after) is not None
