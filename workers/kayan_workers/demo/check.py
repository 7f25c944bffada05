"""Looks at what the workers left behind, as the web app would see it, and names every difference from what the jobs asked for.

Nothing is taken from the workers' own word: rows are read from PostgreSQL, objects from the store, mails from the outbox.
"""

from __future__ import annotations

import email
import email.policy
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

from kayan_workers import deliveries
from kayan_workers.demo.jobs import VARIANTS, Planned
from kayan_workers.demo.world import MUTED, Upload, World
from kayan_workers.errors import PermanentError

if TYPE_CHECKING:
    import psycopg

    from kayan_workers.bull.job import Job
    from kayan_workers.storage import Storage

THUMBNAIL_BOX = 200
"""Pixels: what a thumbnail fits into."""


@dataclass
class Outcome:
    """What is there now. ``produced`` counts things by name, for people; ``differences`` is empty when all is as it should be."""

    produced: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def expect(self, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.differences.append(f"{what}: found {found}, expected {wanted}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where to look. ``failed`` holds the failed jobs of each queue as they stand in Redis. Without an ``outbox`` (None: it lies elsewhere,
    or there is none) the workers' record says which mails went out. ``temp_dir`` takes pictures while they are looked at."""

    world: World
    planned: Sequence[Planned]
    connection: psycopg.Connection
    storage: Storage
    outbox: Path | None
    failed: dict[str, list[Job]]
    temp_dir: Path | None = None

    def rows(self, query: LiteralString, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, values).fetchall()


def look(evidence: Evidence) -> Outcome:
    """Compare everything the jobs should have left with what is there."""
    outcome = Outcome()
    for check in _CHECKS:
        check(evidence, outcome)
    return outcome


def _assets(evidence: Evidence, outcome: Outcome) -> None:
    """Every upload is COMPLETED, upright sizes and durations are known, and the app's own metadata survived."""
    known = _assets_by_id(evidence)
    for upload in evidence.world.uploads:
        asset = known[upload.asset_id]
        what = f"asset {upload.name}"
        outcome.expect(f"{what}: processingStatus", asset["processingStatus"], "COMPLETED")
        outcome.expect(f"{what}: processingError", asset["processingError"], None)
        outcome.expect(f"{what}: metadata.source, which the app had written", (asset["metadata"] or {}).get("source"), "demo")
        if upload.file_type in ("IMAGE", "VIDEO"):
            outcome.expect(f"{what}: width and height", (asset["width"], asset["height"]), (upload.width, upload.height))
        if upload.file_type in ("VIDEO", "AUDIO"):
            outcome.expect(f"{what}: duration in whole seconds", asset["duration"], round(upload.duration_seconds))
    states = Counter(known[upload.asset_id]["processingStatus"] for upload in evidence.world.uploads)
    outcome.produced["files read"] = states["COMPLETED"]


def _contents(evidence: Evidence, outcome: Outcome) -> None:
    """What the files say of themselves has been read out of them."""
    cameras = evidence.rows("""SELECT DISTINCT camera FROM asset_metadata WHERE camera IS NOT NULL""")
    outcome.expect("cameras in asset_metadata", len(cameras), 1)
    known = _assets_by_id(evidence)
    for upload in evidence.world.uploads:
        asset, what = known[upload.asset_id], f"asset {upload.name}"
        if upload.name.endswith(".pdf"):
            outcome.expect(f"{what}: pages", (asset["metadata"] or {}).get("pages"), 3)
            outcome.expect(f"{what}: its preview is stored", evidence.storage.exists(asset["previewKey"] or "none"), True)
    ids = [upload.asset_id for upload in evidence.world.uploads]
    rows = evidence.rows('SELECT count(*)::int FROM asset_metadata WHERE "assetId" = ANY(%s)', ids)
    outcome.expect("rows of asset_metadata for the uploads", rows[0][0], len(ids))


def _broken(evidence: Evidence, outcome: Outcome) -> None:
    asset = _assets_by_id(evidence)[evidence.world.broken.asset_id]
    outcome.expect("the broken image: processingStatus", asset["processingStatus"], "FAILED")
    outcome.expect("the broken image: has a processingError", bool(asset["processingError"]), True)


def _thumbnails(evidence: Evidence, outcome: Outcome) -> None:
    """Each picture and film has a thumbnail in the store that opens as a JPEG and fits the box."""
    known = _assets_by_id(evidence)
    for upload in _pictures(evidence):
        what = f"thumbnail of {upload.name}"
        key = known[upload.asset_id]["thumbnailKey"]
        if not key or not evidence.storage.exists(key):
            outcome.differences.append(f"{what}: not in the object store (thumbnailKey {key!r})")
            continue
        kind, width, height = _picture(evidence, key)
        outcome.expect(f"{what}: format", kind, "JPEG")
        outcome.expect(f"{what}: fits {THUMBNAIL_BOX} x {THUMBNAIL_BOX}", max(width, height) <= THUMBNAIL_BOX, True)
        outcome.expect(f"{what}: stands upright", width >= height, upload.width >= upload.height)
    outcome.produced["thumbnails"] = sum(1 for upload in _pictures(evidence) if known[upload.asset_id]["thumbnailKey"])


def _variants(evidence: Evidence, outcome: Outcome) -> None:
    """Each picture and film has one row for each variant, with an object of just that size behind it."""
    found = evidence.rows('SELECT "assetId", "variantType"::text, "fileKey", "fileSize", status::text, width, height FROM asset_variants')
    wanted = Counter({(upload.asset_id, kind): 1 for upload in _pictures(evidence) for kind in VARIANTS})
    outcome.expect("rows of asset_variants by asset and type", Counter(row[:2] for row in found), wanted)
    sizes = {stored.key: stored.size for stored in evidence.storage.list("variants/")}
    for asset_id, kind, key, size, status, width, height in found:
        what = f"variant {kind} of {asset_id}"
        outcome.expect(f"{what}: status", status, "COMPLETED")
        outcome.expect(f"{what}: size of its object {key}", sizes.get(key), size)
        if key.endswith(".jpg"):
            outcome.expect(f"{what}: width and height of its object", _picture(evidence, key)[1:], (width, height))
    outcome.produced["variants"] = len(found)


def _notifications(evidence: Evidence, outcome: Outcome) -> None:
    """One row for each job, except for whoever has switched notifications off; the app's other names for a type are understood."""
    muted = evidence.world.people[MUTED]
    wanted = Counter(_kind_and_user(job) for job in evidence.planned if job.queue == "notification" and job.data["userId"] != muted)
    found = Counter(evidence.rows('SELECT type::text, "userId" FROM notifications'))
    outcome.expect("rows of notifications by type and user", found, wanted)
    outcome.produced["notifications"] = found.total()


_MEANT = {"TASK_UPDATED": "TASK_STATUS_CHANGED", "TASK_COMMENT": "TASK_COMMENT_ADDED", "MILESTONE_REVIEW": "MILESTONE_SIGNED_OFF"}


def _kind_and_user(job: Planned) -> tuple[str, str]:
    kind = job.data["type"]
    return _MEANT.get(kind, kind), job.data["userId"]


def _analytics(evidence: Evidence, outcome: Outcome) -> None:
    """Counters by asset and UTC day are exact, and what a known person did stands in the histories."""
    events = [job.data for job in evidence.planned if job.queue == "analytics"]
    for kind, column in (("ASSET_VIEW", "views"), ("ASSET_DOWNLOAD", "downloads")):
        wanted = Counter((event["assetId"], _day(event)) for event in events if event["type"] == kind)
        counted = _daily(evidence, column)
        outcome.expect(f"daily {column} by asset and UTC day", counted, wanted)
        outcome.produced[f"{column} counted"] = counted.total()
    names = {"ASSET_VIEW": "ASSET_VIEWED", "ASSET_DOWNLOAD": "ASSET_DOWNLOADED", "ASSET_SHARE": "ASSET_SHARED"}
    acts = Counter(names.get(event["type"]) or event["data"]["type"] for event in events if event["type"] != "SEARCH" and "userId" in event)
    found = dict(evidence.rows("SELECT type::text, count(*)::int FROM asset_activities GROUP BY type"))
    outcome.expect("rows of asset_activities by type", found, dict(acts))
    searches = evidence.rows("SELECT count(*)::int FROM search_history")[0][0]
    outcome.expect("rows of search_history", searches, sum(event["type"] == "SEARCH" for event in events))
    outcome.produced["activities and searches"] = sum(found.values()) + searches


def _daily(evidence: Evidence, column: str) -> Counter[tuple[str, str]]:
    rows = evidence.rows(
        """SELECT "assetId", date::text, views, downloads FROM asset_analytics WHERE date > %s::date - 60""", evidence.world.now.date()
    )
    position = ("views", "downloads").index(column) + 2
    return Counter({(row[0], row[1]): row[position] for row in rows if row[position]})


def _day(event: dict[str, Any]) -> str:
    return datetime.fromisoformat(event["timestamp"]).date().isoformat()


def _mails(evidence: Evidence, outcome: Outcome) -> None:
    """Each recipient of each mail job found one message of their own in the outbox, with nothing left unfilled."""
    jobs = [job for job in evidence.planned if job.queue == "email" and not job.fails]
    wanted = Counter(address for job in jobs for address in ([job.data["to"]] if isinstance(job.data["to"], str) else job.data["to"]))
    if evidence.outbox is None:
        _recorded_mails(evidence, outcome, wanted)
        return
    messages = [_message(path) for path in sorted(evidence.outbox.glob("*.eml"))]
    outcome.expect("mails in the outbox by recipient", Counter(str(message["To"]) for message in messages), wanted)
    for message in messages:
        outcome.expect(f"mail {message['Subject']!r}: has a subject and no unfilled variable", _is_filled(message), True)
    attached = sorted(part.get_filename() or "" for message in messages for part in message.iter_attachments())
    outcome.expect("attachments", attached, ["plan.bin", "schedule.csv"])
    outcome.produced["mails"] = len(messages)


_SENT = "SELECT recipient FROM kayan_workers.mails WHERE queue = 'email' AND starts_with(job_id, 'demo-') AND sent_at IS NOT NULL"


def _recorded_mails(evidence: Evidence, outcome: Outcome, wanted: Counter[str]) -> None:
    """As far as can be told without the mails: the workers have written down each recipient, by a digest of the address."""
    there = evidence.rows("SELECT to_regclass('kayan_workers.mails') IS NOT NULL")[0][0]
    sent = evidence.rows(_SENT) if there else []
    by_digest = {deliveries.digest_of([address]): address for address in wanted}
    found = Counter(by_digest.get(digest, "somebody else") for (digest,) in sent)
    outcome.expect("mails recorded as sent by recipient", found, wanted)
    outcome.produced["mails"] = found.total()


def _message(path: Path) -> email.message.EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def _is_filled(message: email.message.EmailMessage) -> bool:
    bodies = [part.get_content() for part in message.walk() if part.get_content_type() in ("text/plain", "text/html")]
    return bool(message["Subject"]) and bool(bodies) and not any("{{" in body or "{%" in body for body in [*bodies, message["Subject"]])


def _cleanup(evidence: Evidence, outcome: Outcome) -> None:
    """What had outlived its use is gone; what only looked like it is still there."""
    outlived, storage = evidence.world.outlived, evidence.storage

    def count(query: LiteralString, *values: Any) -> int:
        return int(evidence.rows(query, *values)[0][0])

    links = count("""SELECT count(*) FROM asset_share_links WHERE "isActive" AND "expiresAt" < now()""")
    days = count("SELECT count(*) FROM asset_analytics WHERE date <= %s::date - interval '1 year'", evidence.world.now.date())
    abandoned = count("SELECT count(*) FROM assets WHERE id = ANY(%s)", outlived.abandoned)
    variants = [key for key in outlived.archived_variants if storage.exists(key)]
    outcome.expect("expired share links that are still active", links, 0)
    outcome.expect("daily counters older than a year", days, 0)
    outcome.expect("abandoned uploads without a file", abandoned, 0)
    outcome.expect("variant objects of the archived asset", variants, [])
    outcome.expect("its variant rows", count('SELECT count(*) FROM asset_variants WHERE "assetId" = %s', outlived.archived), 0)
    outcome.expect("share links that live on", count('SELECT count(*) FROM asset_share_links WHERE "isActive"'), 2)
    outcome.expect("daily counters of 100 days ago", count("SELECT count(*) FROM asset_analytics WHERE views = 100"), 1)
    kept = count("SELECT count(*) FROM assets WHERE id = ANY(%s)", [outlived.kept_pending, outlived.archived])
    outcome.expect("the unfinished upload that owns a file, and the archived asset", kept, 2)
    outcome.expect("the archived asset's original is kept", storage.exists(outlived.archived_original), True)
    there = outlived.expired_links + outlived.old_days + len(outlived.abandoned) + len(outlived.archived_variants)
    outcome.produced["outlived things cleaned up"] = there - links - days - abandoned - len(variants)


def _failures(evidence: Evidence, outcome: Outcome) -> None:
    """Only the jobs that were meant to fail did, at their first attempt, as no retry could have helped."""
    wanted = Counter(job.queue for job in evidence.planned if job.fails)
    failed = {queue: jobs for queue, jobs in evidence.failed.items() if jobs}
    outcome.expect("failed jobs by queue", {queue: len(jobs) for queue, jobs in failed.items()}, dict(wanted))
    for queue, jobs in failed.items():
        for job in jobs:
            outcome.expect(f"attempts of the failed job {job.id} of {queue} ({job.failed_reason})", job.attempts_made, 1)


_CHECKS: tuple[Callable[[Evidence, Outcome], None], ...] = (
    _assets, _contents, _broken, _thumbnails, _variants, _mails, _notifications, _analytics, _cleanup, _failures,
)


def _pictures(evidence: Evidence) -> Iterator[Upload]:
    """The uploads that have thumbnails and variants."""
    return (upload for upload in evidence.world.uploads if upload.file_type in ("IMAGE", "VIDEO"))


def _assets_by_id(evidence: Evidence) -> dict[str, dict[str, Any]]:
    columns = ("processingStatus", "processingError", "width", "height", "duration", "thumbnailKey", "previewKey", "metadata")
    rows = evidence.rows("""
        SELECT id, "processingStatus"::text, "processingError", width, height, duration, "thumbnailKey", "previewKey", metadata FROM assets
    """)
    return {row[0]: dict(zip(columns, row[1:], strict=True)) for row in rows}


def _picture(evidence: Evidence, key: str) -> tuple[str | None, int, int]:
    """Format, width and height of a stored picture, read by Pillow; (None, 0, 0) for what is none or is not there."""
    from PIL import Image, UnidentifiedImageError

    with tempfile.NamedTemporaryFile(dir=evidence.temp_dir) as file:
        try:
            evidence.storage.download(key, Path(file.name))
            with Image.open(file.name) as picture:
                return picture.format, picture.width, picture.height
        except (PermanentError, UnidentifiedImageError):
            return None, 0, 0
