"""Names, lengths of time and tables, as the command reads and writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from kayan_workers.cli import names
from kayan_workers.cli.cleaning import slot_of
from kayan_workers.cli.durations import ago, seconds
from kayan_workers.processors.cleaning.policy import KINDS
from kayan_workers.tables import plain_table


@pytest.mark.parametrize(
    ("given", "roles"),
    [
        (["all"], ["asset", "thumbnail", "variant", "email", "notification", "analytics", "cleanup"]),
        (["media"], ["asset", "thumbnail", "variant"]),
        (["variant", "asset", "media"], ["asset", "thumbnail", "variant"]),
        (["thumbnail-generation", "EMAIL"], ["thumbnail", "email"]),
    ],
)
def test_roles_are_named_by_role_family_queue_or_all_each_once_in_the_tables_order(given: list[str], roles: list[str]) -> None:
    assert [role.name for role in names.chosen_roles(given)] == roles


def test_an_unknown_role_is_answered_with_the_nearest_and_with_all_there_are() -> None:
    with pytest.raises(names.UnknownName, match=r"'emial'\. Did you mean email\? There are: all, asset, thumbnail"):
        names.chosen_roles(["emial"])


def test_a_queue_is_known_by_its_role_and_by_its_own_name() -> None:
    assert names.queue_name("thumbnail") == names.queue_name("thumbnail-generation") == "thumbnail-generation"
    with pytest.raises(names.UnknownName, match="Did you mean cleanup"):
        names.queue_name("clean-up")


def test_a_cleanup_may_be_written_in_small_letters() -> None:
    assert names.one_of("temp-files", list(KINDS), "cleanup") == "TEMP_FILES"


def test_tab_completes_roles_queues_and_cleanups() -> None:
    assert names.complete_queues("thu") == ["thumbnail", "thumbnail-generation"]
    assert names.complete_roles("m") == ["media", "messaging", "maintenance"]
    assert names.complete_cleanups("old-") == ["old-variants", "old-analytics"]
    assert names.complete_templates("mil") == ["milestone-submitted", "milestone-approved", "milestone-revision"]
    assert names.complete_cleanups("OLD") == ["OLD_VARIANTS", "OLD_ANALYTICS"]
    assert names.complete_any("em") == ["email"]
    assert names.complete_any("a") == ["all", "asset", "analytics", "asset-processing"]


@pytest.mark.parametrize(
    ("text", "length"),
    [("90", 90), ("90s", 90), ("5m", 300), ("1.5 h", 5400), ("1d", 86400), ("250ms", 0.25), ("1w", 604800)],
)
def test_a_length_of_time_is_a_number_with_its_unit(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "soon", "-5s", "5 years"])
def test_what_is_no_length_of_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write 90s, 5m, 2h"):
        seconds(text)


def test_moments_are_told_from_now() -> None:
    assert ago(1_000, 4_000) == "3 s ago"
    assert ago(1_000_000, 1_000) == "in 17 min"
    assert ago(None) == ""
    assert ago(1, 1_795_431_282_192) == "1970-01-01"
    assert ago(10**18, 1_795_431_282_192) == "1e+18 ms"


def test_a_table_aligns_numbers_to_the_right_and_counts_wide_characters_twice() -> None:
    table = plain_table(["名前", "jobs"], [["ab", 5], ["世界中", 1234]])
    assert table.splitlines() == ["名前    jobs", "------  ----", "ab         5", "世界中  1234"]


def test_an_empty_table_is_its_head() -> None:
    assert plain_table(["queue", "jobs"], []).splitlines() == ["queue  jobs", "-----  ----"]


@pytest.mark.parametrize(
    ("kind", "zone", "moment", "slot"),
    [
        ("TEMP_FILES", "UTC", "2026-11-30T23:30", "2026-11-30T23"),
        ("RETENTION", "UTC", "2026-11-30T23:30", "2026-11-30"),
        ("RETENTION", "Asia/Riyadh", "2026-11-30T23:30", "2026-12-01"),
        ("OWN_RECORDS", "Asia/Riyadh", "2026-11-29T23:30", "2026-W49"),
        ("OLD_ANALYTICS", "Asia/Riyadh", "2026-11-30T23:30", "2026-12"),
        ("TEMP_FILES", "Asia/Kathmandu", "2026-11-30T18:20", "2026-12-01T00"),
        ("TEMP_FILES", "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T02"),
        ("TEMP_FILES", "Europe/Berlin", "2026-10-25T01:30", "2026-10-25T02-second"),
        ("RETENTION", "Europe/Berlin", "2026-10-25T01:30", "2026-10-25"),
    ],
)
def test_a_cleanups_slot_is_its_zones_hour_day_week_or_month(kind: str, zone: str, moment: str, slot: str) -> None:
    assert slot_of(kind, datetime.fromisoformat(moment).replace(tzinfo=UTC).astimezone(ZoneInfo(zone))) == slot


@pytest.mark.parametrize("zone", ["Asia/Riyadh", "Europe/Berlin", "America/St_Johns"])
@pytest.mark.parametrize("late", [timedelta(), timedelta(minutes=40)])
def test_a_year_of_half_past_twos_by_the_zones_clock_has_each_day_once(zone: str, late: timedelta) -> None:
    """Each queued in time or made up for later: nights in which 2:30 comes twice, or not at all, are among them."""
    nights = [datetime(2026, 1, 1, 2, 30, tzinfo=ZoneInfo(zone)) + timedelta(days=n) for n in range(365)]
    slots = [slot_of("RETENTION", (night.astimezone(UTC) + late).astimezone(ZoneInfo(zone))) for night in nights]
    assert len(set(slots)) == 365
