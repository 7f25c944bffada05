"""What is wrong with a bad file, in one shape for the person who uploaded it, and what libraries say of it: no paths, no names of
libraries, nothing of Python's.
"""

from __future__ import annotations

import re
import struct

from kayan_workers.errors import PermanentError

SHORT = "it is shorter than its header says"
REMEDY = "save or export it anew, and upload it again"

_SPEAKERS = re.compile(r"^(?:\w+: |source input: |Invalid input: |XML parse error: .*? of data: )+")
_UNSAYABLE = re.compile(r"/|\\|::|\b\w*(?:vips|png|glib|pdfium|errno)\w*\b|\bError domain|0x[0-9a-f]{6}", re.IGNORECASE)
_PYTHONS_OWN = (ValueError, TypeError, SyntaxError, LookupError, AttributeError, ArithmeticError, RuntimeError, struct.error)
_LONGEST = 150


def damaged(what: str, error: BaseException | str) -> PermanentError:
    """``what`` ("the PNG picture") is damaged, with as much of the reason as a person can use."""
    why = "" if isinstance(error, _PYTHONS_OWN) else plain(str(error))
    return PermanentError(f"{what} is damaged or incomplete" + (f": {why}" if why else ""), REMEDY)


def breaks_off(what: str, why: str = SHORT) -> PermanentError:
    """``what`` ("the PLY model") ends before it should; most likely its upload was cut."""
    return PermanentError(f"{what} breaks off: {why}", REMEDY)


def locked(what: str) -> PermanentError:
    """``what`` ("the PDF") can be read by nobody without its password."""
    return PermanentError(f"{what} is protected by a password", "upload one that is not")


def plain(says: str) -> str:
    """The first line of what a library says, without the names of its parts; empty when it can be passed on to nobody."""
    lines = [line.strip() for line in says.replace("\0", " ").splitlines() if line.strip()]
    text = _SPEAKERS.sub("", lines[0]).rstrip(".") if lines else ""
    return "" if _UNSAYABLE.search(text) or not text.isprintable() else text[:_LONGEST]
