"""How many processors this process may really use: a library that counts the machine's starts threads, and memory, for all of them."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from functools import cache
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@cache
def usable() -> int:
    """The processors that the kernel lets us run on, less where the container's own limit is lower; at least one."""
    machine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError):
        return min(machine, quota(_QUOTA.read_text()) or machine)
    return machine


def quota(text: str) -> int | None:
    """Processors that the kernel's ``cpu.max`` grants (``200000 100000``: 200 ms in every 100), rounded up; None without a limit."""
    granted, _, period = text.strip().partition(" ")
    if not granted.isdigit() or not period.isdigit() or not int(period):
        return None
    return max(1, math.ceil(int(granted) / int(period)))
