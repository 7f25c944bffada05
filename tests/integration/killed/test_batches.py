"""Notifications, events and their counters, twenty jobs a transaction: each row once and each count once, wherever the worker died."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from integration.killed.scene import Moment, Scene, Unreported, Writing

JOBS = 20


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Writing("notifications"), id="while it writes them"),
        pytest.param(Unreported("notifications", lambda scene: len(scene.app.rows("notifications", "id")) == JOBS), id="before it said so"),
    ],
)
async def test_notifications_of_a_worker_that_was_killed_are_there_once(scene: Scene, moment: Moment) -> None:
    user = scene.app.user()
    jobs = [{"userId": user, "type": "TASK_COMMENT", "title": f"Comment {n}", "message": "m"} for n in range(JOBS)]

    await scene.kill_a_worker("notification", jobs, at=moment)
    await scene.let_another_finish()

    assert scene.app.rows("notifications", "title") == sorted(str(job["title"]) for job in jobs)


def events(scene: Scene) -> list[dict[str, Any]]:
    """Views and downloads of one asset on two days, by somebody and by nobody, and searches."""
    asset, user = scene.app.asset(), scene.app.user()
    scene.app.insert("asset_analytics", assetId=asset, date="2025-11-24", views=5)
    somebody: dict[str, str] = {"userId": user}
    seen = [
        {"type": kind, "assetId": asset, **(somebody if n % 4 else {}), "data": {}, "timestamp": f"2025-11-{24 + n % 2}T12:00:00.000Z"}
        for n, kind in enumerate(["ASSET_VIEW"] * 12 + ["ASSET_DOWNLOAD"] * 4)
    ]
    search = {"type": "SEARCH", "userId": user, "data": {"query": "booth", "resultCount": 3}, "timestamp": "2025-11-24T12:00:00.000Z"}
    return seen + [search] * 4


DAYS = [(date(2025, 11, 24), 5 + 6, 2), (date(2025, 11, 25), 6, 2)]


def days(scene: Scene) -> list[Any]:
    return scene.app.rows("asset_analytics", "date", "views", "downloads")


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Writing("asset_analytics"), id="between activities and counters"),
        pytest.param(Unreported("asset_analytics", lambda scene: days(scene) == DAYS), id="before it said so"),
    ],
)
async def test_events_of_a_worker_that_was_killed_are_counted_once(scene: Scene, moment: Moment) -> None:
    jobs = events(scene)

    await scene.kill_a_worker("analytics", jobs, at=moment)
    await scene.let_another_finish()

    assert days(scene) == DAYS
    assert len(scene.app.rows("asset_activities", "id")) == 12
    assert scene.app.rows("search_history", "query", "resultCount") == [("booth", 3)] * 4
