"""The world a cleanup meets: the app's tables and a store that is in use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from app import App, SomeEdges, app_of
from kayan_workers.database import Database
from kayan_workers.storage import FolderStorage, S3Storage


@pytest.fixture
def rights() -> str:
    return "cleanup"


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    with app_of(database_url) as app:
        yield app


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """A store in use: it holds somebody's asset."""
    storage = FolderStorage(tmp_path / "store")
    storage.upload(b"somebody's", "assets/2025/01/somebody-render.png", "image/png")
    return storage


@pytest.fixture
def edges(database_url: str, storage: FolderStorage, tmp_path: Path) -> Iterator[SomeEdges]:
    temp_dir = tmp_path / "temp"
    temp_dir.mkdir()
    database = Database(database_url, pool_size=2, application_name="kayan-test", wait_seconds=5)
    yield SomeEdges(database, storage, temp_dir)
    database.close()


def s3_storage(server: servers.S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    return S3Storage(server.bucket, server.region)


@pytest.fixture
def bucket(s3: servers.S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    return s3_storage(s3, monkeypatch)


@pytest.fixture
def bucket_with_holds(s3_with_holds: servers.S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    return s3_storage(s3_with_holds, monkeypatch)
