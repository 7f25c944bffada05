"""A cleanup in a test, run as its worker runs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app import App
from doubles import FakeJob
from kayan_workers.processors.cleanup import Options, Payload, process

NOW = datetime.now(UTC).replace(microsecond=0)
YESTERDAY = (NOW - timedelta(hours=25)).replace(tzinfo=None)
AN_HOUR_AGO = (NOW - timedelta(hours=1)).replace(tzinfo=None)
TOMORROW = (NOW + timedelta(hours=25)).replace(tzinfo=None)


def days_ago(days: float) -> datetime:
    """As the app's columns hold it."""
    return (NOW - timedelta(days=days)).replace(tzinfo=None)


def cleanup(kind: str, edges: Any, *, dry_run: bool = False, job: FakeJob | None = None) -> dict[str, Any]:
    """What the job returns."""
    return process(Payload(kind, Options(dry_run=dry_run)), job or FakeJob(queue="cleanup"), edges)


def gone(summary: dict[str, Any]) -> dict[str, int]:
    """How many of what went, or would go."""
    return {what: counts["removed"] for what, counts in summary["byKind"].items() if counts["removed"]}


def stayed(summary: dict[str, Any]) -> dict[str, int]:
    return {what: counts["kept"] for what, counts in summary["byKind"].items() if counts["kept"]}


def pending(app: App, **columns: Any) -> str:
    """An asset that has been PENDING for longer than a day and owns nothing but a key."""
    return app.asset(**{"uploadStatus": "PENDING", "createdAt": YESTERDAY, **columns})
