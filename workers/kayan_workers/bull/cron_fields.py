"""Cron expressions as cron-parser 4.9.0 reads them.

Five fields, or six with seconds first; fewer leave the first ones at their defaults. Names of months and days, lists, ranges,
steps, ``?``, ``L`` (last day of the month, last such weekday) and ``5#2`` (second Friday). It accepts some odd texts, and so
does this: a schedule that Node could make must not stop when Python picks it up. Source: wire document 3.19.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_PREDEFINED = {
    "@yearly": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@hourly": "0 * * * *",
}
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_NAME = re.compile(r"[a-z]{3}", re.IGNORECASE)


class _Rule(NamedTuple):
    """What one field may hold."""

    field: str
    default: str
    least: int
    most: int
    characters: re.Pattern[str] = re.compile(r"[,*\d/-]+")
    names: dict[str, int] | None = None
    takes_last: bool = False


_RULES = (
    _Rule("second", "0", 0, 59),
    _Rule("minute", "*", 0, 59),
    _Rule("hour", "*", 0, 23),
    _Rule("day of month", "*", 1, 31, re.compile(r"[?,*\dL/-]+"), takes_last=True),
    _Rule("month", "*", 1, 12, names=_MONTHS),
    _Rule("day of week", "*", 0, 7, re.compile(r"[?,*\dL#/-]+"), names=_WEEKDAYS, takes_last=True),
)


class Field(NamedTuple):
    """The values of one field, as often as they are given, and the atoms with an L."""

    values: tuple[int, ...]
    last: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """cron-parser tells a wildcard by the length of its list, repetitions and all."""
        return len(self.values) + len(self.last)


class Fields(NamedTuple):
    """A parsed expression. ``nth`` is the number after ``#``, 0 without one."""

    second: Field
    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    nth: int


@lru_cache(maxsize=256)
def parse(expression: str) -> Fields:
    """Raises ValueError, naming the field, for an expression that cron-parser would refuse too."""
    atoms = _PREDEFINED.get(expression, expression).split()
    if len(atoms) > len(_RULES):
        raise ValueError(f"cron expression {expression!r} has more than six fields")
    missing = len(_RULES) - len(atoms)
    texts = [rule.default for rule in _RULES[:missing]] + atoms
    try:
        texts[-1], nth = _split_nth(texts[-1])
        second, minute, hour, day, month, weekday = (_parse_field(rule, text) for rule, text in zip(_RULES, texts, strict=True))
        return Fields(second, minute, hour, _days_of(day, month), month, weekday, nth)
    except ValueError as error:
        raise ValueError(f"cron expression {expression!r}: {error}") from None


def _split_nth(text: str) -> tuple[str, int]:
    head, mark, nth = text.partition("#")
    if not mark:
        return text, 0
    if any(other in text for other in ",/-"):
        raise ValueError("# goes with a single day of the week, not with lists, ranges or steps")
    if nth not in ("1", "2", "3", "4", "5"):
        raise ValueError(f"there is no {nth!r}th weekday of a month; # takes 1 to 5")
    return head, int(nth)


def _days_of(day: Field, month: Field) -> Field:
    """With one month given, days beyond its longest length do not count, and an L only when it stands alone."""
    if month.size != 1:
        return day
    number = month.values[0]
    longest = LONGEST_MONTHS[number - 1]
    if day.values and min(day.values) > longest:
        raise ValueError(f"month {number} has no day {min(day.values)}")
    values = tuple(value for value in day.values if value <= longest)
    return Field(values, tuple(atom for atom in day.last if atom == "L"))


def _parse_field(rule: _Rule, text: str) -> Field:
    if rule.names is not None:
        text = _NAME.sub(lambda found: str(_number_of(found.group().lower(), rule)), text)
    if not rule.characters.fullmatch(text):
        raise ValueError(f"{rule.field} {text!r} has characters that mean nothing there")
    whole = f"{rule.least}-{rule.most}"
    text = text.replace("*", whole) if "*" in text else text.replace("?", whole)
    values: list[int] = []
    last: list[str] = []
    for atom in text.split(","):
        if not atom:
            raise ValueError(f"{rule.field} has an empty list member")
        found = _parse_atom(rule, atom)
        if isinstance(found, str):
            last.append(found)
        else:
            values += found
    return Field(tuple(values), tuple(last))


def _number_of(name: str, rule: _Rule) -> int:
    if rule.names is None or name not in rule.names:
        raise ValueError(f"{rule.field} has no {name!r}")
    return rule.names[name]


def _parse_atom(rule: _Rule, atom: str) -> list[int] | str:
    span, *steps = atom.split("/")
    if len(steps) > 1:
        raise ValueError(f"{rule.field} {atom!r} has two steps")
    if steps and span.isdecimal():
        span = f"{span}-{rule.most}"
    if "-" in span:
        return _parse_range(rule, span, steps[0] if steps else "1")
    if "L" in span and rule.takes_last:
        return span
    if not span.isdecimal() or not rule.least <= int(span) <= rule.most:
        raise ValueError(f"{rule.field} {atom!r} is not within {rule.least}-{rule.most}")
    return [int(span) % 7 if rule.names is _WEEKDAYS else int(span)]


def _parse_range(rule: _Rule, span: str, step: str) -> list[int]:
    start, end = (int(text or 0) if text.isdecimal() or not text else -1 for text in span.split("-")[:2])
    if span.startswith("-") or start < rule.least or not 0 <= end <= rule.most or start > end:
        raise ValueError(f"{rule.field} {span!r} is no range within {rule.least}-{rule.most}")
    if not step.isdecimal() or int(step) < 1:
        raise ValueError(f"{rule.field} cannot go in steps of {step!r}")
    values = list(range(start, end + 1, int(step)))
    if rule.names is _WEEKDAYS and end % 7 == 0:  # Sunday is 7 as well as 0
        values = [0, *(value for value in values if value != 0)]
    return values
