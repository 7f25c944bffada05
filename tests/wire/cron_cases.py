"""Cron expressions, time zones and moments for comparing slots, and what Node says about them."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import zoneinfo
from functools import cache
from typing import Any

from hypothesis import strategies as st
from wire import node_packages

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Asia/Tehran",
    "Africa/Cairo",
    "America/Havana",
    "Pacific/Apia",
    "Asia/Beirut",
    "America/St_Johns",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "America/Santiago",
    "Asia/Gaza",
    "America/Asuncion",
    "Atlantic/Azores",
    "europe/paris",
    "utc+3",
]
"""With clock changes at midnight, of half an hour, of two hours, around Ramadan, and none."""

_FROM = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)
_DAYS = 3 * 365
"""Years whose clock changes are history: what is to come every edition of the time zone database foresees differently."""
_HOUR = 3_600_000

Case = dict[str, Any]


def ask_node(cases: list[Case]) -> list[int | str | None]:
    """The next slot of each case: ms, None for none, text for an expression that is refused."""
    done = subprocess.run(
        [node_packages.node(), "slots.js"],
        cwd=node_packages.FOLDER,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    slots: list[int | str | None] = json.loads(done.stdout)
    return slots


@cache
def clock_changes(zone: str) -> list[int]:
    """When the clocks of a zone change, in ms; some fixed moment where they never do."""
    try:
        info = zoneinfo.ZoneInfo(zone)
    except zoneinfo.ZoneInfoNotFoundError:
        return [1_795_000_000_000]
    moments = [_FROM + dt.timedelta(hours=hours) for hours in range(0, _DAYS * 24, 6)]
    offsets = [moment.astimezone(info).utcoffset() for moment in moments]
    changes = [moment for moment, before, after in zip(moments[1:], offsets, offsets[1:], strict=False) if before != after]
    return [round(moment.timestamp() * 1000) for moment in changes] or [1_795_000_000_000]


def _field(least: int, most: int, *more: str) -> st.SearchStrategy[str]:
    number = st.integers(least, most)
    span = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    step = st.integers(1, 8)
    member = number.map(str) | span
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.builds("*/{}".format, st.integers(1, max(2, most))),
        span,
        st.builds("{}/{}".format, span, step),
        st.builds("{}/{}".format, number, step),
        st.lists(member, min_size=2, max_size=4).map(",".join),
        *([st.sampled_from(more)] if more else []),
    )


_ODD = [
    "-",
    "5-",
    "0-",
    "-5",
    "1-5-9",
    "L/2",
    "1-L",
    "5#2",
    "5#0",
    "1,,2",
    "x",
    "?",
    "0-7",
    "1-7/3",
    "*/100",
    "5/",
    "/5",
    "1/2/3",
    "3L",
    "LL",
    "5L,1L",
    "0-6",
    "*-5",
    "07",
    "1,1,1,1,1,1,1,1",
    "6#5",
    "mon#1",
    "*#2",
    "1L,5#2",
    "foo",
    "60",
    "24",
    "8",
]


@st.composite
def _expressions(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 30)) == 0:
        return draw(
            st.sampled_from(["@daily", "@yearly", "@monthly", "@weekly", "@hourly", "@midnight", "* *", "5 4 * *", "* * * * * * *"])
        )
    rare = draw(st.booleans())
    fields = [
        draw(_field(0, 59)) if rare else draw(st.sampled_from(["0", "30", "*/20"])),
        draw(_field(0, 59)) if rare else draw(st.sampled_from(["0", "30", "59", "*", "*/15"])),
        draw(_field(0, 23)),
        draw(st.just("*") | _field(1, 31, "L", "?", "L,15", "31", "29,30")),
        draw(st.just("*") | _field(1, 12, "jan", "FEB", "jan-mar", "oct,nov")),
        draw(st.just("*") | _field(0, 7, "sun", "MON", "mon-fri", "5L", "0L,3L", "L", "?", "5#2", "1#1", "3#5", "MONL", "0-6", "1-7")),
    ]
    if draw(st.integers(0, 15)) == 0:
        fields[draw(st.integers(0, 5))] = draw(st.sampled_from(_ODD))
    return " ".join(fields[draw(st.integers(0, 1)) :])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """An expression and a moment, most often near a change of the clocks."""
    zone = draw(st.sampled_from(ZONES))
    change = draw(st.sampled_from(clock_changes(zone)))
    at = draw(
        st.one_of(
            st.integers(0, _DAYS * 24 * _HOUR).map(lambda ms: round(_FROM.timestamp() * 1000) + ms),
            st.integers(-36 * _HOUR, 12 * _HOUR).map(lambda ms: change + ms),
            st.integers(-30, 8).map(lambda hours: change // _HOUR * _HOUR + hours * _HOUR),
            st.integers(-300, 300).map(lambda minutes: change + minutes * 60_000),
        )
    )
    case: Case = {"cron": draw(_expressions()), "at": at, "tz": zone}
    if draw(st.integers(0, 9)) == 0:
        case["end"] = at + draw(st.integers(0, 10**9))
    return case
