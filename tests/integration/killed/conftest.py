"""The scene in which workers are killed: Redis, PostgreSQL and an S3 store, the lines to two of them through proxies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from app import app_of
from integration.killed.scene import Scene
from proxy import Proxy
from redis.asyncio import Redis
from servers import S3Server


def _line_to(url: str) -> Proxy:
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    return Proxy(address.port, address.hostname)


@pytest.fixture
async def scene(redis_url: str, redis: Redis, database_url: str, s3: S3Server, tmp_path: Path) -> AsyncIterator[Scene]:
    temp_dir = tmp_path / "temp"
    temp_dir.mkdir()
    with app_of(database_url) as app:
        async with _line_to(redis_url) as redis_line, _line_to(s3.endpoint) as store_line:
            yield Scene(redis_url, redis, database_url, app, s3, redis_line, store_line, temp_dir)
    assert list(temp_dir.iterdir()) == [], "temporary files of a killed worker were left behind"
