"""Whether an error is a sentence that a support person can send to a customer."""

from __future__ import annotations

import re

from corpus.came import Came, Refused

_LONGEST = 400
_FAULTS = {
    "names a path of the worker": r"/(?:tmp|usr|home|root|opt|var|proc)/|\bsource\.\w+|\.py\b",
    "speaks Python": (
        r"Traceback|NoneType|<class|object at 0x|codec can't|\b(?:list|tuple|string) index out|unpack requires|unpack_from|operand type"
        r"|could not convert|invalid literal|recursion depth|has no (?:len|attribute)|object is not|\b\w+Error\b|line \d+ column \d+|b'"
        r"|not subscriptable|unhashable|'(?:str|int|list|dict)'|Errno"
    ),
    "speaks a library's tongue": (
        r"(?i)\b(?:vips\w*|\w+2vips|(?:gif|heif|jpeg|jp2k|png|svg|tiff|webp)load\w*|glib|libpng|pdfium)\b|heif:|error domain"
    ),
}


def faults(says: str) -> list[str]:
    """What a reader would stumble over; empty when the sentence will do."""
    found = [f"{fault}: {match[0]!r}" for fault, pattern in _FAULTS.items() if (match := re.search(pattern, says))]
    if re.match("[^:;]*(?:is damaged|breaks off)", says) and not re.search("; .*upload (?:it|the whole file) again$", says):
        found.append("calls the file damaged and does not say what to do")
    if len(says) > _LONGEST:
        found.append(f"has {len(says)} characters")
    if not says.isprintable():
        found.append("holds unprintable characters")
    return found


def faults_of(came: Came) -> list[str]:
    """The faults of all that was said of a file, and a transform that broke: its words are the worker's, and tell nothing of the file."""
    refused = [outcome for outcome in (came.examine, came.picture, came.films) if isinstance(outcome, Refused)]
    broken = [f"a transform broke: {outcome.log}" for outcome in refused if outcome.how == "broke"]
    return broken + [f"{fault}, in {outcome.says!r}" for outcome in refused for fault in faults(outcome.says)]
