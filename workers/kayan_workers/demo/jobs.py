"""About two hundred jobs over all seven queues, in the payload shapes and with the options of the web app's own producers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kayan_workers.bull.options import Backoff, JobOptions
from kayan_workers.demo.world import PEOPLE, Upload, World
from kayan_workers.mail.samples import SAMPLE_VARIABLES

COMMON = JobOptions(attempts=3, backoff=Backoff(type="exponential", delay_ms=2000), remove_on_complete=100, remove_on_fail=500)
"""What the app gives every job (its queue's ``defaultJobOptions``)."""

VARIANTS = ["THUMBNAIL", "PREVIEW", "WEB_OPTIMIZED", "MOBILE"]
UNKNOWN_TEMPLATE = "spring-campaign"

_PRIORITY = {"thumbnail-generation": 1, "variant-generation": 2, "email": 3, "notification": 1, "analytics": 5, "cleanup": 10}
_PRIORITY_BY_TYPE = {"IMAGE": 1, "VIDEO": 2}


@dataclass(frozen=True, slots=True)
class Planned:
    """One job to queue. ``fails`` says why it is meant to fail; empty for all but two."""

    queue: str
    data: dict[str, Any]
    options: JobOptions
    fails: str = ""


def plan(world: World) -> list[Planned]:
    """All jobs, in the order in which they are queued."""
    return [
        *(job for upload in world.uploads for job in _of_upload(upload, world)),
        _file_job("asset-processing", world.broken, fails="a picture that is none"),
        *_mails(),
        _job("email", {"to": "noor@kayanlive.example", "subject": "Spring", "template": UNKNOWN_TEMPLATE, "data": {"userName": "Noor"}},
             fails="a template that does not exist"),
        *_notifications(world),
        *_events(world),
        *(_job("cleanup", {"type": kind}) for kind in ("EXPIRED_LINKS", "OLD_VARIANTS", "TEMP_FILES", "OLD_ANALYTICS")),
    ]


def _job(queue: str, data: dict[str, Any], *, priority: int | None = None, fails: str = "") -> Planned:
    delay_ms = 1000 if queue == "analytics" else 0
    return Planned(queue, data, JobOptions(priority=priority or _PRIORITY[queue], delay_ms=delay_ms), fails)


def _file_job(queue: str, upload: Upload, *, fails: str = "", **more: Any) -> Planned:
    data = {
        "assetId": upload.asset_id, "fileKey": upload.key, "fileType": upload.file_type, "mimeType": upload.mime_type,
        "originalFilename": upload.name, **more,
    }
    priority = _PRIORITY_BY_TYPE.get(upload.file_type, 3) if queue == "asset-processing" else None
    return _job(queue, data, priority=priority, fails=fails)


def _of_upload(upload: Upload, world: World) -> Iterator[Planned]:
    """What ``asset.uploadToS3`` queues; video variants besides, which the app does not ask for yet."""
    yield _file_job("asset-processing", upload)
    if upload.file_type in ("IMAGE", "VIDEO"):
        yield _file_job("thumbnail-generation", upload)
        yield _file_job("variant-generation", upload, variants=VARIANTS)
    yield _event("ASSET_VIEW", world, world.now, assetId=upload.asset_id, userId=world.people["omar"], data={"action": "upload"})


def _mails() -> Iterator[Planned]:
    people = list(PEOPLE)
    for number, (template, variables) in enumerate(SAMPLE_VARIABLES.items()):
        to = f"{people[number % len(people)]}@kayanlive.example"
        yield _job("email", {"to": to, "subject": "not used: the template has its own", "template": template, "data": variables})
    for lead in ("Sara", "Yousef", "Dina", "Khalid", "Rania", "Tariq"):
        words = f"Hi {lead},\n\nthank you for visiting us at LEAP. Shall we talk next week?\n\nMona"
        yield _job("email", {
            "to": f"{lead.lower()}@lead.example", "subject": "Great meeting you at LEAP!", "template": "follow-up-email",
            "data": {"html": words, "text": words},
        })
    everyone = [f"{who}@kayanlive.example" for who in people]
    gates = {"text": "Gates open at 06:00.", "html": "<p>Gates open at 06:00.</p>"}
    yield _job("email", {"to": everyone, "subject": "Load-in on Monday", "data": gates})
    yield _job("email", {
        "to": "layla@kayanlive.example", "subject": "The schedule", "data": {"text": "See attached."},
        "attachments": [
            {"filename": "schedule.csv", "content": "day,from\nMon,06:00\n", "contentType": "text/csv"},
            {"filename": "plan.bin", "content": {"type": "Buffer", "data": list(range(32))}},
        ],
    })


def _notifications(world: World) -> Iterator[Planned]:
    people, project, task = world.people, {"projectId": world.project_id}, {"projectId": world.project_id, "taskId": world.task_id}
    about_task = {"taskId": world.task_id, "taskName": "Booth render", "projectId": world.project_id, "projectName": "LEAP 2026"}
    uploaded = {"projectId": world.project_id, "fileName": "stage.pdf"}
    for who in people:
        yield _notify(people[who], "TASK_ASSIGNED", "New Task Assigned", data={**about_task, "assignedBy": "Mona"}, **task)
        yield _notify(people[who], "PROJECT_UPDATED", "New Upload", data=uploaded, **project)
        yield _notify(people[who], "MEETING_SCHEDULED", "Meeting scheduled", meetingId=world.meeting_id, **project)
    for kind in ("TASK_UPDATED", "TASK_COMMENT", "MILESTONE_REVIEW", "MILESTONE_APPROVED", "TRANSLATION_REQUESTED", "ASSET_UPLOADED"):
        milestone = {"milestoneId": world.milestone_id} if "MILESTONE" in kind else {}
        yield _notify(people["layla"], kind, kind.replace("_", " ").capitalize(), data=about_task, **task, **milestone)
        yield _notify(people["omar"], kind, kind.replace("_", " ").capitalize(), data=about_task, **task, **milestone)


def _notify(user_id: str, kind: str, title: str, **more: Any) -> Planned:
    return _job("notification", {"userId": user_id, "type": kind, "title": title, "message": f"{title} in LEAP 2026", **more})


def _events(world: World) -> Iterator[Planned]:
    people = list(world.people.values())
    for number in range(48):
        upload = world.uploads[number % 6]
        at = world.now - timedelta(hours=5 * number)
        kind = ("ASSET_VIEW", "ASSET_VIEW", "ASSET_DOWNLOAD")[number % 3]
        who = {} if number % 4 == 0 else {"userId": people[number % len(people)]}
        yield _event(kind, world, at, assetId=upload.asset_id, data={}, **who)
    searched = {"query": "main stage", "filters": {"type": "IMAGE"}, "resultCount": 7}
    for user_id in people:
        yield _event("SEARCH", world, world.now, userId=user_id, data=searched)
        yield _event("ASSET_SHARE", world, world.now, userId=user_id, assetId=world.uploads[0].asset_id, data={"shareType": "link"})
    collected = {"type": "COLLECTION_CREATED", "description": "Collection created: LEAP 2026"}
    yield _event("ACTIVITY", world, world.now, userId=people[0], data=collected)


def _event(kind: str, world: World, at: datetime, **more: Any) -> Planned:
    data = {"type": kind, **more, "timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z")}
    return _job("analytics", data)


