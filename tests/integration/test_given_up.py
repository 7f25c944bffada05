"""A job that every worker died of: the stalled pass fails it, and its asset must not be PROCESSING for ever."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from app import App, app_of
from kayan import worker
from psycopg import sql
from redis.asyncio import Redis
from waiting import wait_until


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    with app_of(database_url) as app:
        yield app


async def left_behind(redis: Redis, job_id: str, data: str) -> None:
    """A job as the second worker that died of it leaves it: active, without a lock, one stall counted, seen at the last pass."""
    opts = {"attempts": 3, "backoff": {"type": "exponential", "delay": 2000}, "removeOnFail": 500, "timestamp": 1_795_431_282_192}
    fields = {"name": "__default__", "data": data, "opts": json.dumps(opts), "timestamp": "1795431282192", "delay": "0", "priority": "1"}
    await redis.hset(f"bull:asset-processing:{job_id}", mapping=fields | {"stalledCounter": "1"})
    await redis.lpush("bull:asset-processing:active", job_id)
    await redis.sadd("bull:asset-processing:stalled", job_id)


def job_of(asset_id: str) -> str:
    source = {"fileKey": "assets/2025/11/V1StGXR8_Z-hall.png", "fileType": "IMAGE", "mimeType": "image/png", "originalFilename": "hall.png"}
    return json.dumps({"assetId": asset_id} | source)


def variables(redis_url: str, database_url: str, tmp_path: Path) -> dict[str, str]:
    return {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "KAYAN_STORAGE": f"folder:{tmp_path / 'objects'}",
            "STALLED_INTERVAL_MS": "500"}  # fmt: skip


def state(app: App, asset_id: str) -> tuple[Any, ...]:
    row = app.connection.execute('SELECT "processingStatus", "processingError" FROM assets WHERE id = %s', [asset_id]).fetchone()
    assert row is not None
    return row


async def test_the_asset_of_a_job_that_was_given_up_is_marked_as_failed_and_says_why(
    app: App, redis_url: str, redis: Redis, database_url: str, tmp_path: Path
) -> None:
    asset = app.asset(processingStatus="PROCESSING")
    await left_behind(redis, "7", job_of(asset))

    with worker("asset", variables=variables(redis_url, database_url, tmp_path)):
        await wait_until(lambda: state(app, asset)[0] == "FAILED", timeout=20)

    assert "stalled more than allowable limit" in state(app, asset)[1]
    assert await redis.zscore("bull:asset-processing:failed", "7")


async def test_a_job_whose_payload_nobody_can_read_costs_a_warning_and_hides_no_other(
    app: App, redis_url: str, redis: Redis, database_url: str, tmp_path: Path
) -> None:
    asset = app.asset(processingStatus="PROCESSING")
    await left_behind(redis, "6", '{"assetId": 5}')
    await left_behind(redis, "7", job_of(asset))

    with worker("asset", variables=variables(redis_url, database_url, tmp_path)) as running:
        await wait_until(lambda: state(app, asset)[0] == "FAILED", timeout=20)
        warning = running.wait_for("job.untold")

    assert (warning["job_id"], "assetId" in warning["error"]) == ("6", True)
    assert running.events("worker.broken") == []


async def test_while_the_database_takes_no_connection_it_is_tried_again(
    app: App, redis_url: str, redis: Redis, postgres_url: str, database_url: str, tmp_path: Path
) -> None:
    asset = app.asset(processingStatus="PROCESSING")
    await left_behind(redis, "7", job_of(asset))
    name = sql.Identifier(app.connection.info.dbname)

    with psycopg.connect(postgres_url, autocommit=True) as administrator:
        administrator.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        with worker("asset", variables=variables(redis_url, database_url, tmp_path)) as running:
            warning = await wait_until(lambda: running.events("job.untold"), timeout=60)
            assert state(app, asset)[0] == "PROCESSING"
            administrator.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
            await wait_until(lambda: state(app, asset)[0] == "FAILED", timeout=60)

    assert (warning[0]["queue"], warning[0]["job_id"]) == ("asset-processing", "7")
