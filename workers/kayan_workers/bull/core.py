"""What every side of a queue stands on: its name, its keys, its server, and running a script there."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from kayan_workers.bull import scripts
from kayan_workers.bull.keys import DEFAULT_PREFIX, Keys
from kayan_workers.bull.names import check_queue_name
from kayan_workers.bull.options import NO_OPTIONS, JobOptions
from kayan_workers.bull.server import Server


class QueueCore:
    """A queue by name. ``token`` is the suffix of the channels that carry one, as Bull's queue objects have it."""

    def __init__(self, name: str, server: Server, *, prefix: str = DEFAULT_PREFIX, defaults: JobOptions | None = None) -> None:
        """``defaults`` fill what the options of a single job leave open. Raises ValueError for a name that Redis patterns would misread."""
        check_queue_name(name, prefix)
        self.name = name
        self.prefix = prefix
        self.keys = Keys(name, prefix)
        self.token = str(uuid.uuid4())
        self.server = server
        self.defaults = defaults or NO_OPTIONS

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.keys.base[:-1]} at {self.server.address}>"

    async def run(self, script: str, *args: Any, keys: Sequence[str] = ()) -> Any:
        """Run ``lua/<script>.lua``. Its first KEY, when none is given, is ``wait``, and its first ARGV is the queue's base.

        One key is enough for a cluster to find the node: all keys of a queue share its slot.
        """
        return await self.server.run(scripts.load(script), keys or (self.keys.wait,), (self.keys.base, *args))

    async def close(self) -> None:
        """Let go of what this queue object has opened. The server stays open: it is its maker's."""
