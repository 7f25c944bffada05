"""What a simulated cluster takes for things that no policy says."""

from __future__ import annotations

from dataclasses import dataclass, field

from kayan_operator.simulate.amounts import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """All in seconds, unless it says otherwise."""

    startup: Spread = field(default_factory=lambda: Spread("constant", 5.0))
    """From a pod's creation until it takes jobs."""
    actuation: float = 0.05
    """From a decision to the pod's creation."""
    slots: int = 5
    """Jobs of a queue that one pod runs at a time, where the policy does not say its ``concurrency``."""
    grace: float = 30.0
    """In which a pod that is ended may finish what it runs; the rest is interrupted and begins anew elsewhere."""
    wake: float = 0.06
    """After which a sleeping operator looks at a job that was added."""
    look: float = 1.0
    """Between looks while there is work."""
    poll: float = 5.0
    """Between looks in any case."""
    seed: int = 0
    """Of what is drawn: startup times, and where in their periods the rivals' clocks stand."""
