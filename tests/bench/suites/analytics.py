"""Views and downloads, from Redis to their rows and counters: a worker of ours beside the app's own."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from app import App
from bench import to_the_last_row
from bench.peer import APP_OPTIONS
from bench.results import Row
from bench.stage import Stage
from bench.to_the_last_row import Backlog
from kayan_workers.bull.options import JobOptions

GOAL = 20
_ASSETS, _USERS = 500, 50
_FIRST_MOMENT = datetime(2025, 11, 24, 9, tzinfo=UTC)


async def run(stage: Stage) -> list[Row]:
    backlog = Backlog(
        role="analytics", jobs=_events, check=_check, tables=("asset_activities", "asset_analytics"),
        options=JobOptions(priority=5, delay_ms=1000).over(APP_OPTIONS),
    )
    return await to_the_last_row.run(stage, backlog, GOAL)


def _events(app: App, number: int) -> list[dict[str, Any]]:
    """What the app queues: four views to a download, popular assets more often, over three days."""
    users = [app.user() for _ in range(_USERS)]
    assets = [app.asset(uploadedBy=users[0]) for _ in range(_ASSETS)]
    choice = random.Random(4)
    return [
        {
            "type": "ASSET_DOWNLOAD" if choice.random() < 0.2 else "ASSET_VIEW",
            "assetId": assets[int(_ASSETS * choice.random() ** 2)],
            "userId": choice.choice(users),
            "data": {},
            "timestamp": f"{_FIRST_MOMENT + timedelta(seconds=choice.randrange(3 * 86_400)):%Y-%m-%dT%H:%M:%S.123Z}",
        }
        for _ in range(number)
    ]


def _check(app: App, events: Sequence[dict[str, Any]]) -> None:
    expected = Counter((event["assetId"], event["timestamp"][:10], event["type"]) for event in events)
    found: Counter[tuple[str, str, str]] = Counter()
    for asset, day, views, downloads in app.rows("asset_analytics", "assetId", "date", "views", "downloads"):
        found[asset, day.isoformat(), "ASSET_VIEW"] += views
        found[asset, day.isoformat(), "ASSET_DOWNLOAD"] += downloads
    assert +found == expected, "the counters are wrong"
    row = app.connection.execute("SELECT count(*) FROM asset_activities").fetchone()
    assert row == (len(events),), "activities are missing or doubled"
