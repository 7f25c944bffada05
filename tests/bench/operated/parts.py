"""A part of the suite that cannot be measured, on a cluster too busy for it say, is missing from the table; the others are not."""

from __future__ import annotations

from collections.abc import Awaitable

from bench.peers import PeerFailedError
from bench.results import Row
from bench.stage import Stage
from kayan_operator.cluster.kube import ApiError

_LONGEST = 500
"""Of a reason, in characters."""


async def measured(stage: Stage, what: str, rows: Awaitable[list[Row]]) -> list[Row]:
    """The rows of a part; none, and a note that says why, when something did not come to pass."""
    try:
        return await rows
    except (TimeoutError, AssertionError, ApiError, PeerFailedError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        stage.notes.append(f"{what}: not measured: {why[:_LONGEST]}")
        return []
