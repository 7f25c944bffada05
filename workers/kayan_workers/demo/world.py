"""What is there before the first job: people, a project, uploaded files with their rows, and things that have outlived their use.

All of it stands where the web app would have put it: rows in its tables, originals in the object store under its keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, LiteralString

from kayan_workers.ids import derive_id

if TYPE_CHECKING:
    import psycopg

    from kayan_workers.demo.samples import Sample
    from kayan_workers.storage import Storage

COPIES = {"IMAGE": 2, "DOCUMENT": 2}
"""How often a sample of each type is uploaded; others once."""

PEOPLE = {"mona": "Mona Khalil", "omar": "Omar Said", "layla": "Layla Haddad", "noor": "Noor Trading", "sami": "Sami Aziz"}
MUTED = "sami"
"""Has switched notifications off in the app."""

SHOWN: dict[str, tuple[int, int, float]] = {
    "Stand photo.jpg": (1200, 1600, 0),
    "logo.png": (512, 512, 0),
    "render.webp": (640, 480, 0),
    "print.tif": (640, 480, 0),
    "turning.gif": (160, 120, 0),
    "plan.svg": (420, 297, 0),
    "walkthrough.mp4": (640, 360, 4),
    "phone.mov": (360, 640, 2),
    "blink.mp4": (320, 240, 0.4),
    "silent.webm": (320, 180, 2),
    "jingle.mp3": (0, 0, 3),
    "signal.wav": (0, 0, 1),
}
"""What a viewer shows of each sample: width and height in pixels, and seconds. The photo and the phone's film are stored on their side."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9.-]")


@dataclass(frozen=True, slots=True)
class Upload:
    """An asset as the app has just stored it: its row is COMPLETED as an upload and PENDING as work."""

    asset_id: str
    key: str
    file_type: str
    mime_type: str
    name: str
    width: int = 0
    """Of what a viewer shows; 0 for what has no size."""
    height: int = 0
    duration_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class World:
    """Ids of what the jobs speak of. ``now`` is the demo's own moment, in UTC."""

    now: datetime
    uploads: list[Upload]
    broken: Upload
    people: Mapping[str, str]
    """Short name to user id."""
    project_id: str
    task_id: str
    milestone_id: str
    meeting_id: str
    outlived: Outlived


@dataclass(frozen=True, slots=True)
class Outlived:
    """What cleanup must take away, and what it must leave."""

    expired_links: int
    old_days: int
    """Rows of daily counters that are older than a year."""
    abandoned: list[str]
    """Assets whose upload never finished and that own no file."""
    kept_pending: str
    """An unfinished upload that owns a file."""
    archived: str
    archived_variants: list[str]
    """Keys of the variants of the archived asset."""
    archived_original: str


def build_world(connection: psycopg.Connection, storage: Storage, samples: Iterable[Sample]) -> World:
    """Fill the app's tables, which are empty, and the store; returns what is there."""
    now = datetime.now(tz=UTC).replace(microsecond=0)
    rows = _Rows(connection, now)
    people = {who: rows.user(who, name) for who, name in PEOPLE.items()}
    rows.insert("notification_preferences", id=derive_id("preferences"), userId=people[MUTED], inAppEnabled=False)
    company = rows.insert("companies", id=derive_id("company"), name="KayanLive", createdBy=people["mona"])
    project = rows.insert("projects", id=derive_id("project"), name="LEAP 2026 – Main stage", companyId=company, createdBy=people["mona"])
    milestone = rows.insert("milestones", id=derive_id("milestone"), name="Concept design", projectId=project, dueDate=_naive(now))
    task = rows.insert("tasks", id=derive_id("task"), name="Booth render", projectId=project)
    meeting = rows.insert(
        "meetings", id=derive_id("meeting"), title="Stage design review", startTime=_naive(now), endTime=_naive(now), projectId=project
    )
    uploads = [
        rows.upload(storage, sample, people["omar"], copy) for sample in samples for copy in range(COPIES.get(sample.file_type, 1))
    ]
    return World(
        now=now, uploads=uploads, broken=rows.broken_upload(storage, people["omar"]), people=people, project_id=project,
        task_id=task, milestone_id=milestone, meeting_id=meeting, outlived=_outlived(rows, storage, uploads[0], people["mona"]),
    )


