"""Work for a release: jobs as the web app's Bull adds them, and a film that takes its time."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import imageio_ffmpeg
from botocore.config import Config
from cluster.release import Release
from redis import Redis
from wire.peer import NodePeer

BUCKET = "kayan-demo"


@contextlib.asynccontextmanager
async def producer(release: Release, *queues: str) -> AsyncIterator[NodePeer]:
    """Bull itself, outside of the cluster, with these queues open."""
    with release.redis_url() as url:
        node = await NodePeer(url).start()
        try:
            for queue in queues:
                await node.open(queue)
            yield node
        finally:
            await node.stop()


async def add_many(node: NodePeer, queue: str, payloads: Sequence[Any]) -> list[str]:
    """Ids of the jobs, which stay in Redis when they are done."""
    options = {"attempts": 3, "backoff": {"type": "exponential", "delay": 2000}}
    jobs = await node.call(queue, "addBulk", [{"data": payload, "opts": options} for payload in payloads])
    return [str(job["id"]) for job in jobs]


def mails(count: int) -> list[dict[str, Any]]:
    return [
        {"to": f"lead{number}@example.com", "subject": "Hello", "template": "", "data": {"html": f"Hi {number}", "text": f"Hi {number}"}}
        for number in range(count)
    ]


@contextlib.contextmanager
def store(release: Release) -> Iterator[Any]:
    """A client of the release's object store."""
    with release.namespace.forwarded(f"service/{release.name}-demo-s3", 7070) as address:
        yield boto3.client(
            "s3", endpoint_url=f"http://{address}", region_name="us-east-1", aws_access_key_id="kayan-demo",
            aws_secret_access_key=release.password(), config=Config(s3={"addressing_style": "path"}),
        )  # fmt: skip


FILM = {
    "assetId": "cfilm0000000000000000001", "fileKey": "assets/2026/01/filmfilmfi-film.mp4", "fileType": "VIDEO", "mimeType": "video/mp4",
    "originalFilename": "film.mp4", "variants": ["THUMBNAIL", "PREVIEW", "WEB_OPTIMIZED", "MOBILE"],
}  # fmt: skip
"""The payload of the job that makes four copies of ``upload_film``."""


def upload_film(release: Release, folder: Path, seconds: int) -> None:
    """As the app would have stored it. Its copies take about as long as it lasts."""
    file = folder / "film.mp4"
    picture = f"testsrc2=size=1280x720:rate=30:duration={seconds}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", picture, "-preset", "ultrafast", str(file)]
    subprocess.run(command, check=True, timeout=120)
    with store(release) as client:
        client.upload_file(str(file), BUCKET, FILM["fileKey"])
    with release.database() as connection:
        connection.execute(
            """INSERT INTO assets (id, name, type, "fileName", "originalName", "fileSize", "mimeType", "updatedAt", "fileKey", "uploadedBy")
               SELECT %s, 'film.mp4', 'VIDEO', 'film.mp4', 'film.mp4', %s, 'video/mp4', now(), %s, id FROM "User" LIMIT 1""",
            (FILM["assetId"], file.stat().st_size, FILM["fileKey"]),
        )


def pictures(release: Release, count: int) -> list[dict[str, Any]]:
    """Payloads of thumbnails of the demo's pictures, again and again."""
    with release.database() as connection:
        rows = connection.execute(
            """SELECT id, "fileKey", type::text, "mimeType", "originalName" FROM assets
               WHERE "originalName" IN ('Stand photo.jpg', 'logo.png', 'render.webp') ORDER BY id"""
        ).fetchall()
    names = ("assetId", "fileKey", "fileType", "mimeType", "originalFilename")
    return [dict(zip(names, rows[number % len(rows)], strict=True)) for number in range(count)]


def job(redis: Redis, queue: str, job_id: str) -> dict[str, str]:
    """A job's hash."""
    return dict(redis.hgetall(f"bull:{queue}:{job_id}"))


def not_completed(redis: Redis, queue: str, job_ids: Sequence[str]) -> dict[str, str]:
    """Those of the jobs that are not completed, and why they failed."""
    completed = set(redis.zrange(f"bull:{queue}:completed", 0, -1))
    return {job_id: job(redis, queue, job_id).get("failedReason", "not finished") for job_id in job_ids if job_id not in completed}


def holder(redis: Redis, queue: str, job_id: str) -> str:
    """The name of the pod that works a job, out of its lock; empty when nobody does."""
    token = redis.get(f"bull:{queue}:{job_id}:lock")
    return str(token or "").partition("/")[0]


def stalled(redis: Redis, queue: str, job_ids: Sequence[str]) -> list[str]:
    """The jobs whose worker died with them, by Bull's own count."""
    with redis.pipeline() as pipeline:
        for job_id in job_ids:
            pipeline.hget(f"bull:{queue}:{job_id}", "stalledCounter")
        return [job_id for job_id, count in zip(job_ids, pipeline.execute(), strict=True) if int(count or 0)]
