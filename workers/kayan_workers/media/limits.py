"""How large a picture may be: no count in a header is believed before it is checked here."""

from __future__ import annotations

from pathlib import Path

from kayan_workers.errors import PermanentError

MAX_PIXELS = 0x3FFF * 0x3FFF
"""The largest picture we open, 268 million pixels; sharp's own limit."""

MAX_BUFFERED_BYTES = 600_000_000
"""The most memory that the pixels of one picture may take where its format cannot be read as a stream. The numbers of bytes a pixel
with which it is compared are measured, with all that a decoder keeps beside them."""


def check_pixels(width: int, height: int, *, buffered: int = 0, of: str = "") -> None:
    """Raises PermanentError for no area and for too much; ``buffered`` is how many bytes a pixel takes in a format that stands in
    memory whole while it is decoded, and ``of`` names that format.
    """
    if width < 1 or height < 1:
        raise PermanentError(f"the picture has no area: its header says {width}x{height} pixels")
    limit = min(MAX_PIXELS, MAX_BUFFERED_BYTES // buffered) if buffered else MAX_PIXELS
    if width * height <= limit:
        return
    whole = limit < MAX_PIXELS
    raise PermanentError(
        f"the picture has {width}x{height} pixels, more than the {limit // 1_000_000} million that are opened here"
        + (f" of {of}, which has to stand in memory whole" if whole else ""),
        "export it smaller, or as a JPEG that is not progressive" if whole else "export it smaller",
    )


def check_bytes(source: Path, limit: int, of: str) -> None:
    """Raises PermanentError for a file that is read into memory whole and has more bytes than ``limit``."""
    if source.stat().st_size > limit:
        raise PermanentError(f"the {of} has more than the {limit // 1_000_000} MB that are opened here", "export it smaller")
