"""Small real stand-ins for what a processor is handed: a job that remembers what it was told."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field

_IDS = itertools.count(1)


@dataclass
class FakeJob:
    """Satisfies ``kayan_workers.processors.handle.JobHandle``."""

    queue: str = "analytics"
    id: str = field(default_factory=lambda: str(next(_IDS)))
    timestamp_ms: int = 1_795_431_282_192
    attempt: int = 1
    is_last_attempt: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)
    abandoned: str | None = None
    told: list[float | dict[str, object]] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)

    def progress(self, value: float | dict[str, object]) -> None:
        self.told.append(value)

    def log(self, row: str) -> None:
        self.rows.append(row)
