"""Names, numbers and slots of repeatable jobs. Wire document 3.19, appendix B."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.bull.iteration import at_slot, id_prefix, next_iteration, next_slot, readings, repeat_key, same_iteration
from kayan_workers.bull.options import JobOptions, Repeat

END = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)

VECTORS: list[tuple[str, Repeat, str, str]] = [
    ("tick", Repeat(every_ms=1000), "tick:::1000", "repeat:e491fd22c5553cc835b9cd533c4edeb4:"),
    ("__default__", Repeat(cron="0 5 * * *"), "__default__::::0 5 * * *", "repeat:928e86360146ee7768f7271f773f5c2c:"),
    ("nm", Repeat(cron="0 5 * * *", tz="Europe/Berlin", end_date=END, job_id="myid"),
     "nm:myid:1893456000000:Europe/Berlin:0 5 * * *", "repeat:2719daa13c3142af57f0fba1f83d47a8:"),
    ("ev", Repeat(every_ms=5000, job_id="J"), "ev:J::5000", "repeat:0fc7511f1b9cd0c19d7ed1447f0a8f22:"),
]


@pytest.mark.parametrize(("name", "options", "key", "prefix"), VECTORS, ids=[vector[2] for vector in VECTORS])
def test_keys_and_ids_are_bulls(name: str, options: Repeat, key: str, prefix: str):
    assert repeat_key(name, options.to_wire()) == key
    assert id_prefix(name, options.job_id, key) == prefix


@pytest.mark.parametrize(("name", "options", "key", "prefix"), VECTORS, ids=[vector[2] for vector in VECTORS])
def test_a_key_is_read_as_bull_reads_it(name: str, options: Repeat, key: str, prefix: str):
    reading = readings(key)[0]

    assert (reading.name, reading.job_id, reading.cron, reading.every_ms, reading.tz) == (
        name, options.job_id, options.cron, options.every_ms, options.tz)
    assert id_prefix(reading.name, reading.job_id, key) == prefix


@given(
    name=st.text("ab:", min_size=1, max_size=6), job_id=st.none() | st.text("xy:", min_size=1, max_size=5),
    every=st.integers(1, 10**9), end=st.none() | st.integers(1, 2**41),
)
def test_one_of_the_readings_of_a_key_is_what_was_meant(name: str, job_id: str | None, every: int, end: int | None):
    key = repeat_key(name, {"every": every, "endDate": end, "jobId": job_id})

    meant = id_prefix(name, job_id, key)

    assert meant in [id_prefix(each.name, each.job_id, key) for each in readings(key)]


@given(at=st.integers(0, 2**41), every=st.integers(1, 10**9))
def test_slots_of_every_are_aligned_to_the_epoch_and_later_than_now(at: int, every: int):
    slot = next_slot({"every": every}, at)

    assert slot is not None
    assert slot % every == 0
    assert 0 < slot - at <= every


def opts(**repeat: Any) -> dict[str, Any]:
    return JobOptions(attempts=2, repeat=Repeat(**repeat)).to_wire()


def test_the_first_run_says_what_bulls_says():
    """The dump of appendix A."""
    first = next_iteration("tick", "{}", opts(every_ms=1000, limit=3), 1795431189061)

    assert first is not None
    assert first.id == "repeat:e491fd22c5553cc835b9cd533c4edeb4:1795431190000"
    assert first.opts == {
        "repeat": {"count": 1, "key": "tick:::1000", "every": 1000, "limit": 3}, "jobId": first.id, "delay": 939,
        "timestamp": 1795431189061, "prevMillis": 1795431190000, "attempts": 2,
    }


def test_each_run_counts_on_until_the_limit():
    counts, iteration, now = [], next_iteration("tick", "{}", opts(every_ms=1000, limit=3), 500), 1500
    while iteration is not None:
        counts.append((iteration.opts["repeat"]["count"], iteration.next_ms))
        iteration = next_iteration("tick", "{}", iteration.opts, now)
        now += 1000

    assert counts == [(1, 1000), (2, 2000), (3, 3000)]


def test_missed_slots_are_skipped_not_replayed():
    first = next_iteration("tick", "{}", opts(every_ms=1000), 500)
    assert first is not None

    late = next_iteration("tick", "{}", first.opts, 60_500)

    assert late is not None
    assert late.next_ms == 61_000


def test_a_run_picked_up_early_does_not_schedule_its_own_slot_again():
    first = next_iteration("tick", "{}", opts(every_ms=1000), 500)
    assert first is not None

    second = next_iteration("tick", "{}", first.opts, 900)

    assert second is not None
    assert second.next_ms == 2000


def test_a_schedule_ends_at_its_end_date():
    assert next_iteration("tick", "{}", opts(every_ms=1000, end_date=2000), 2001) is None
    assert next_iteration("tick", "{}", opts(cron="* * * * *", tz="UTC", end_date=30_000), 1000) is None


def test_the_first_cron_slot_is_after_the_start_date():
    start = dt.datetime(2030, 5, 1, 12, tzinfo=dt.UTC)

    first = next_iteration("tick", "{}", opts(cron="0 5 * * *", tz="UTC", start_date=start), 0)

    assert first is not None
    assert first.next_ms == round(dt.datetime(2030, 5, 2, 5, tzinfo=dt.UTC).timestamp() * 1000)


def known(next_ms: int, count: int, **repeat: Any) -> dict[str, Any]:
    return at_slot("tick", "{}", opts(**repeat), next_ms, count, next_ms - 500).opts


def test_a_lost_run_still_to_come_is_scheduled_as_it_was():
    again = same_iteration("tick", "{}", known(3000, 3, every_ms=1000, limit=3), 3000, 2500, skip=False)

    assert again is not None
    assert (again.next_ms, again.opts["repeat"]["count"]) == (3000, 3)


def test_a_lost_run_whose_time_has_passed_moves_to_the_next_slot():
    again = same_iteration("tick", "{}", known(3000, 3, every_ms=1000), 3000, 8200, skip=False)

    assert again is not None
    assert (again.next_ms, again.opts["repeat"]["count"]) == (9000, 3)


def test_a_last_run_that_is_gone_after_its_time_is_not_run_again():
    assert same_iteration("tick", "{}", known(3000, 3, every_ms=1000, limit=3), 3000, 8200, skip=False) is None


def test_a_run_skipped_on_purpose_gives_way_to_the_one_after():
    after = same_iteration("tick", "{}", known(3000, 2, every_ms=1000, limit=3), 3000, 2500, skip=True)

    assert after is not None
    assert (after.next_ms, after.opts["repeat"]["count"]) == (4000, 3)
    assert same_iteration("tick", "{}", known(3000, 3, every_ms=1000, limit=3), 3000, 2500, skip=True) is None


def test_what_is_known_of_the_run_before_counts_one_less():
    again = same_iteration("tick", "{}", known(2000, 2, every_ms=1000), 3000, 2500, skip=False)

    assert again is not None
    assert (again.next_ms, again.opts["repeat"]["count"]) == (3000, 3)
