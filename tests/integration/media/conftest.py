"""The world a media job meets: the app's tables, an object store, real ffmpeg, and uploads as the app makes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from app import as_role, owner_of
from doubles import FakeJob
from kayan_workers.codecs.codecs import Codecs
from kayan_workers.database import Database
from kayan_workers.demo.samples import Sample, make_samples
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.storage import FolderStorage, Storage
from psycopg.rows import dict_row

VOLATILE = {"updatedAt", "createdAt"}


@dataclass
class Upload:
    """A file of the app's: its asset and where it is stored."""

    asset_id: str
    file_key: str
    file_type: str
    mime_type: str

    def payload(self, **more: Any) -> dict[str, Any]:
        """What the app queues for it, as JSON."""
        return {
            "assetId": self.asset_id, "fileKey": self.file_key, "fileType": self.file_type, "mimeType": self.mime_type,
            "originalFilename": self.file_key.rpartition("-")[2], **more,
        }  # fmt: skip


@dataclass
class World:
    """Stands in for ``Edges`` and knows how to look at what a job left behind."""

    storage: Storage
    database: Database
    ffmpeg: Ffmpeg
    codecs: Codecs
    temp_dir: Path
    database_url: str
    databases: dict[str, Database]
    """By role, as who may do what its queue needs and no more."""
    jobs: list[FakeJob] = field(default_factory=list)

    def upload(self, content: Path | bytes, file_type: str, mime_type: str, name: str = "file.bin", **columns: Any) -> Upload:
        """Store a file and its asset row, as ``asset.uploadToS3`` does."""
        data = content if isinstance(content, bytes) else content.read_bytes()
        name = name if isinstance(content, bytes) else content.name
        digest = hashlib.sha256(name.encode() + data).hexdigest()
        upload = Upload(f"c{digest[:24]}", f"assets/2025/11/{digest[:10]}-{name.replace(' ', '_')}", file_type, mime_type)
        self.storage.upload(data, upload.file_key, mime_type or "application/octet-stream")
        row = {
            "id": upload.asset_id, "name": name, "type": file_type, "fileName": name, "originalName": name, "fileSize": len(data),
            "mimeType": mime_type, "fileKey": upload.file_key, "uploadedBy": "u1", "uploadStatus": "COMPLETED", **columns,
        }  # fmt: skip
        names = ", ".join(f'"{column}"' for column in row)
        self.execute('INSERT INTO "User" (id, email, "updatedAt") VALUES (\'u1\', \'u1@example.com\', now()) ON CONFLICT DO NOTHING')
        self.execute(f'INSERT INTO assets ({names}, "updatedAt") VALUES ({", ".join(["%s"] * len(row))}, now())', list(row.values()))
        return upload

    def sample(self, sample: Sample, **columns: Any) -> Upload:
        return self.upload(sample.path, sample.file_type, sample.mime_type, **columns)

    def job(self, **options: Any) -> FakeJob:
        job = FakeJob(**options)
        self.jobs.append(job)
        return job

    def execute(self, statement: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        with psycopg.connect(owner_of(self.database_url), autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(statement, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def asset(self, asset_id: str) -> dict[str, Any]:
        [row] = self.execute("SELECT * FROM assets WHERE id = %s", [asset_id])
        return row

    def details(self, asset_id: str) -> dict[str, Any]:
        [row] = self.execute('SELECT * FROM asset_metadata WHERE "assetId" = %s', [asset_id])
        return row

    def variants(self, asset_id: str) -> dict[str, dict[str, Any]]:
        rows = self.execute('SELECT * FROM asset_variants WHERE "assetId" = %s', [asset_id])
        assert len({row["variantType"] for row in rows}) == len(rows)
        return {row["variantType"]: row for row in rows}

    def everything(self) -> dict[str, Any]:
        """All rows and objects, without the times that may differ between two runs."""
        tables = {}
        for table in ("assets", "asset_metadata", "asset_variants"):
            rows = [{name: value for name, value in row.items() if name not in VOLATILE} for row in self.execute(f"SELECT * FROM {table}")]
            for row in rows:
                if isinstance(row.get("metadata"), dict):
                    row["metadata"].pop("processedAt", None)
            tables[table] = sorted(rows, key=lambda row: row["id"])
        return {**tables, "objects": [found.key for found in self.storage.list("")]}

    def stored(self, key: str) -> Path:
        """A stored object as a file."""
        to = self.temp_dir.parent / f"looked-at-{key.rpartition('/')[2]}"
        self.storage.download(key, to)
        return to


@pytest.fixture
def world(owner_url: str, database_url: str, fleet_roles: dict[str, str], tmp_path: Path) -> Iterator[World]:
    urls = {role: as_role(owner_url, fleet_roles[role]) for role in ("media", "asset", "thumbnail", "variant")}
    databases = {role: Database(url, pool_size=4, application_name="kayan-test") for role, url in urls.items()}
    temp_dir = tmp_path / "temp"
    temp_dir.mkdir()
    ffmpeg = Ffmpeg()
    codecs = Codecs(temp_dir, ffmpeg, processes=2, memory_mb=1024, threads=2)
    world = World(FolderStorage(tmp_path / "store"), databases["media"], ffmpeg, codecs, temp_dir, database_url, databases)
    yield world
    codecs.close()
    for database in databases.values():
        database.close()
    assert list(temp_dir.iterdir()) == [], "a job left temporary files behind"


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    return {sample.path.name: sample for sample in make_samples(tmp_path_factory.mktemp("samples"))}
