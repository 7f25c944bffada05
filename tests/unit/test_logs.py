"""Lifecycle lines: their form, and what never gets into them."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from kayan_workers import logs


def lines(form: str, *secrets: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(level=level, form=form, secrets=secrets, stream=stream)
    return stream


def only(stream: io.StringIO) -> dict[str, Any]:
    [line] = stream.getvalue().splitlines()
    event: dict[str, Any] = json.loads(line)
    return event


def test_an_event_is_one_line_of_json_that_begins_with_time_level_and_name() -> None:
    stream = lines("json")
    logs.get(queue="email").info("job.completed", job_id="4711", attempt=1, duration_ms=184)
    event = only(stream)
    assert list(event) == ["timestamp", "level", "event", "queue", "job_id", "attempt", "duration_ms"]
    assert (event["event"], event["level"], event["duration_ms"]) == ("job.completed", "info", 184)
    assert event["timestamp"].endswith("Z")


@pytest.mark.parametrize("form", ["json", "text"])
def test_events_logged_together_are_the_lines_they_would_be_one_by_one(form: str) -> None:
    stream = lines(form, "hunter2")
    same: dict[str, Any] = {"event": "job.completed", "queue": "email"}
    each: list[dict[str, Any]] = [
        {"job_id": "hunter2", "duration_ms": 3}, {"job_id": '7\n{"event":"x"}', "duration_ms": 4000}, {"job_id": "8", "data": {}},
    ]
    for one in each:
        logs.get().info(**same, **one)
    logs.together("info", same, each)
    logs.together("info", same, [])
    told = [re.sub(r"\d\d:\d\d:\d\d(\.\d+Z)?", "", line) for line in stream.getvalue().splitlines()]
    assert told[:3] == told[3:]
    assert "hunter2" not in stream.getvalue()
    assert len(told) == 6


def test_the_level_decides_what_is_said() -> None:
    stream = lines("json", level="warning")
    logs.get().info("job.started")
    logs.get().warning("job.stalled", job_id="1")
    assert only(stream)["event"] == "job.stalled"


@pytest.mark.parametrize(
    ("event", "fields", "text"),
    [
        ("job.started", {"queue": "email", "job_id": "7", "attempt": 1}, "🔄 email 7 started"),
        ("job.started", {"queue": "email", "job_id": "7", "attempt": 2}, "🔄 email 7 started (attempt 2)"),
        ("job.completed", {"queue": "email", "job_id": "7", "duration_ms": 2100}, "✅ email 7 completed in 2.1 s"),
        ("job.retried", {"queue": "email", "job_id": "7", "attempt": 1, "delay_ms": 2000, "error": "no route"},
         "⏳ email 7 failed (attempt 1), again in 2 s: no route"),
        ("job.failed", {"queue": "email", "job_id": "7", "attempt": 3, "error": "gone"}, "❌ email 7 failed for good (attempt 3): gone"),
        ("worker.started", {"roles": {"email": 10, "cleanup": 1}}, "🚀 worker started: email 10, cleanup 1"),
        ("cleanup.ended", {"type": "TEMP_FILES", "dry_run": True, "removed": 2, "kept": 1, "examined": 3, "duration_ms": 1500},
         "🧹 cleanup TEMP_FILES (dry run): 2 removed, 1 kept, 3 examined, in 1.5 s"),
        ("scale.changed", {"to": 3, "replicas": 3}, "   scale.changed to=[withheld] replicas=3"),
        ("job.retried", {"job_id": "7"}, "⏳ job.retried job_id=7"),
    ],
)  # fmt: skip
def test_people_read_a_sentence_with_its_sign(event: str, fields: dict[str, Any], text: str) -> None:
    stream = lines("text")
    logs.get().info(event, **fields)
    assert stream.getvalue().rstrip("\n").partition(" ")[2] == text


def test_the_health_of_all_queues_is_a_table_for_people() -> None:
    stream = lines("text")
    queues = {"email": {"waiting": 3, "active": 12}, "cleanup": {"waiting": 0, "active": 1}}
    logs.get().info("queues.health", queues=queues, labels={"email": "Email"})
    assert stream.getvalue().splitlines()[1:] == [
        "    queue    waiting  active",
        "    -------  -------  ------",
        "    Email          3      12",
        "    cleanup        0       1",
    ]


def test_the_health_of_all_queues_is_not_told_twice_to_machines() -> None:
    stream = lines("json")
    logs.get().info("queues.health", queues={"email": {"waiting": 3}}, labels={"email": "Email"})
    assert list(only(stream)) == ["timestamp", "level", "event", "queues"]


def test_an_unexpected_error_brings_its_traceback() -> None:
    stream = lines("json")
    try:
        raise KeyError("missing")
    except KeyError as error:
        logs.get().error("job.failed", exc_info=error)
    assert "KeyError: 'missing'" in only(stream)["exception"]


@pytest.mark.parametrize("field", ["data", "payload", "password", "html", "to", "attachments"])
def test_payloads_and_secrets_are_withheld_by_name(field: str) -> None:
    stream = lines("json")
    logs.get().info("job.started", **{field: {"userName": "Ada"}})
    assert only(stream)[field] == "[withheld]"


def test_known_secrets_passwords_in_urls_addresses_and_access_keys_are_masked_wherever_they_stand() -> None:
    stream = lines("json", "s3cret-pass")
    said = "redis://kayan:hunter2@redis:6379 refused s3cret-pass of ada@example.com with AKIAIOSFODNN7EXAMPLE"
    logs.get().error("queue.warning", message=said, error=ValueError("s3cret-pass again"))
    event = only(stream)
    assert event["message"] == "redis://***@redis:6379 refused *** of <address> with ***"
    assert event["error"] == "ValueError: *** again"


def test_what_a_producer_wrote_forges_no_line_for_people_and_no_traceback_obeys_it() -> None:
    stream = lines("text")
    error = "gone\n12:00:00 email 8 completed\x1b[2J"
    logs.get().error("job.failed", queue="email", job_id="7\n8", attempt=1, error=error, exception="Trace\n  line\x9b2J")
    logs.get().info("some.event", job_id="7\n8", more={"a": "\x1b"})
    said = stream.getvalue().splitlines()
    assert [line.partition(" ")[2] for line in said] == [
        r"❌ email 7\n8 failed for good (attempt 1): gone\n12:00:00 email 8 completed\x1b[2J", "   Trace", r"     line\x9b2J",
        r"   some.event job_id=7\n8 more={'a': '\x1b'}",
    ]  # fmt: skip


def test_a_long_text_is_cut() -> None:
    stream = lines("json")
    logs.get().error("job.failed", error="x" * 5_000_000)
    assert len(only(stream)["error"]) < 2_100


def test_a_librarys_warning_comes_out_as_an_event() -> None:
    stream = lines("json")
    logging.getLogger("botocore.retries").warning("slow %s", "bucket")
    event = only(stream)
    assert (event["event"], event["library"], event["message"]) == ("library.warning", "botocore.retries", "slow bucket")


def test_what_is_no_json_is_written_as_text() -> None:
    stream = lines("json")
    logs.get().info("worker.started", roles={"email"}, where=object)
    assert "class" in only(stream)["where"]


def test_a_worker_goes_on_when_nobody_reads_its_lines_any_more() -> None:
    reader, writer = os.pipe()
    stream = os.fdopen(writer, "w")
    logs.configure(stream=stream)
    os.close(reader)
    logs.get().info("job.started", job_id="x" * 10_000)
    logs.get().info("job.completed", job_id="1")


def test_logging_does_not_load_rich() -> None:
    script = "import sys, kayan_workers.logs as logs; logs.configure(form='text'); assert 'rich' not in sys.modules; import rich"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("ms", "text"),
    [(3, "3 ms"), (999, "999 ms"), (1500, "1.5 s"), (2000, "2 s"), (184_000, "3 min 4 s"), (7_380_000, "2 h 3 min")],
)
def test_durations_are_told_in_the_unit_that_fits(ms: float, text: str) -> None:
    assert logs.duration(ms) == text
