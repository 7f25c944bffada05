"""What is the case at one moment: the input of ``decide`` that nobody chooses.

Ages and waits are relative (seconds), so that a clock which jumps between two looks changes nothing but the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """One queue, read at once. ``waiting`` are the jobs a worker could take now; those of a paused queue stand in ``held``."""

    waiting: int = 0
    active: int = 0
    delayed: int = 0
    """All delayed jobs, due or not."""
    due: int = 0
    """Those of them that are due within the look-ahead, or overdue."""
    next_due: float | None = None
    """Seconds until the first of the others is due; None when there is none. It comes near when less than the look-ahead is left."""
    oldest_age: float | None = None
    """How long the next job to be taken has been waiting, in seconds."""
    held: int = 0
    paused: bool = False
    added: int = 0
    """Bull's counter of jobs ever added: two looks give the arrivals between them."""
    failed: int = 0
    """Jobs that failed for good within the policy's window."""
    finished: int = 0
    """Jobs that completed or failed within it, as far as they are kept."""

    @property
    def outstanding(self) -> int:
        """Jobs that are not finished."""
        return self.waiting + self.active + self.delayed + self.held


@dataclass(frozen=True, slots=True)
class Unread:
    """A queue that could not be read, which says nothing about how many jobs it has."""

    why: str
    seconds: float = 0
    """For how long now."""


@dataclass(frozen=True, slots=True)
class Consumers:
    """Who waits for jobs of a queue, or of several. No decision heeds it: a worker that has lost its connection comes back by itself."""

    pods: frozenset[str] = frozenset()
    """Of this fleet."""
    node: int = 0
    """Workers of Bull in Node, one for each queue that they have."""
    read_at: float = float("-inf")
    """When the oldest list was read that this comes from, in seconds of a clock that never jumps."""

    def __add__(self, other: Consumers) -> Consumers:
        return Consumers(self.pods | other.pods, self.node + other.node, min(self.read_at, other.read_at))


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything a decision looks at. ``queues`` are in the order of the policy's."""

    at: float
    """Seconds of a clock that never jumps: differences count, not the number."""
    wall: float
    """Unix seconds, for times of day."""
    queues: tuple[QueueFacts | Unread, ...]
    replicas: int
    """What the target's ``spec.replicas`` says."""
    ready: int = 0
    broken: str = ""
    """Why some of its pods do not come up, in words; empty when all is well."""
    consumers: Consumers | None = None
    """Who waits for jobs of its queues; None while nobody knows."""
    share: int | None = None
    """What a FleetBudget leaves to it; None without a budget."""
    budget: str = ""
    budget_trouble: str = ""
    """Why nobody knows what the budget leaves, in words; empty when somebody does."""
