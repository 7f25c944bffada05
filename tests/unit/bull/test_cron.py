"""Slots of cron expressions against what cron-parser gave them, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from kayan_workers.bull import cron

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "cron_vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['cron']} {vector['tz']}")
def test_the_next_slot_is_the_one_that_cron_parser_gives(vector: dict[str, Any]):
    assert cron.next_ms(vector["cron"], vector["at"], tz=vector["tz"]) == vector["next"]


def slots(expression: str, start: str, count: int, tz: str) -> list[str]:
    """Slots one after the other, as UTC."""
    at, found = ms(start), []
    for _ in range(count):
        following = cron.next_ms(expression, at, tz=tz)
        assert following is not None
        at = following
        found.append(dt.datetime.fromtimestamp(at / 1000, dt.UTC).strftime("%m-%d %H:%M"))
    return found


def ms(text: str) -> int:
    return round(dt.datetime.fromisoformat(text + "+00:00").timestamp() * 1000)


def test_a_slot_in_the_skipped_hour_takes_place_after_it():
    """Berlin, 29 March 2026: 02:00 becomes 03:00."""
    assert slots("30 2 * * *", "2026-03-28T00:00", 3, "Europe/Berlin") == ["03-28 01:30", "03-29 01:30", "03-30 00:30"]


def test_a_slot_in_the_repeated_hour_takes_place_once():
    """Berlin, 25 October 2026: 03:00 becomes 02:00 again."""
    assert slots("30 2 * * *", "2026-10-24T12:00", 2, "Europe/Berlin") == ["10-25 00:30", "10-26 01:30"]


def test_six_fields_begin_with_seconds():
    assert cron.next_ms("15 30 2 * * *", ms("2026-01-01T00:00"), tz="UTC") == ms("2026-01-01T02:30:15")


def test_no_slot_lies_beyond_the_end():
    start = ms("2026-01-01T00:00")

    assert cron.next_ms("0 5 * * *", start, tz="UTC", end=start + 4 * 3_600_000) is None
    assert cron.next_ms("0 5 * * *", start, tz="UTC", end="2026-01-01T05:00:00Z") == start + 5 * 3_600_000


def test_an_end_without_an_offset_is_in_the_zone_of_the_schedule():
    start = ms("2026-01-01T00:00")

    assert cron.next_ms("0 5 * * *", start, tz="Asia/Tokyo", end="2026-01-01T10:00:00") is None
    assert cron.next_ms("0 5 * * *", start, tz="UTC", end="2026-01-01T10:00:00") is not None


@pytest.mark.parametrize(("expression", "what"), [
    ("61 * * * *", "minute"), ("* 24 * * *", "hour"), ("* * 0 * *", "day of month"), ("* * * foo *", "month"), ("* * * * 8", "day of week"),
    ("* * * * * * *", "six"), ("*/0 * * * *", "steps"), ("5-1 * * * *", "range"), ("1,,2 * * * *", "empty"), ("0 0 31 2 *", "no day 31"),
    ("* * * * 5#6", "5"), ("* * * * 1,5#2", "lists"), ("a * * * *", "characters"),
])
def test_a_wrong_expression_is_refused_by_the_name_of_what_is_wrong(expression: str, what: str):
    with pytest.raises(ValueError, match=what) as refused:
        cron.next_ms(expression, 0, tz="UTC")
    assert repr(expression) in str(refused.value)


def test_an_unknown_zone_is_refused():
    with pytest.raises(ValueError, match="Mars/Olympus"):
        cron.next_ms("0 5 * * *", 0, tz="Mars/Olympus")
