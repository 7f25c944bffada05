"""What a file turned out to be."""

from __future__ import annotations

from dataclasses import dataclass

from kayan_workers.media.facts import Facts
from kayan_workers.media.kinds import Kind


@dataclass(frozen=True, slots=True)
class Examined:
    """Its kind, by content, and everything the database keeps of it."""

    kind: Kind
    facts: Facts
