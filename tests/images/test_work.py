"""Each image does the work of its queues, as locked down as in the cluster, on real servers."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import pytest
from app import app_of
from at_work import queue_at
from boxes import QUEUES, Surroundings, at_work, docker, run, run_to_its_end
from kayan import kayan
from kayan_workers.bull.queue import Queue
from kayan_workers.cli.adding import APP_OPTIONS
from kayan_workers.processors.table import ROLES
from PIL import Image
from servers import S3Server
from waiting import wait_until

KEY = "assets/2025/11/V1StGXR8_Z-Booth_render.jpg"


@pytest.fixture
def picture(s3: S3Server) -> str:
    """The key of a JPEG that somebody has uploaded."""
    content = io.BytesIO()
    Image.new("RGB", (1600, 1200), "teal").save(content, "JPEG")
    s3.client.put_object(Bucket=s3.bucket, Key=KEY, Body=content.getvalue())
    return KEY


async def queued(redis_url: str, jobs: Mapping[str, dict[str, Any]]) -> None:
    for name, data in jobs.items():
        async with queue_at(redis_url, name, defaults=APP_OPTIONS) as queue:
            await queue.add(data)


def file_job(asset: str, key: str) -> dict[str, Any]:
    return {"assetId": asset, "fileKey": key, "fileType": "IMAGE", "mimeType": "image/jpeg", "originalFilename": "Booth render.jpg"}


async def test_the_media_image_reads_pictures_and_copies_a_photo(
    image: Callable[[str], str], surroundings: Surroundings, redis_url: str, database_url: str, s3: S3Server, picture: str
) -> None:
    with app_of(database_url) as app, at_work(image("media"), surroundings) as (running, _):
        asset = app.asset(fileKey=picture)
        source = file_job(asset, picture)
        await queued(redis_url, {
            "asset-processing": source, "thumbnail-generation": source, "variant-generation": source | {"variants": ["PREVIEW", "MOBILE"]},
        })  # fmt: skip
        running.wait_for("job.completed", count=3, timeout=60)

        [(width, height, status, thumbnail)] = app.rows("assets", "width", "height", "processingStatus", "thumbnailKey")
        assert (width, height, status) == (1600, 1200, "COMPLETED")
        assert app.rows("asset_metadata", "assetId") == [asset]
        assert app.rows("asset_variants", "variantType", "status") == [("PREVIEW", "COMPLETED"), ("MOBILE", "COMPLETED")]
        assert {picture, thumbnail, *app.rows("asset_variants", "fileKey")} == set(s3.keys())


async def test_the_messaging_image_sends_a_mail_and_writes_a_notification(
    image: Callable[[str], str], surroundings: Surroundings, redis_url: str, database_url: str
) -> None:
    with app_of(database_url) as app, at_work(image("messaging"), surroundings) as (running, box):
        user = app.user()
        await queued(redis_url, {
            "email": {"to": "lead@example.com", "subject": "Hello", "template": "follow-up-email", "data": {"html": "Hi", "text": "Hi"}},
            "notification": {"userId": user, "type": "TASK_ASSIGNED", "title": "New", "message": "You have work"},
        })  # fmt: skip
        running.wait_for("job.completed", count=2, timeout=30)

        sent = docker("exec", box, "python", "-c", "import pathlib; print(*(f.read_text() for f in pathlib.Path('/tmp/outbox').iterdir()))")
        assert "To: lead@example.com" in sent
        assert app.rows("notifications", "userId", "title") == [(user, "New")]


async def test_the_analytics_image_counts_a_view(
    image: Callable[[str], str], surroundings: Surroundings, redis_url: str, database_url: str
) -> None:
    with app_of(database_url) as app, at_work(image("analytics"), surroundings) as (running, _):
        user = app.user()
        asset = app.asset()
        await queued(redis_url, {
            "analytics": {"type": "ASSET_VIEW", "assetId": asset, "userId": user, "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"},
        })  # fmt: skip
        running.wait_for("job.completed", timeout=30)

        assert app.rows("asset_analytics", "assetId", "views") == [(asset, 1)]


async def test_the_maintenance_image_queues_and_runs_a_cleanup(
    image: Callable[[str], str], surroundings: Surroundings, database_url: str, s3: S3Server
) -> None:
    with app_of(database_url) as app, at_work(image("maintenance"), surroundings) as (running, _):
        link = app.share_link(app.asset(), expiresAt="2025-01-01", isActive=True)
        run(image("maintenance"), "cleanup", "expired-links", options=surroundings.options)
        running.wait_for("job.completed", timeout=30)

        assert app.rows("asset_share_links", "id", "isActive") == [(link, False)]


@pytest.mark.parametrize("family", QUEUES)
def test_an_image_has_all_that_its_queues_need_by_the_word_of_check(
    family: str, image: Callable[[str], str], surroundings: Surroundings
) -> None:
    said = run(image(family), "check", family, options=surroundings.options)

    assert "❌" not in said
    assert f"complete for {', '.join(role.name for role in ROLES if role.family == family)}\n" in said


def test_codecs_are_held_in_a_container_by_all_that_this_kernel_has(image: Callable[[str], str]) -> None:
    outside = kayan("check", "thumbnail", "--json", variables={}).stdout
    inside = run_to_its_end(image("media"), "check", "thumbnail", "--json").stdout

    assert isolation(inside) == isolation(outside)


def isolation(said: str) -> tuple[str, str]:
    [finding] = [finding for finding in json.loads(said) if finding["name"] == "isolation"]
    return finding["verdict"], finding["says"]


async def test_docker_stop_lets_a_running_job_finish_and_leaves_the_rest_in_line(
    image: Callable[[str], str], surroundings: Surroundings, redis_url: str, database_url: str, picture: str
) -> None:
    """The job runs as long as the test holds the row that it writes last."""
    with app_of(database_url) as app, psycopg.connect(database_url) as holder:
        asset = app.asset(fileKey=picture)
        holder.execute("SELECT 1 FROM assets WHERE id = %s FOR UPDATE", [asset])
        with at_work(image("media"), surroundings, "worker", "thumbnail", "--concurrency", "1") as (running, box):
            async with queue_at(redis_url, "thumbnail-generation", defaults=APP_OPTIONS) as queue:
                first = await queue.add(file_job(asset, picture))
                running.wait_for("job.started")
                await queue.add(file_job(asset, picture))
                with subprocess.Popen(["docker", "stop", "--time", "40", box], stdout=subprocess.DEVNULL) as stopping:
                    running.wait_for("worker.draining")
                    holder.commit()
                    assert running.exit_code(40) == 0
                assert stopping.returncode == 0
                assert running.ids("job.completed") == [first.id]
                assert running.events("job.stalled") == []
                assert await in_states(queue) == {"completed": 1, "waiting": 1}
        assert app.rows("assets", "thumbnailKey") != [None]


async def test_docker_stop_ends_what_is_no_worker_yet_at_once(image: Callable[[str], str], surroundings: Surroundings) -> None:
    """The kernel keeps from a container's first process what it does not listen to, and a pod may be deleted while it starts."""
    with at_work(image("messaging"), surroundings, "queues", "--watch") as (running, box):
        await wait_until(lambda: "notification" in running.output(), 20, what="the command has begun")
        docker("stop", "--time", "10", box)

        assert running.exit_code(10) == 128 + signal.SIGTERM


async def in_states(queue: Queue) -> dict[str, int]:
    return {state: count for state, count in dataclasses.asdict(await queue.counts()).items() if count}


def test_a_wrong_environment_ends_the_container_with_2_and_names_every_variable(image: Callable[[str], str]) -> None:
    ended = run_to_its_end(image("messaging"), options=["--env", "LOG_LEVEL=loud"])

    assert ended.returncode == 2
    assert "DATABASE_URL" in ended.stderr
    assert "LOG_LEVEL" in ended.stderr


async def test_the_image_starts_its_familys_worker_by_itself_with_lines_for_machines(
    image: Callable[[str], str], surroundings: Surroundings
) -> None:
    with at_work(image("messaging"), surroundings) as (running, box):
        started = running.wait_for("worker.started")

        assert sorted(started["roles"]) == ["email", "notification"]
        assert running.output().startswith("{")
        pid_1 = docker("exec", box, "python", "-c", "print(open('/proc/1/cmdline').read().split('\\0')[0])")
        assert pid_1.strip() == "/venv/bin/python"


