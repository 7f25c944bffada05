"""What a transform is at. When a file costs the process its life, the last step is all there is to tell where."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int | None], None]
"""Hears what comes next, and how many seconds of CPU time it may take."""


def step(doing: str, *, cpu_seconds: int | None = None) -> None:
    """Say what comes next, as it goes after "while": ``drawing page 1``. ``cpu_seconds`` is what it may take until the next step, where
    that is less than the whole file may.
    """
    _listener.get()(doing, cpu_seconds)


@contextmanager
def told_to(listener: Listener) -> Iterator[None]:
    """Let ``listener`` hear every step that this thread takes inside the block; outside of one nobody does."""
    before = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(before)


def _nobody(doing: str, cpu_seconds: int | None) -> None:
    pass


_listener: ContextVar[Listener] = ContextVar("listener", default=_nobody)
