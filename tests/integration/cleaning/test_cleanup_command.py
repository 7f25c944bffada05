"""``kayan cleanup``: what would go, shown to a person or a machine; and a cleanup that a worker runs, as its operator sees it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest
from app import App, as_role, owner_of
from at_work import queue_at
from integration.cleaning.tidying import YESTERDAY, pending
from kayan import kayan, worker
from kayan_workers.storage import FolderStorage
from redis.asyncio import Redis
from waiting import wait_until

Cleanup = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def settings(database_url: str, storage: FolderStorage) -> dict[str, str]:
    """All that a dry run needs: no Redis."""
    return {"DATABASE_URL": database_url, "KAYAN_STORAGE": f"folder:{storage.root}"}


@pytest.fixture
def look(settings: dict[str, str]) -> Cleanup:
    """``kayan cleanup ARGUMENTS --dry-run``; fails the test when the exit code is another than ``code``."""

    def look(*arguments: str, code: int = 0, **variables: str) -> CompletedProcess[str]:
        done = kayan("cleanup", *arguments, "--dry-run", variables=settings | variables)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return look


def test_a_person_sees_what_would_go_why_how_old_it_is_and_how_much_it_weighs(app: App, look: Cleanup, storage: FolderStorage) -> None:
    # of now: YESTERDAY is by as much older as these tests have run for
    yesterday = (datetime.now(UTC) - timedelta(hours=25)).replace(tzinfo=None)
    app.variant(app.asset(isArchived=True), id="v1", fileKey="variants/a.jpg", fileSize=12345, createdAt=yesterday)
    storage.upload(b"x", "variants/a.jpg", "image/jpeg")

    lines = look("old-variants").stdout.splitlines()

    assert lines[0].split() == ["what", "id", "reason", "age", "bytes"]
    assert re.split(r"  +", lines[2]) == ["variant", "v1", "its asset is archived", "25 h", "12345"]
    assert lines[-1] == "OLD_VARIANTS: 1 would go (variant 1), 0 kept, 1 examined. Nothing was touched"
    assert app.rows("asset_variants", "id") == ["v1"]
    assert storage.exists("variants/a.jpg")


def test_a_machine_gets_json_and_a_limit_bounds_the_list_and_not_the_count(app: App, look: Cleanup) -> None:
    abandoned = [pending(app) for _ in range(3)]

    found = json.loads(look("temp-files", "--json", "--limit", "2").stdout)

    assert (found["type"], found["dryRun"], found["removed"], found["kept"]) == ("TEMP_FILES", True, 3, 0)
    assert [(each["what"], each["id"], each["reason"]) for each in found["listed"]] == [
        ("asset", asset, "its upload never arrived") for asset in abandoned[:2]
    ]  # fmt: skip
    assert "2 more are not listed" in look("temp-files", "--limit", "1").stdout
    assert app.rows("assets", "id") == abandoned


def test_with_nothing_to_remove_there_is_no_table(app: App, look: Cleanup) -> None:
    assert look("expired-links").stdout == "EXPIRED_LINKS: 0 would go, 0 kept, 0 examined. Nothing was touched\n"


def test_nothing_personal_is_shown(app: App, look: Cleanup) -> None:
    user = app.user(email="layla@example.com", name="Layla")
    app.insert("search_history", query="the secret booth", userId=user, createdAt="2020-01-01")
    link = app.share_link(app.asset(), createdById=user)
    app.insert("share_link_access", shareLinkId=link, accessType="VIEW", ipAddress="192.0.2.7", createdAt="2020-01-01")
    days = {"KAYAN_RETENTION_SEARCH_HISTORY_DAYS": "90", "KAYAN_RETENTION_SHARE_LINK_ACCESS_DAYS": "90"}

    for form in ((), ("--json",)):
        said = look("retention", *form, **days).stdout
        assert "search" in said
        assert "share link access" in said
        assert not re.search(r"layla|secret|192\.0\.2", said, re.IGNORECASE)


def test_a_kind_that_is_switched_off_can_be_looked_at_and_says_so(look: Cleanup) -> None:
    said = look("orphaned-objects").stdout
    assert "ORPHANED_OBJECTS is switched off: a job of it fails until KAYAN_CLEANUP_ORPHANED_OBJECTS=on" in said
    assert "switched off" not in look("orphaned-objects", KAYAN_CLEANUP_ORPHANED_OBJECTS="on").stdout


def test_a_dry_run_that_cannot_be_made_says_what_is_missing(look: Cleanup, settings: dict[str, str], run_redis: dict[str, str]) -> None:
    assert "set one of KAYAN_RETENTION_" in look("retention", code=1).stderr
    assert "DATABASE_URL is not set" in look("temp-files", code=2, DATABASE_URL="").stderr
    assert "AWS_S3_BUCKET is not set" in look("temp-files", code=2, KAYAN_STORAGE="").stderr
    assert "Connection refused" in look("temp-files", code=1, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none").stderr
    assert "do not go with it" in look("temp-files", "--again", code=2).stderr
    done = kayan("cleanup", "temp-files", "--json", variables=run_redis)
    assert (done.returncode, done.stderr) == (2, "kayan: --json belongs to --dry-run\n")


@pytest.fixture
def run_redis(redis_url: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url}


async def test_every_kind_is_queued_once_per_slot(redis_url: str, redis: Redis) -> None:
    for kind, slot in (("orphaned-objects", r"\d{4}-W\d\d"), ("retention", r"\d{4}-\d\d-\d\d"), ("temp-files", r"\d{4}-\d\d-\d\dT\d\d")):
        said = kayan("cleanup", kind, variables={"REDIS_URL": redis_url}).stdout
        wire = kind.upper().replace("-", "_")
        assert re.fullmatch(rf"cleanup-{wire}-{slot}: queued\n", said)
        assert await redis.hget(f"bull:cleanup:{said.partition(':')[0]}", "data") == json.dumps({"type": wire}, separators=(",", ":"))


def test_the_help_tells_which_schedule_suits_each_kind() -> None:
    said = re.sub(r"\s+", " ", kayan("cleanup", "--help", variables={}).stdout)
    assert "temp-files hourly" in said
    assert "orphaned-objects weekly" in said


async def test_a_worker_tells_its_log_the_job_and_the_database_what_it_removed(
    app: App, redis_url: str, settings: dict[str, str], storage: FolderStorage
) -> None:
    link = app.share_link(app.asset(), expiresAt=YESTERDAY)
    variables = settings | {"REDIS_URL": redis_url, "POD_NAME": "cleaner-1"}
    with worker("cleanup", variables=variables) as running:
        async with queue_at(redis_url, "cleanup") as queue:
            dry = await queue.add({"type": "EXPIRED_LINKS", "data": {"dryRun": True}})
            running.wait_for("job.completed", job_id=dry.id)
            job = await queue.add({"type": "EXPIRED_LINKS"})
            off = await queue.add({"type": "STUCK_ASSETS"})
            running.wait_for("job.completed", job_id=job.id)
            failed = running.wait_for("job.failed", job_id=off.id)
            [rehearsed, told] = running.events("cleanup.ended")
            value, rows = await _outcome(queue, dry.id)
            logged = (await queue.logs(job.id)).rows

    assert (rehearsed["job_id"], rehearsed["dry_run"], rehearsed["removed"]) == (dry.id, True, 1)
    assert (told["job_id"], told["queue"], told["attempt"], told["type"], told["dry_run"]) == (job.id, "cleanup", 1, "EXPIRED_LINKS", False)
    assert (told["examined"], told["removed"], told["kept"], told["bytes"]) == (1, 1, 0, 0)
    assert told["duration_ms"] >= 0
    assert told["cutoffs"]["share link"].startswith("20")
    assert (value["dryRun"], value["removed"], value["listed"][0]["id"]) == (True, 1, link)
    assert rows[-1].startswith(f"share link {link} would go: expired, since 20")
    assert logged[0].startswith("EXPIRED_LINKS: 1 removed (share link 1)")
    assert failed["permanent"] is True
    assert "set KAYAN_CLEANUP_STUCK_ASSETS=on" in failed["error"]
    found = app.connection.execute("SELECT pod, job_id, removed, listed -> 0 ->> 'id' FROM kayan_workers.cleanups").fetchall()
    assert found == [("cleaner-1", job.id, 1, link)]


async def _outcome(queue: Any, job_id: str) -> tuple[dict[str, Any], list[str]]:
    async def logged() -> list[str]:
        rows: list[str] = (await queue.logs(job_id)).rows
        return rows if len(rows) > 1 else []

    rows = await wait_until(logged, what="the job's log")
    job = await queue.get_job(job_id)
    value = job.return_value
    return (json.loads(value) if isinstance(value, str) else value), rows


def test_check_asks_for_the_rights_that_retentions_and_switches_need_and_for_no_more(
    app: App, database_url: str, lesser_role: str, settings: dict[str, str], redis_url: str
) -> None:
    app.connection.execute(f"GRANT USAGE ON SCHEMA public TO {lesser_role}")  # type: ignore[arg-type]
    app.connection.execute(f"GRANT USAGE, CREATE ON SCHEMA kayan_workers TO {lesser_role}")  # type: ignore[arg-type]
    tables = "assets, asset_variants, asset_share_links, asset_analytics, invitations"
    app.connection.execute(f"GRANT SELECT, UPDATE, DELETE ON {tables} TO {lesser_role}")  # type: ignore[arg-type]
    app.connection.execute("DROP TABLE asset_external_links")  # which an app may lack
    variables = settings | {"DATABASE_URL": as_role(database_url, lesser_role), "REDIS_URL": redis_url}

    def said(**more: str) -> dict[str, Any]:
        found = json.loads(kayan("check", "cleanup", "--json", variables=variables | more).stdout)
        return next(finding for finding in found if finding["name"] == "PostgreSQL")

    assert said()["verdict"] == "ok"
    app.connection.execute(f"REVOKE UPDATE ON invitations FROM {lesser_role}")  # type: ignore[arg-type]
    assert said()["says"].endswith("lacks UPDATE on invitations")
    assert 'GRANT UPDATE ("status", "updatedAt") ON "public"."invitations"' in said()["remedy"]
    app.connection.execute(f'GRANT UPDATE (status) ON invitations TO {lesser_role}')  # type: ignore[arg-type]
    assert said()["verdict"] == "failed"  # not yet all of its columns
    assert said(KAYAN_CLEANUP_EXPIRED_INVITATIONS="off")["verdict"] == "ok"
    app.connection.execute("DROP TABLE invitations")
    lacking = said(KAYAN_RETENTION_SEARCH_HISTORY_DAYS="90")
    assert lacking["says"].endswith("lacks DELETE, SELECT, UPDATE on search_history")
    with psycopg.connect(owner_of(database_url), autocommit=True) as owner:
        owner.execute(lacking["remedy"].partition(" run: ")[2])
    assert said(KAYAN_RETENTION_SEARCH_HISTORY_DAYS="90")["verdict"] == "ok"


def test_a_dry_run_leaves_no_folder_behind(look: Cleanup, tmp_path: Path) -> None:
    temp = tmp_path / "scratch"
    temp.mkdir()
    look("temp-files", KAYAN_TEMP_DIR=str(temp))
    assert list(temp.iterdir()) == []


def test_a_dry_run_lists_the_temporary_files_of_this_machine_and_leaves_them(look: Cleanup, tmp_path: Path) -> None:
    temp = tmp_path / "scratch"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, used = temp / f"kayan-{dead.pid}-x", temp / f"kayan-{os.getpid()}-y"
    for file in (left / "media-1/source.mov", used / "media-2/source.mov", used / "media-3/source.mov", temp / "others/source.mov"):
        file.parent.mkdir(parents=True)
        file.write_bytes(b"film")
    for path in (used / "media-2/source.mov", used / "media-2"):
        os.utime(path, (time.time() - 25 * 3600,) * 2)

    found = json.loads(look("temp-files", "--json", KAYAN_TEMP_DIR=str(temp)).stdout)
    bounded = look("temp-files", "--limit", "1", KAYAN_TEMP_DIR=str(temp)).stdout

    assert [(each["id"], each["reason"], each["bytes"]) for each in found["listed"]] == [
        (left.name, "its process is gone, and the next one here removes it", 4),
        (f"{used.name}/media-2", "nobody has touched it for a day", 4),
    ]
    assert found["notes"] == ["temporary files are looked for on this machine alone: every worker removes its own"]
    assert "1 more are not listed" in bounded
    assert "TEMP_FILES: 2 would go (temporary file 2)" in bounded
    assert len(list(temp.rglob("source.mov"))) == 4
