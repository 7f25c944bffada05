"""How many CPUs this process may really use: a container's share, not the machine's number."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cpus() -> int:
    """At least 1. A quota of one and a half counts as two."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = _QUOTA.read_text().split()
        return max(1, min(affinity, math.ceil(int(quota) / int(period))))
    return affinity
