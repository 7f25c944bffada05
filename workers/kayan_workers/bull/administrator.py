"""The administrator's side of a queue."""

from __future__ import annotations

from kayan_workers.bull.core import QueueCore


class Administrator(QueueCore):
    """Changes what stands on a queue."""
