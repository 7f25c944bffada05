"""One cap for several scalers: by priority, and fairly among equals.

    shares(cap, claims) -> {name: replicas}

First everybody gets its floor, the highest priority first. What is left goes to the highest priority that wants more, then to the next;
among equals whoever has least gets the next pod, so that small wishes are met whole and the large ones share the rest (max-min fairness).
Nobody grows into what another still uses: pods beyond a share are only freed as they become idle, and until then they count.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

_EPSILON = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One scaler's: ``wanted`` replicas at ``cost`` each (1, or CPUs), at least ``floor``.

    ``present`` are those there are, with those that are leaving.
    """

    name: str
    wanted: int
    floor: int = 0
    priority: int = 0
    cost: float = 1.0
    present: int = 0


def shares(cap: float, claims: Sequence[Claim]) -> dict[str, int]:
    """How many replicas each may have. Their cost stays within ``cap`` unless the present pods exceed it already."""
    entitled = _entitled(cap, claims)
    free = cap + _EPSILON - sum(claim.present * claim.cost for claim in claims)
    given: dict[str, int] = {}
    for claim in sorted(claims, key=lambda claim: (-claim.priority, claim.name)):
        growth = max(0, entitled[claim.name] - claim.present)
        if claim.cost > 0:
            growth = min(growth, max(0, math.floor(free / claim.cost)))
        free -= growth * claim.cost
        given[claim.name] = min(entitled[claim.name], claim.present + growth)
    return given


def _entitled(cap: float, claims: Sequence[Claim]) -> dict[str, int]:
    """The shares if nobody had anything yet."""
    left, got = cap + _EPSILON, {claim.name: 0 for claim in claims}
    ranked = sorted(claims, key=lambda claim: (-claim.priority, claim.name))
    for claim in ranked:
        got[claim.name] = min(claim.floor, math.floor(left / claim.cost)) if claim.cost > 0 else claim.floor
        left -= got[claim.name] * claim.cost
    for priority in sorted({claim.priority for claim in claims}, reverse=True):
        poorest = [(got[claim.name] * claim.cost, claim.name, claim) for claim in ranked if claim.priority == priority]
        heapq.heapify(poorest)
        while poorest:
            _, name, claim = heapq.heappop(poorest)
            if got[name] < claim.wanted and claim.cost <= left:
                got[name] += 1
                left -= claim.cost
                heapq.heappush(poorest, (got[name] * claim.cost, name, claim))
    return got
