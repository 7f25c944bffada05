"""Wall-clock time in a zone, counted the way luxon counts it.

cron-parser walks the calendar with luxon, and where a clock change makes a wall time ambiguous or skips it, luxon's choice
decides which slot a schedule gets. A wall time resolves with the offset that was valid before; in a gap it moves forward.
All times are Unix ms. Source: wire document 3.19 and luxon's documented time zone arithmetic.
"""

from __future__ import annotations

import datetime as dt
import re
import time
import zoneinfo
from collections.abc import Callable
from functools import cache

Offset = Callable[[int], int]
"""The zone's offset from UTC at a Unix time, both in ms."""

HOUR = 3_600_000
_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  wall time has no zone
_MS = dt.timedelta(milliseconds=1)
_FIXED = re.compile(r"utc(?:([+-]\d{1,2})(?::(\d{2}))?)?$")


def offset_of(zone: str | None) -> Offset:
    """The offsets of an IANA zone (in any case), ``utc``, ``gmt``, ``utc+3``, ``utc-3:30``; None or ``local`` is this process's own.

    Raises ValueError for a zone that nobody knows.
    """
    name = (zone or "local").lower()
    if name in ("local", "system", "default"):
        return _process_offset
    if name == "gmt" or ((fixed := _FIXED.match(name)) and not fixed.group(1)):
        return lambda at: 0
    if fixed:
        hours, minutes = int(fixed.group(1)), int(fixed.group(2) or 0)
        offset = (hours * 60 + (-minutes if fixed.group(1).startswith("-") else minutes)) * 60_000
        return lambda at: offset
    found = _iana(str(zone))
    return lambda at: int(found.utcoffset(_wall(at).replace(tzinfo=dt.UTC).astimezone(found)) / _MS)  # type: ignore[operator]


def _process_offset(at: int) -> int:
    return time.localtime(at / 1000).tm_gmtoff * 1000


@cache
def _iana(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass
    same = [known for known in zoneinfo.available_timezones() if known.lower() == name.lower()]
    if not same:
        raise ValueError(f"no such time zone: {name!r}; give an IANA name like Europe/Berlin")
    return zoneinfo.ZoneInfo(same[0])


def _wall(ms: int) -> dt.datetime:
    return _EPOCH + ms * _MS


class LocalTime:
    """A moment that walks forward along the calendar of a zone. ``wall`` is its naive wall-clock time."""

    __slots__ = ("_offset", "_offset_at", "ms", "wall")

    def __init__(self, ms: int, offset_at: Offset) -> None:
        self._offset_at = offset_at
        self._go_to(ms)

    def add_month(self) -> None:
        """To the start of the next month."""
        years, month = divmod(self.wall.month, 12)
        year = self.wall.year + years
        self._set(self.wall.replace(year=year, month=month + 1, day=min(self.wall.day, _days(year, month + 1))))
        self._set(self.wall.replace(day=1, hour=0, minute=0, second=0, microsecond=0))

    def add_day(self) -> None:
        """To the start of the next day."""
        self._set(self.wall + dt.timedelta(days=1))
        self._set(self.wall.replace(hour=0, minute=0, second=0, microsecond=0))

    def add_hour(self) -> None:
        """To the start of the next hour."""
        before = self.ms
        self._go_to(before + HOUR)
        self._set(self.wall.replace(minute=0, second=0, microsecond=0))
        if self.ms <= before:
            self._go_to(self.ms + HOUR)

    def add_minute(self) -> None:
        """To the start of the next minute."""
        before = self.ms
        self._go_to(before + 60_000)
        self._set(self.wall.replace(second=0, microsecond=0))
        if self.ms < before:
            self._go_to(self.ms + HOUR)

    def add_second(self) -> None:
        """To the start of the next second."""
        before = self.ms
        self._go_to(before + 1000)
        self._set(self.wall.replace(microsecond=0))
        if self.ms < before:
            self._go_to(self.ms + HOUR)

    def month_in_days(self, days: int) -> int:
        """The month it will be at the start of the day so many days from now."""
        later = LocalTime(self.ms, self._offset_at)
        later._set(self.wall + dt.timedelta(days=days))
        later._set(later.wall.replace(hour=0, minute=0, second=0, microsecond=0))
        return later.wall.month

    def _go_to(self, ms: int) -> None:
        self.ms = ms
        self._offset = self._offset_at(ms)
        self.wall = _wall(ms + self._offset)

    def _set(self, wall: dt.datetime) -> None:
        self._go_to(self._resolve((wall - _EPOCH) // _MS))

    def _resolve(self, wall_ms: int) -> int:
        """The moment of a wall time: by the present offset if it still holds there, by the other one, or, in a gap, after it."""
        first = self._offset_at(wall_ms - self._offset)
        if first == self._offset:
            return wall_ms - first
        second = self._offset_at(wall_ms - first)
        return wall_ms - min(first, second)


def _days(year: int, month: int) -> int:
    after = dt.date(year + month // 12, month % 12 + 1, 1)
    return (after - dt.timedelta(days=1)).day
