"""OLD_ANALYTICS: daily counters a year old or more, by UTC day; and OWN_RECORDS, unless that is switched off."""

from __future__ import annotations

from datetime import date

from kayan_workers.processors.cleaning import own_records
from kayan_workers.processors.cleaning.rows import Rows
from kayan_workers.processors.cleaning.run import Run

_COUNTERS = Rows(what="daily counter", reason="a year old", table="asset_analytics", since="date")


def clean(run: Run) -> None:
    _COUNTERS.clean(run, a_year_before(run.utc.date()))
    if "OWN_RECORDS" in run.edges.cleanup.on:
        own_records.clean(run)


def a_year_before(day: date) -> date:
    """The same date a year earlier; 28 February for 29 February."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)
