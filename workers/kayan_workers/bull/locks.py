"""Keep running jobs locked, from a thread of its own: a handler that blocks the event loop cannot lose its job.

One keeper serves all consumers of a process. Jobs that finish soon are never renewed; a job is renewed once two thirds of the
renewal period have passed since its claim or its last renewal.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from kayan_workers.bull import scripts, settle
from kayan_workers.bull.job import bytes_of
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.pulse import Pulse
from kayan_workers.bull.server import Server

if TYPE_CHECKING:
    from kayan_workers.bull.running import ActiveJob

log = logging.getLogger(__name__)

_EXTEND = scripts.load("extend_locks")
_MOST = 500
_SHORTEST_TIMEOUT, _LONGEST_TIMEOUT = 0.5, 5.0
"""Seconds that a renewal waits for its answer: a Redis that is merely slow must not lose its connection each time."""


class Holder(Protocol):
    """Who holds jobs: a consumer. Its ``running`` maps lock tokens to jobs; a job leaves it before its result goes to Redis."""

    keys: Keys
    lock_ms: int
    running: dict[str, ActiveJob]

    def lock_lost(self, job: ActiveJob, why: str) -> None:
        """Called in the keeper's thread, once, when the lock is gone or another's; ``why`` is of ``settle.WHY``."""


class LockKeeper:
    """Renews the locks of all jobs that its holders run."""

    def __init__(self, server: Server, renew_ms: int = 15_000) -> None:
        """``renew_ms`` is Bull's lockRenewTime: how often a lock is extended. Half of the lock's own life is usual."""
        self._server = server
        self._period = renew_ms / 1000
        self._holders: list[Holder] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._redis: Any = None
        self.pulse = Pulse()

    def add(self, holder: Holder) -> None:
        """Renew what ``holder`` runs, from now on."""
        self._holders.append(holder)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lock-keeper", daemon=True)
            self._thread.start()

    def remove(self, holder: Holder) -> None:
        self._holders.remove(holder)

    def close(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=2)
        if self._redis is not None:
            self._redis.close()

    # -- the thread ----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.wait(self._period / 3):
            due = time.monotonic() - self._period * 2 / 3
            for holder in list(self._holders):
                jobs = [job for job in list(holder.running.values()) if job.renewed <= due]
                for first in range(0, len(jobs), _MOST):
                    self.pulse.beat("lock keeper")
                    self._renew(holder, jobs[first : first + _MOST])
            self.pulse.rest("lock keeper")

    def _renew(self, holder: Holder, jobs: list[ActiveJob]) -> None:
        args: list[Any] = [holder.keys.base, holder.lock_ms]
        for job in jobs:
            args += (bytes_of(job.id), bytes_of(job.token))
        asked = time.monotonic()
        try:
            lost = settle.codes(self._call((holder.keys.stalled, holder.keys.active), args))
        except Exception as error:
            # Not lost, only unknown: the locks live on for a while, and the next round comes soon. The lock test at the end decides.
            log.debug("locks could not be renewed: %s", error)
            self._redis = None
            return
        for job in jobs:
            if math.isinf(job.renewed) or job.token not in holder.running:
                continue  # settled meanwhile: its lock is gone because it is done
            job.renewed = asked
            if job.id in lost:
                holder.lock_lost(job, settle.WHY[lost[job.id]])

    @property
    def _timeout(self) -> float:
        """Half of what is left of a lock when it is renewed at the latest: if no answer comes, there is time for a second try."""
        left = min((holder.lock_ms / 1000 for holder in self._holders), default=0) - self._period
        return min(max(left / 2, _SHORTEST_TIMEOUT), _LONGEST_TIMEOUT)

    def _call(self, keys: tuple[str, str], args: list[Any]) -> list[Any]:
        if self._redis is None:
            self._redis = self._server.blocking_client(self._timeout)
        reply: list[Any] = scripts.run_blocking(self._redis, _EXTEND, keys, args)
        return reply
