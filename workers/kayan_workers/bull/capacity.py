"""How many jobs a consumer may claim, and when: the arithmetic of its slots."""

from __future__ import annotations

import math

from kayan_workers.bull.lanes import MOST_CLAIMS

_QUICK_SECONDS = 0.001
"""Up to here a job is over sooner than a call to Redis, and claiming ahead of free slots keeps nobody else from it."""
_MEMORY = 16
"""Over how many jobs the usual time of work is averaged."""


class Capacity:
    """Slots that are free, less those reserved for claims under way; below zero while quick work is claimed ahead."""

    def __init__(self, slots: int, *, batch: int, spread: bool) -> None:
        """``batch`` jobs fill one slot together; ``spread`` claims one job a turn."""
        self._slots = slots
        self._batch = batch
        self._spread = spread
        self._usual_seconds = 1.0
        """How long a slot is taken, on average of late. A longer one counts at once, and work is slow until it has proved quick."""
        self.free = slots
        self.is_hungry = True
        """Whether the queue is believed to hold more: the last claim got all it asked for."""

    @property
    def is_for_the_watch(self) -> bool:
        """There is room, and no lane is about to fill it."""
        return self.free > 0 and (self._spread or not self.is_hungry)

    @property
    def is_for_a_lane(self) -> bool:
        return self.free > 0 and self.is_hungry and not self._spread

    @property
    def share(self) -> int:
        """How many jobs one of two lanes carries when both are busy."""
        return (self._slots if self._claims_ahead else math.ceil(self._slots / 2)) * self._batch

    @property
    def _claims_ahead(self) -> bool:
        return self._usual_seconds < _QUICK_SECONDS and not self._spread

    def reserve_for_lane(self, finished: int) -> int:
        """How many jobs to claim with a call that settles ``finished`` ones. Heavy work only in exchange."""
        room = self.free + (self._slots if self._claims_ahead else 0)
        if not self.is_hungry:
            return 0
        return self._reserve(min(room, finished, 1) if self._spread else min(room, self.share // self._batch))

    def reserve_for_watch(self) -> int:
        """How many jobs to claim from a queue that was empty: for all free slots, or one of heavy work."""
        return self._reserve(min(self.free, 1) if self._spread else self.free)

    def _reserve(self, slots: int) -> int:
        slots = max(0, min(slots, max(1, MOST_CLAIMS // self._batch)))
        self.free -= slots
        return slots * self._batch

    def claimed(self, jobs: int, asked: int, slots: int) -> None:
        """A reservation for ``asked`` jobs has brought this many, which fill so many slots."""
        self.free += math.ceil(asked / self._batch) - slots
        self.is_hungry = jobs >= asked

    def freed(self, seconds: float) -> None:
        """A slot that was taken for this long is free."""
        self.free += 1
        self._usual_seconds = max(seconds, self._usual_seconds + (seconds - self._usual_seconds) / _MEMORY)

    def given_back(self, slots: int) -> None:
        """What was claimed for these slots has not begun and goes back: it was claimed in vain."""
        self.free += slots
        self._usual_seconds = 1.0
