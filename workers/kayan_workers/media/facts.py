"""What we learned about a file, in the shape the database keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The findings about one file. ``metadata`` is merged into ``assets.metadata``, which the web app shows to its users;
    ``details`` are columns of ``asset_metadata`` by name (``bitRate`` in bit/s), ``custom`` is merged into its ``customFields``.
    """

    width: int | None = None
    """Pixels, upright: after EXIF orientation, rotation and pixel shape."""
    height: int | None = None
    duration_seconds: float | None = None
    metadata: dict[str, object] = field(default_factory=dict)
    details: dict[str, str | int | float | None] = field(default_factory=dict)
    custom: dict[str, object] = field(default_factory=dict)


def present(values: Mapping[str, object]) -> dict[str, object]:
    """The entries that say something: no None, no empty text."""
    return {name: value for name, value in values.items() if value is not None and value != ""}


def camera_name(make: str | None, model: str | None) -> str | None:
    """Make and model, once: many cameras repeat the make in the model."""
    if make and model and model.lower().startswith(make.lower().split()[0]):
        return model
    return " ".join(part for part in (make, model) if part) or None
