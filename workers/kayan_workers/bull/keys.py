"""Every Redis key and channel of a queue, spelled once.

Bull's own keys are ``<prefix>:<queue>:<name>``; ours start with ``kayan:`` and never with Bull's prefix, so that a tool which
looks for queues by pattern finds Bull's alone. In Redis Cluster the prefix (or the queue's name) carries a hash tag, and
every key here repeats it, so that one script may touch them all.
Source: wire document, section 1.
"""

from __future__ import annotations

import base64
import re
from functools import cached_property

DEFAULT_PREFIX = "bull"

RESERVED_IDS = frozenset(
    [
        "id",
        "wait",
        "paused",
        "meta",
        "meta-paused",
        "active",
        "delayed",
        "priority",
        "completed",
        "failed",
        "stalled",
        "stalled-check",
        "repeat",
        "limiter",
        "metrics:completed",
        "metrics:failed",
    ]
)
"""Job ids that would collide with a key of the queue itself: a job's hash shares the queue's namespace."""

_HASH_TAG = re.compile(r"\{[^}]+\}")


class Keys:
    """The keys of one queue under one prefix. Event channels bear the same names as the keys."""

    def __init__(self, queue: str, prefix: str = DEFAULT_PREFIX) -> None:
        self.queue = queue
        self.prefix = prefix
        self.base = f"{prefix}:{queue}:"
        base = self.base
        self.id = base + "id"
        self.wait = base + "wait"
        self.paused = base + "paused"
        self.meta_paused = base + "meta-paused"
        self.meta = base + "meta"
        self.active = base + "active"
        self.delayed = base + "delayed"
        self.priority = base + "priority"
        self.completed = base + "completed"
        self.failed = base + "failed"
        self.stalled = base + "stalled"
        self.stalled_check = base + "stalled-check"
        self.repeat = base + "repeat"
        self.limiter = base + "limiter"
        self.metrics_completed = base + "metrics:completed"
        self.metrics_failed = base + "metrics:failed"
        # channels that are not keys
        self.waiting = base + "waiting"
        self.progress = base + "progress"
        self.drained = base + "drained"
        self.resumed = base + "resumed"
        self.duplicated = base + "duplicated"
        self.debounced = base + "debounced"

    def job(self, job_id: str) -> str:
        return self.base + job_id

    def lock(self, job_id: str) -> str:
        return f"{self.base}{job_id}:lock"

    def logs(self, job_id: str) -> str:
        return f"{self.base}{job_id}:logs"

    def debounce(self, debounce_id: str) -> str:
        return f"{self.base}de:{debounce_id}"

    @cached_property
    def hash_tag(self) -> str | None:
        """What a cluster finds the slot of every key of the queue by, with its braces; None where each key has a slot of its own."""
        tag = _HASH_TAG.search(self.base)
        return tag.group() if tag else None

    @cached_property
    def client_name(self) -> str:
        """What Bull's ``getWorkers()`` looks for: one connection of each worker bears this name, or one that begins with it."""
        return f"{self.prefix}:{base64.b64encode(self.queue.encode()).decode()}"

    def client_name_of(self, pod: str) -> str:
        """The same of a worker of ours, which also says where it runs."""
        return f"{self.client_name}:pod/{pod}"

    # -- ours --------------------------------------------------------------------------------------------------------------

    @cached_property
    def turn(self) -> str:
        """A list of turn tokens: who holds one watches the queue for everybody."""
        return f"kayan:turn:{self.prefix}:{self.queue}"

    @cached_property
    def watcher(self) -> str:
        """A short-lived string that the holder of a turn refreshes; gone, the turn was lost with its holder."""
        return f"kayan:watcher:{self.prefix}:{self.queue}"

    @cached_property
    def unstarted(self) -> str:
        """A set of ids that were claimed and not yet begun: if their worker dies now, that is no stall."""
        return f"kayan:unstarted:{self.prefix}:{self.queue}"

    @cached_property
    def forgiven(self) -> str:
        """A set of ids that came back once already without counting a stall."""
        return f"kayan:forgiven:{self.prefix}:{self.queue}"

    def chore(self, name: str) -> str:
        """A short-lived string: one worker at a time does this chore of the queue."""
        return f"kayan:chore:{self.prefix}:{self.queue}:{name}"

    def once(self, producer: str) -> str:
        """What a producer's last add did, so that the same add sent twice happens once."""
        return f"kayan:once:{self.prefix}:{self.queue}:{producer}"

    @cached_property
    def schedules(self) -> str:
        """A hash of repeat keys: what each schedule's latest iteration looked like, so that a broken chain can be mended."""
        return f"kayan:schedules:{self.prefix}:{self.queue}"

    def fence(self, pod: str = "") -> str:
        """Set while a pod may claim nothing more. Of the whole pod, not of one queue."""
        return fence(pod, self.prefix + ":" + self.queue)


def fence(pod: str, keyspace: str = DEFAULT_PREFIX) -> str:
    """The fence of ``pod``: ``kayan:fence:<pod>``, with the hash tag of ``keyspace`` where there is one."""
    tag = _HASH_TAG.search(keyspace)
    return f"kayan:fence:{tag.group()}:{pod}" if tag else f"kayan:fence:{pod}"


def term(lease: str, keyspace: str = "") -> str:
    """The newest term of an operator's lease that has touched fences: a string with some minutes to live. ``lease`` is the Lease's uid."""
    tag = _HASH_TAG.search(keyspace)
    return f"kayan:term:{tag.group()}:{lease}" if tag else f"kayan:term:{lease}"


def health_table(prefix: str = DEFAULT_PREFIX) -> str:
    """A short-lived string: the worker that has said the fleet's table of queues. Of all queues under ``prefix``."""
    return f"kayan:health-table:{prefix}"


def decisions(namespace: str, scaler: str) -> str:
    """A list of what the operator decided for one QueueScaler, the latest first."""
    return f"kayan:decisions:{namespace}/{scaler}"


def why(namespace: str, scaler: str) -> str:
    """A string with a day to live: what the operator saw and decided at its latest look at one QueueScaler."""
    return f"kayan:why:{namespace}/{scaler}"


SCALERS = "kayan:scalers"
"""A sorted set of the QueueScalers that decisions are remembered of, <namespace>/<name>, by when the latest was made (Unix seconds)."""
