"""How long things took on this cluster, and what the images weigh in it."""

from __future__ import annotations

import figures

HEADING = "timings on the cluster"


def note(what: str, seconds: float) -> None:
    figures.note(HEADING, what, f"{seconds:.1f} s")


def note_size(image: str, size_bytes: int) -> None:
    figures.note(HEADING, f"image {image}, unpacked", f"{size_bytes / 1e6:.0f} MB")
