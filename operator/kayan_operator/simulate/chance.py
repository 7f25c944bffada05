"""Chance that is the same in every run."""

from __future__ import annotations

import random


def chance(seed: int, of: object) -> random.Random:
    """Chance for one thing alone, so that what else is drawn or left out changes nothing of it."""
    return random.Random(f"{seed}/{of}")  # noqa: S311  nothing is to be kept secret
