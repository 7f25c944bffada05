"""What a simulation refuses."""

from __future__ import annotations


class SimulationError(ValueError):
    """What is wrong with a file or an option: which, where in it, and what to write, in one sentence."""
