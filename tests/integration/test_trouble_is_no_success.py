"""A job whose database, store or mail service is away waits for another try. It never counts as done, and it is told once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from app import App, app_of
from at_work import queue_at
from kayan import WorkerProcess, worker
from kayan_workers.bull.options import JobOptions
from kayan_workers.cli.adding import APP_OPTIONS
from kayan_workers.processors.table import ROLES

NOWHERE = "http://127.0.0.1:1"
KEY = "variants/2025/11/V1StGXR8_Z-plan-mobile.jpg"
QUEUES = [role.queue for role in ROLES]


async def queue_one_of_each(redis_url: str, app: App) -> None:
    user, archived = app.user(), app.asset(isArchived=True)
    app.variant(archived, fileKey=KEY)
    source = {"assetId": archived, "fileKey": "assets/2025/11/V1StGXR8_Z-plan.jpg", "fileType": "IMAGE", "mimeType": "image/jpeg"}
    jobs = {
        "asset-processing": source,
        "thumbnail-generation": source,
        "variant-generation": source | {"variants": ["MOBILE"]},
        "email": {"to": "ada@example.com", "subject": "Hello", "data": {"text": "Hi"}},
        "notification": {"userId": user, "type": "TASK_ASSIGNED", "title": "t", "message": "m"},
        "analytics": {"type": "ASSET_VIEW", "assetId": archived, "userId": user, "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"},
        "cleanup": {"type": "OLD_VARIANTS"},
    }
    assert list(jobs) == QUEUES
    for name, data in jobs.items():
        async with queue_at(redis_url, name, defaults=APP_OPTIONS) as queue:
            await queue.add(data)


def settings(redis_url: str, database_url: str, temp_dir: Path) -> dict[str, str]:
    return {
        "REDIS_URL": redis_url, "DATABASE_URL": database_url, "AWS_S3_BUCKET": "kayan", "AWS_ENDPOINT_URL_S3": NOWHERE,
        "AWS_ENDPOINT_URL_SES": NOWHERE, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_EC2_METADATA_DISABLED": "true",
        "KAYAN_TEMP_DIR": str(temp_dir),
    }  # fmt: skip


def outcomes(running: WorkerProcess) -> dict[str, str]:
    """The first thing that became of each queue's job."""
    found = [event for event in running.events() if event["event"] in ("job.completed", "job.failed", "job.retried")]
    return {event["queue"]: event["event"] for event in reversed(found)}


async def test_without_a_database_every_job_waits_and_none_counts_as_done(redis_url: str, database_url: str, tmp_path: Path) -> None:
    with app_of(database_url) as app:
        await queue_one_of_each(redis_url, app)
    with worker("all", variables=settings(redis_url, "postgresql://nobody@127.0.0.1:1/none", tmp_path)) as running:
        assert running.wait_for("worker.holding", edge="database")["roles"] == [role.name for role in ROLES]
        running.signal(signal.SIGTERM)
        assert running.exit_code(60) == 0
    assert set(outcomes(running).values()) <= {"job.retried"}, "those that had begun when that was known"
    for name in QUEUES:
        async with queue_at(redis_url, name) as queue:
            counts = await queue.counts()
        assert (name, counts.waiting + counts.delayed, counts.failed, counts.completed) == (name, 1, 0, 0)


async def test_without_store_and_mail_service_no_job_that_needs_them_counts_as_done(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    with app_of(database_url) as app:
        await queue_one_of_each(redis_url, app)
        with worker("all", variables=settings(redis_url, database_url, tmp_path)) as running:
            held = {edge: set(running.wait_for("worker.holding", edge=edge, timeout=60)["roles"]) for edge in ("storage", "mail")}
            assert held == {"storage": {"asset", "thumbnail", "variant", "cleanup"}, "mail": {"email"}}
            for queue in ("notification", "analytics"):
                running.wait_for("job.completed", queue=queue)
        assert outcomes(running) == dict.fromkeys(("notification", "analytics"), "job.completed")
        for name in ("asset-processing", "thumbnail-generation", "variant-generation", "email", "cleanup"):
            async with queue_at(redis_url, name) as queue:
                counts = await queue.counts()
            assert (name, counts.waiting, counts.failed, counts.completed) == (name, 1, 0, 0)
        assert app.rows("assets", "thumbnailKey", "thumbnailPath", "processingStatus") == [(None, None, "PENDING")]
        assert app.rows("asset_variants", "fileKey") == [KEY]


@pytest.mark.parametrize(("user", "attempts"), [(5, [1]), ("cnobody", [1, 2, 3])], ids=["for good", "after retries"])
async def test_a_failure_is_one_line_with_the_attempt_that_failed(
    redis_url: str, postgres_url: str, tmp_path: Path, user: str | int, attempts: list[int]
) -> None:
    """The database is there and has none of the app's tables: worth a retry, and said at once."""
    payload = {"userId": user, "type": "TASK_ASSIGNED", "title": "t", "message": "m"}
    async with queue_at(redis_url, "notification") as queue:
        job = await queue.add(payload, options=JobOptions(attempts=3, backoff=10))
    with worker("notification", variables=settings(redis_url, postgres_url, tmp_path)) as running:
        running.wait_for("job.failed", timeout=60)
        told = [event for event in running.events() if event["level"] not in ("debug", "info") and event.get("job_id") == job.id]
    assert [(event["event"], event["attempt"]) for event in told] == [
        ("job.failed" if attempt == attempts[-1] else "job.retried", attempt) for attempt in attempts
    ]
