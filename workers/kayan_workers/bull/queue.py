"""A queue as its producers and administrators see it."""

from __future__ import annotations

from kayan_workers.bull.administrator import Administrator
from kayan_workers.bull.producer import BulkJob, Producer
from kayan_workers.bull.reader import Reader
from kayan_workers.bull.schedules import Schedules
from kayan_workers.bull.waiting import Listening

__all__ = ["BulkJob", "Queue"]


class Queue(Producer, Reader, Administrator, Schedules, Listening):
    """One Bull queue: ``add`` jobs, read ``counts`` and ``jobs``, ``pause``, ``retry``, ``clean`` and so on.

    Everything is async and leaves in Redis what Bull 4.16.5 would have left. Make one per queue and process, and ``close``
    it at the end. The parts: producer.py, reader.py, administrator.py, schedules.py, waiting.py.
    """
