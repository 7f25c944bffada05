"""Whoever reads a worker's lines as text reads sentences: each event that the sources can log has one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import kayan_workers
import pytest
from kayan_workers import logs
from logged import logged

SOURCES = Path(kayan_workers.__file__).parent
COMMON = {"queue": "email", "job_id": "7", "attempt": 1, "duration_ms": 1, "delay_ms": 1, "error": "why"}
"""What loggers carry, or what is put together elsewhere."""
FIGURES = {"examined": 3, "removed": 2, "kept": 1}
STAND_INS: dict[str, Any] = {"roles": ["email"], "queues": {"email": {"waiting": 1}}, "labels": {}, "variables": ["REDIS_URL"]}

def text_of(event: str, fields: dict[str, Any]) -> str:
    stream = io.StringIO()
    logs.configure(form="text", stream=stream)
    logs.get().info(event, **fields)
    return stream.getvalue()


EVENTS = sorted(set(logged(SOURCES)), key=lambda event: (event[0], sorted(event[1])))


def test_the_events_are_found_wherever_they_are_logged() -> None:
    found = {name for name, _ in EVENTS}
    assert found >= {
        "worker.started", "job.completed", "cleanup.ended", "library.note", "queue.fenced", "queue.released", "mail.unusable",
    }  # fmt: skip
    assert len(found) > 40


@pytest.mark.parametrize(("event", "given"), EVENTS, ids=[f"{name} {' '.join(sorted(fields))}" for name, fields in EVENTS])
def test_every_event_is_a_sentence(event: str, given: frozenset[str]) -> None:
    fields = {field: STAND_INS.get(field, 1) for field in given - {"exc_info"}} | COMMON | (FIGURES if event == "cleanup.ended" else {})

    assert event not in text_of(event, fields), f"{event} has no phrase in logs.py, or one with a field that it is not given"


@pytest.mark.parametrize(
    ("event", "fields", "text"),
    [
        ("settings.changed", {"variables": ["DATABASE_URL", "EMAIL_FROM"]}, "🔄 other settings in the files: DATABASE_URL, EMAIL_FROM"),
        ("settings.wrong", {"variables": ["REDIS_URL"], "error": "no scheme"},
         "❌ other settings in the files (REDIS_URL) that no worker would start with, so the old ones stay: no scheme"),
        ("worker.draining", {"running": 2, "grace_seconds": 25.0}, "📴 beginning anew: 2 running jobs have 25 s to finish"),
        ("worker.draining", {"signal": "SIGTERM", "running": 0, "grace_seconds": 25.0},
         "📴 SIGTERM received: 0 running jobs have 25 s to finish; once more exits at once"),
    ],
)  # fmt: skip
def test_a_worker_that_begins_anew_says_why_in_words(event: str, fields: dict[str, Any], text: str) -> None:
    assert text_of(event, fields).rstrip("\n").partition(" ")[2] == text
