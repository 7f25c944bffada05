"""The web app's side of the database, for tests: makes the rows that a job points at, and looks at what a worker wrote."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from kayan_workers.database import Database
from kayan_workers.processors.cleaning.policy import Policy
from kayan_workers.processors.handle import JobHandle
from kayan_workers.storage import Storage
from psycopg import sql


@dataclass
class SomeEdges:
    """As much of ``kayan_workers.edges.Edges`` as the processor under test may touch."""

    database: Database
    storage: Storage | None = None
    temp_dir: Path | None = None
    cleanup: Policy = field(default_factory=Policy)
    pod: str = "test-pod"
    noted: list[dict[str, object]] = field(default_factory=list)

    def temp_folders(self) -> tuple[list[Path], list[Path]]:
        return [self.temp_dir] if self.temp_dir else [], []

    def note(self, job: JobHandle, event: str, **fields: object) -> None:
        self.noted.append({"event": event, "job_id": job.id, **fields})


class App:
    """Inserts rows with whatever their tables demand; keywords are columns, and override."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.connection = connection
        self._ids = itertools.count(1)

    def insert(self, table: str, **columns: Any) -> str:
        columns = {"id": f"c{table.lower()[:12].replace('_', '')}{next(self._ids):06}", **columns}
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(sql.Placeholder() * len(columns))
        )
        self.connection.execute(query, list(columns.values()))
        return str(columns["id"])

    def user(self, **columns: Any) -> str:
        number = next(self._ids)
        return self.insert("User", **{"email": f"user{number}@example.com", "updatedAt": "2025-01-01", **columns})

    def project(self, **columns: Any) -> str:
        owner = self.user()
        company = self.insert("companies", name="LEAP", createdBy=owner, updatedAt="2025-01-01")
        return self.insert("projects", **{"name": "Booth", "companyId": company, "createdBy": owner, "updatedAt": "2025-01-01", **columns})

    def task(self, project: str) -> str:
        return self.insert("tasks", name="Render", projectId=project, updatedAt="2025-01-01")

    def milestone(self, project: str) -> str:
        return self.insert("milestones", name="Concept", projectId=project, dueDate="2026-01-01", updatedAt="2025-01-01")

    def meeting(self) -> str:
        return self.insert("meetings", title="Kick-off", startTime="2026-01-01", endTime="2026-01-01", updatedAt="2025-01-01")

    def collection(self, user: str) -> str:
        return self.insert("collections", name="Best", createdById=user, updatedAt="2025-01-01")

    def asset(self, **columns: Any) -> str:
        number = next(self._ids)
        needed = {
            "name": "render.png", "type": "IMAGE", "fileName": "render.png", "originalName": "render.png", "fileSize": 10,
            "mimeType": "image/png", "updatedAt": "2025-01-01", "fileKey": f"assets/2025/11/{number:010}-render.png",
        }
        if "uploadedBy" not in columns:
            columns["uploadedBy"] = self.user()
        return self.insert("assets", **{**needed, **columns})

    def variant(self, asset: str, **columns: Any) -> str:
        number = next(self._ids)
        needed = {
            "assetId": asset, "variantType": "MOBILE", "fileKey": f"variants/2025/11/{number:010}-render-mobile.jpg",
            "fileSize": 5, "format": "jpeg", "status": "COMPLETED", "updatedAt": "2025-01-01",
        }
        return self.insert("asset_variants", **{**needed, **columns})

    def share_link(self, asset: str, **columns: Any) -> str:
        return self.insert("asset_share_links", **{"assetId": asset, "token": f"t{next(self._ids)}", "createdById": self.user(), **columns})

    def rows(self, table: str, *columns: str) -> list[Any]:
        """The values of one column, or tuples of several, ordered by themselves."""
        listed = sql.SQL(", ").join(map(sql.Identifier, columns))
        query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(listed, sql.Identifier(table), listed)
        found = self.connection.execute(query).fetchall()
        return [row[0] for row in found] if len(columns) == 1 else found

    def set_zone(self, zone: str) -> None:
        """Let every new session of this database start in ``zone``."""
        name = self.connection.info.dbname
        self.connection.execute(sql.SQL("ALTER DATABASE {} SET timezone TO {}").format(sql.Identifier(name), sql.Literal(zone)))


@contextmanager
def app_of(database_url: str) -> Iterator[App]:
    """The app at a test's database, which is its own: whoever owns the tables, although ``database_url`` may name the fleet's role."""
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        yield App(connection)


_OWNERS: dict[str, str] = {}
"""By database of a test, its owner as a URL has it."""


def as_role(database_url: str, role: str) -> str:
    """The URL with another user, such as the fixture ``lesser_role``."""
    parts = urlsplit(database_url)
    _OWNERS.setdefault(parts.path, parts.netloc)
    return urlunsplit(parts._replace(netloc=f"{role}:hush-hush@{parts.netloc.rpartition('@')[2]}"))


def owner_of(database_url: str) -> str:
    """The URL with the user who owns the database and may do everything in it: for what a test prepares and looks at."""
    parts = urlsplit(database_url)
    return urlunsplit(parts._replace(netloc=_OWNERS.get(parts.path, parts.netloc)))
