"""Dates as job options carry them: datetimes, ms, or text in the forms that JavaScript's Date and cron-parser read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from email.utils import parsedate_to_datetime

Moment = dt.datetime | str | int | float


def to_ms(moment: Moment, offset_at: Callable[[int], int] | None = None) -> int:
    """Unix ms. A datetime or text without an offset is wall time of the zone whose offsets (ms at ms) are given, else UTC.

    Raises ValueError for text that is no date.
    """
    if isinstance(moment, int | float):
        return int(moment)
    parsed = _parse(moment) if isinstance(moment, str) else moment
    if parsed.tzinfo is not None:
        return round(parsed.timestamp() * 1000)
    wall_ms = round(parsed.replace(tzinfo=dt.UTC).timestamp() * 1000)
    return wall_ms if offset_at is None else wall_ms - offset_at(wall_ms - offset_at(wall_ms))


def _parse(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date; write it like 2030-01-31T09:00:00Z") from None
