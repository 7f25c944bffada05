"""What came of one file: facts, sizes, a refusal in words, or something that must never happen."""

from __future__ import annotations

from typing import Any

import msgspec


class Facts(msgspec.Struct, frozen=True):
    """What ``examine`` found, flattened as the database keeps it."""

    kind: str
    width: int | None
    height: int | None
    duration: float | None
    metadata: dict[str, Any]
    details: dict[str, Any]
    custom: dict[str, Any]


class Refused(msgspec.Struct, frozen=True, tag=True):
    """A permanent error: ``says`` is what support sends to the customer, ``log`` what the job's log holds besides."""

    says: str
    log: str = ""

    @property
    def how(self) -> str:
        """``refused`` in so many words, or how the file's reader ended: ``broke``, ``crashed``, ``out of time``, ``out of memory``."""
        return next((how for words, how in _ENDS.items() if words in self.says), "refused")


_ENDS = {
    "broke our reader": "broke",
    "crashed its reader": "crashed", "taken it over": "crashed", "what it must not": "crashed", "ffmpeg crashed": "crashed",
    "took longer than": "out of time", "more computing time": "out of time",
    "more memory": "out of memory", "want of memory": "out of memory",
}  # fmt: skip


class Surprise(msgspec.Struct, frozen=True, tag=True):
    """What no file may cause: an error that is not permanent, a worker that died or hung."""

    what: str
    details: str = ""


class Examined(msgspec.Struct, frozen=True, tag=True):
    facts: Facts


class Pictured(msgspec.Struct, frozen=True, tag=True):
    """Sizes (width, height) as ``picture`` returned them; the files were there and are JPEGs of just these sizes."""

    sizes: list[tuple[int, int]]


class Filmed(msgspec.Struct, frozen=True, tag=True):
    sizes: list[tuple[int, int]]


class Came(msgspec.Struct, frozen=True):
    """The outcomes of one file; ``peak_mb`` is the resident memory of the largest process that worked on it."""

    examine: Examined | Refused | Surprise
    picture: Pictured | Refused | Surprise
    films: Filmed | Refused | Surprise | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0


class Task(msgspec.Struct, frozen=True):
    """One file to try: copied as ``path`` into a folder of its own, as a worker would find it."""

    path: str
    file_type: str
    films: bool = False
