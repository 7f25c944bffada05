"""Where derived objects are stored: the web app's form, nothing random in it."""

from __future__ import annotations

import re
import time
from datetime import datetime

import pytest
from kayan_workers.objects import derived_key, is_ours, is_the_fleets, mark

SOURCE = "assets/2025/11/V1StGXR8_Z-Booth_render.png"
QUEUED = 1_795_431_282_192  # 2026-11-23 UTC


def key(source_key: str = SOURCE, *, asset_id: str = "a1", purpose: str = "thumb", timestamp_ms: int = QUEUED) -> str:
    return derived_key(
        "thumbnails", asset_id=asset_id, purpose=purpose, source_key=source_key, extension="jpg", timestamp_ms=timestamp_ms
    )


def test_a_key_has_the_apps_form_and_keeps_the_sources_month_and_name() -> None:
    assert re.fullmatch(r"thumbnails/2025/11/[A-Za-z0-9_-]{10}-Booth_render-thumb\.jpg", key())


def test_the_same_asset_and_purpose_always_give_the_same_key() -> None:
    assert key() == key(timestamp_ms=QUEUED + 90 * 86_400_000)
    assert key() != key(asset_id="a2")
    assert mark("a1", "thumb") != mark("a1", "preview")


def test_a_source_without_a_date_lends_the_month_its_job_was_queued_in() -> None:
    assert key("uploads/x.png").startswith("thumbnails/2026/11/")


@pytest.mark.parametrize(("zone", "moment"), [("Asia/Riyadh", "2025-11-30T22:30:00Z"), ("America/New_York", "2025-11-01T01:30:00Z")])
def test_that_month_is_utc_wherever_the_worker_lives(monkeypatch: pytest.MonkeyPatch, zone: str, moment: str) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    queued = datetime.fromisoformat(moment)
    assert queued.astimezone().month != queued.month

    made = key("uploads/x.png", timestamp_ms=int(queued.timestamp() * 1000))

    monkeypatch.undo()
    time.tzset()
    assert made.startswith("thumbnails/2025/11/")


ODD_NAMES = ["x" * 300 + ".jpeg", "no-extension", "صورة.png", "a..b...png", "..png", "a b&c?.JPG", "V1StGXR8_Z-.png", "-"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_no_name_loses_the_extension_climbs_out_or_outgrows_the_apps_limit(name: str) -> None:
    made = key(f"assets/2025/11/{name}")

    assert made.endswith("-thumb.jpg")
    assert ".." not in made
    assert re.fullmatch(r"thumbnails/2025/11/[A-Za-z0-9_.-]+", made)
    assert len(made.rpartition("/")[2]) <= 10 + 1 + 50
    assert is_the_fleets(made)


def test_only_our_own_keys_of_that_asset_and_purpose_count_as_ours() -> None:
    assert is_ours(key(), asset_id="a1", purpose="thumb")
    assert is_ours(key("elsewhere/2019/01/old name.tif"), asset_id="a1", purpose="thumb")
    assert not is_ours(key(), asset_id="a2", purpose="thumb")
    assert not is_ours("thumbnails/2026/11/Hz45b3JDgS-assets_2025_11-thumb.jpg", asset_id="a1", purpose="thumb")
