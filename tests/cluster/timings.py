"""How long things took on this cluster, printed at the end of the run: figures to read, never to fail on."""

from __future__ import annotations

taken: dict[str, str] = {}


def note(what: str, seconds: float) -> None:
    taken[what] = f"{seconds:.1f} s"


def note_size(image: str, size_bytes: int) -> None:
    taken[f"image {image}, unpacked"] = f"{size_bytes / 1e6:.0f} MB"
