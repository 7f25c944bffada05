"""The next slot of a cron expression, exactly as cron-parser 4.9.0 gives it.

Node and Python consumers take turns at scheduling one and the same schedule, so they must agree on every slot, also on the
two nights a year when clocks change. No kept Python library agrees with cron-parser about those. Source: wire document 3.19.
"""

from __future__ import annotations

from collections.abc import Callable

from kayan_workers.bull.cron_fields import LONGEST_MONTHS, Field, Fields, parse
from kayan_workers.bull.local_time import LocalTime, offset_of
from kayan_workers.bull.moments import Moment, to_ms

_MOST_STEPS = 10_000
"""How long cron-parser looks before it says that there is no slot."""

_HOURS_A_DAY = 24
_WHOLE_WEEK = 8
"""0 to 7, Sunday twice: how many values cron-parser sees in a ``*`` of the weekdays."""


def next_ms(expression: str, after_ms: int, *, tz: str | None = None, end: Moment | None = None) -> int | None:
    """The first slot after ``after_ms`` and not after ``end``, in Unix ms; None when there is none.

    ``tz`` is an IANA name; None is the zone of this process, as with Bull. A text ``end`` without an offset is in that zone.
    Raises ValueError for an expression, zone or date that cannot be read.
    """
    fields, offset_at = parse(expression), offset_of(tz)
    end_ms = None if not end else to_ms(end, offset_at)
    return _Search(fields, LocalTime(after_ms, offset_at)).run(end_ms)


class _Search:
    """Walks from a moment to the next one that fits, by whole months, days, hours, minutes, seconds.

    ``_skipped_to`` is the hour after one that the clock has skipped: a slot in the skipped hour takes place there.
    ``_repeated`` is the hour that has come a second time: its slots have been.
    """

    def __init__(self, fields: Fields, at: LocalTime) -> None:
        self._fields = fields
        self._at = at
        self._start_ms = at.ms
        self._skipped_to: int | None = None
        self._repeated: int | None = None

    def run(self, end_ms: int | None) -> int | None:
        for _ in range(_MOST_STEPS - 1):
            if end_ms is not None and self._at.ms > end_ms:
                return None
            try:
                if not self._advance():
                    return self._at.ms
            except _NeverMatches:
                return None
        return None

    def _advance(self) -> bool:
        """Take one step towards the slot; False when the moment is one."""
        fields, at = self._fields, self._at
        if not self._day_fits():
            self._step_days(at.add_day)
        elif at.wall.month not in fields.month.values:
            self._step_days(at.add_month)
        elif self._hour_is_passed():
            pass
        elif at.wall.minute not in fields.minute.values:
            self._step_clock(at.add_minute)
        elif at.wall.second not in fields.second.values or at.ms == self._start_ms:
            self._step_clock(at.add_second)
        else:
            return False
        return True

    # -- days ----------------------------------------------------------------------------------------------------------------

    def _day_fits(self) -> bool:
        """Day of month and weekday: with both restricted either may match, a restricted one beside a wildcard must."""
        fields, wall = self._fields, self._at.wall
        of_month = wall.day in fields.day.values or (bool(fields.day.last) and self._at.month_in_days(1) != wall.month)
        of_week = wall.isoweekday() % 7 in fields.weekday.values or self._is_last_weekday(fields.weekday)
        any_day = fields.day.size >= LONGEST_MONTHS[wall.month - 1]
        any_weekday = fields.weekday.size == _WHOLE_WEEK
        if any_day and not any_weekday:
            fits = of_week
        elif any_weekday:
            fits = of_month
        else:
            fits = of_month or of_week
        return fits and (not fields.nth or (wall.day + 6) // 7 == fields.nth)

    def _is_last_weekday(self, weekday: Field) -> bool:
        for atom in weekday.last:
            if not atom[0].isdecimal():
                raise _NeverMatches  # cron-parser stumbles over a lone L when it meets it, not when it reads it
            if int(atom[0]) % 7 == self._at.wall.isoweekday() % 7 and self._at.month_in_days(7) != self._at.wall.month:
                return True
        return False

    def _step_days(self, step: Callable[[], None]) -> None:
        before = self._at.ms
        step()
        if self._at.ms == before and (self._at.wall.minute, self._at.wall.second) == (0, 0):
            self._at.add_hour()  # the day begins in a gap

    # -- hours ---------------------------------------------------------------------------------------------------------------

    def _hour_is_passed(self) -> bool:
        """True when this hour was no use and the moment has moved on."""
        hour, hours = self._at.wall.hour, self._fields.hour.values
        if hour in hours:
            if self._repeated != hour:
                return False
            self._repeated = None
        elif self._skipped_to != hour:
            self._skipped_to = None
        elif hour - 1 in hours:
            return False
        else:
            self._at.add_hour()
            return True
        self._step_clock(self._at.add_hour)
        return True

    def _step_clock(self, step: Callable[[], None]) -> None:
        """Take the step, and note when the clock has skipped an hour or gone through one again. An expression for every
        hour of the day has no use for either."""
        before = self._at.wall.hour
        step()
        wall = self._at.wall
        if self._fields.hour.size == _HOURS_A_DAY:
            return
        if wall.hour - before == 2:
            self._skipped_to = wall.hour
        elif wall.hour == before and (wall.minute, wall.second) == (0, 0):
            self._repeated = wall.hour


class _NeverMatches(Exception):  # noqa: N818  not an error, a result
    """The expression can have no slot at all."""
