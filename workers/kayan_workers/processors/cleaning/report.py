"""What a cleanup did or, for a dry run, would do: figures, and a list that is bounded and holds nothing personal."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import NamedTuple

LISTED = 1000
"""How many finds a report names one by one."""
NOTES = 100
"""How many remarks it holds."""


class Found(NamedTuple):
    """Something whose time has come: a row by its id, an object by its key. Never an address, a text or a name out of a row."""

    what: str
    """In the singular: ``share link``."""
    id: str
    reason: str
    since: datetime
    """What its age counts from, with a zone."""
    size: int = 0
    """Bytes that go with it."""

    def as_json(self) -> dict[str, object]:
        since = self.since.isoformat(timespec="seconds")
        return {"what": self.what, "id": self.id, "reason": self.reason, "since": since, "bytes": self.size}


@dataclass
class Report:
    """The figures so far. ``removed`` counts what went, or would go, by what it is; switched off counts as removed."""

    examined: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    """What looked as if its time had come, and stays all the same."""
    bytes: int = 0
    listed: list[Found] = field(default_factory=list)
    """The first that went, or would go."""
    notes: list[str] = field(default_factory=list)
    """Why something stays, and what was not looked at."""
    cutoffs: dict[str, datetime] = field(default_factory=dict)
    """By what it is: what is as old as this, or older, goes."""

    def add(self, found: Found) -> None:
        """Count something that goes, and list it while there is room."""
        self.add_unlisted(found.what, 1)
        self.bytes += found.size
        if len(self.listed) < LISTED:
            self.listed.append(found)

    def add_unlisted(self, what: str, count: int) -> None:
        """Count what goes and cannot be, or need not be, named one by one."""
        if count:
            self.examined += count
            self.removed[what] += count

    def keep(self, what: str, count: int = 1) -> None:
        if count:
            self.examined += count
            self.kept[what] += count

    def pass_by(self, count: int) -> None:
        """Count what was looked at and is in use."""
        self.examined += count

    def merge(self, part: Report) -> None:
        """Add the figures and the list of a part of the run."""
        self.examined += part.examined
        self.removed += part.removed
        self.kept += part.kept
        self.bytes += part.bytes
        self.listed += part.listed[: LISTED - len(self.listed)]

    def figures(self) -> dict[str, int]:
        """The sums."""
        return {"examined": self.examined, "removed": self.removed.total(), "kept": self.kept.total(), "bytes": self.bytes}

    def as_json(self, *, finds: int = LISTED, notes: int = NOTES + 1) -> dict[str, object]:
        """Everything, with at most so many finds and notes."""
        return {
            **self.figures(),
            "byKind": {what: {"removed": self.removed[what], "kept": self.kept[what]} for what in sorted({*self.removed, *self.kept})},
            "cutoffs": self.cutoffs_as_json(),
            "listed": [found.as_json() for found in self.listed[:finds]],
            "notes": self.notes[:notes],
        }

    def cutoffs_as_json(self) -> dict[str, str]:
        return {what: cutoff.isoformat(timespec="seconds") for what, cutoff in self.cutoffs.items()}

    def in_words(self, *, dry_run: bool) -> str:
        """``3 removed (asset 2, object 1), 1 kept, 4 examined``."""
        parts = ", ".join(f"{what} {count}" for what, count in sorted(self.removed.items()))
        removed = f"{self.removed.total()} {'would go' if dry_run else 'removed'}" + (f" ({parts})" if parts else "")
        return f"{removed}, {self.kept.total()} kept, {self.examined} examined"


def moment(value: date) -> datetime:
    """A day, or a moment as the app's columns hold it (UTC wall time without a zone), with its zone."""
    if not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value if value.tzinfo else value.replace(tzinfo=UTC)