def _outlived(rows: _Rows, storage: Storage, upload: Upload, owner: str) -> Outlived:
    past = _naive(rows.now - timedelta(days=1))
    coming = _naive(rows.now + timedelta(days=30))
    for number, (expires, active) in enumerate([(past, True), (past, True), (past, True), (past, False), (coming, True), (None, True)]):
        rows.insert(
            "asset_share_links", id=derive_id("link", number), token=f"demo-share-link-{number}", assetId=upload.asset_id,
            createdById=owner, expiresAt=expires, isActive=active,
        )
    for days in (800, 500, 400, 100):
        rows.insert(
            "asset_analytics", id=derive_id("day", days), assetId=upload.asset_id, date=(rows.now - timedelta(days=days)).date(), views=days
        )
    long_ago = _naive(rows.now - timedelta(days=90))
    pending: dict[str, Any] = {
        "owner": owner, "uploadStatus": "PENDING", "createdAt": long_ago, "uploadedAt": long_ago, "updatedAt": long_ago,
    }
    abandoned = [rows.asset(derive_id("abandoned", number), f"never-finished-{number}.png", **pending) for number in range(3)]
    kept_key = storage.upload(b"bytes that arrived", "assets/2025/01/keptPendng-kept.bin", "application/octet-stream").key
    kept = rows.asset(derive_id("kept"), "kept.bin", fileKey=kept_key, **pending)
    original = storage.upload(b"the original", "assets/2025/01/archivedXy-stand.png", "image/png").key
    archived = rows.asset(
        derive_id("archived"), "stand.png", owner=owner, fileKey=original, isArchived=True, uploadStatus="COMPLETED",
        processingStatus="COMPLETED", updatedAt=long_ago,
    )
    variants = []
    for kind in ("PREVIEW", "MOBILE"):
        key = storage.upload(kind.encode(), f"variants/2025/01/archivedXy-stand-{kind.lower()}.jpg", "image/jpeg").key
        rows.insert(
            "asset_variants", id=derive_id("variant", kind), assetId=archived, variantType=kind, fileKey=key, fileSize=len(kind),
            format="jpeg", status="COMPLETED", updatedAt=long_ago,
        )
        variants.append(key)
    return Outlived(3, 3, abandoned, kept, archived, variants, original)


class _Rows:
    """Inserts rows as Prisma does: every id and ``updatedAt`` comes from here, times are UTC wall time."""

    def __init__(self, connection: psycopg.Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now

    def insert(self, table: LiteralString, **columns: Any) -> str:
        """Insert one row; returns its id."""
        from psycopg import sql

        if table not in ("asset_share_links", "asset_analytics"):
            columns.setdefault("updatedAt", _naive(self.now))
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join([sql.Placeholder()] * len(columns))
        )
        self.connection.execute(statement, list(columns.values()))
        return str(columns["id"])

    def user(self, who: str, name: str) -> str:
        return self.insert("User", id=derive_id("user", who), email=f"{who}@kayanlive.example", name=name)

    def asset(self, asset_id: str, name: str, *, owner: str, type: str = "IMAGE", **columns: Any) -> str:  # noqa: A002 (the column's name)
        columns = {"fileSize": 0, "mimeType": "image/png", "uploadedBy": owner, **columns}
        return self.insert("assets", id=asset_id, name=name, type=type, fileName=name, originalName=name, **columns)

    def upload(self, storage: Storage, sample: Sample, owner: str, copy: int) -> Upload:
        """Store a sample as one more of the app's files."""
        asset_id, key = self._ids(sample.path.name, copy)
        width, height, seconds = SHOWN.get(sample.path.name, (0, 0, 0.0))
        upload = Upload(asset_id, key, sample.file_type, sample.mime_type, sample.path.name, width, height, seconds)
        return self._uploaded(storage, sample.path, upload, owner)

    def broken_upload(self, storage: Storage, owner: str) -> Upload:
        """A picture that is none: its bytes got lost on the way."""
        asset_id, key = self._ids("lost.png", 0)
        return self._uploaded(storage, bytes(4096), Upload(asset_id, key, "IMAGE", "image/png", "lost.png"), owner)

    def _ids(self, name: str, copy: int) -> tuple[str, str]:
        """Id and storage key, in the app's forms."""
        key = f"assets/{self.now:%Y/%m}/{derive_id('key', name, copy)[1:11]}-{_NOT_PLAIN.sub('_', name)}"
        return derive_id("asset", name, copy), key

    def _uploaded(self, storage: Storage, content: Path | bytes, upload: Upload, owner: str) -> Upload:
        """Store the content and its row as ``asset.uploadToS3`` does."""
        stored = storage.upload(content, upload.key, upload.mime_type)
        self.asset(
            upload.asset_id, upload.name, owner=owner, type=upload.file_type, mimeType=upload.mime_type, fileSize=stored.size,
            checksum=stored.checksum, fileKey=upload.key, filePath=stored.url, format=PurePosixPath(upload.name).suffix[1:].lower(),
            uploadStatus="COMPLETED", metadata=json.dumps({"source": "demo"}),
        )
        return upload


def _naive(moment: datetime) -> datetime:
    """UTC wall time without a zone, which is what the app's columns hold."""
    return moment.astimezone(UTC).replace(tzinfo=None)
