"""While its database, its bucket or SES cannot be used, a worker takes no jobs for it: none is lost to an outage or a wrong password."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
import ses_server
from app import app_of, owner_of
from at_work import queue_at
from kayan import WorkerProcess, worker
from kayan_workers.bull.keys import fence
from kayan_workers.bull.options import Backoff, JobOptions
from kayan_workers.bull.queue import Queue
from password import RoleWithPassword, role_with_password
from PIL import Image
from proxy import Proxy
from redis.asyncio import Redis
from secret import mount, swap
from servers import S3Server
from ses_server import Refusal, SesServer
from waiting import wait_until

THREE = JobOptions(attempts=3, backoff=Backoff(type="fixed", delay_ms=1500))
MAIL = {"to": "ada@example.com", "subject": "Hello", "data": {"text": "Hi"}}


@pytest.fixture
def role(database_url: str) -> Iterator[RoleWithPassword]:
    with role_with_password(owner_of(database_url)) as role:
        yield role


@pytest.fixture
def ses() -> Iterator[SesServer]:
    with ses_server.running() as server:
        yield server


def settings(redis_url: str, database_url: str, folder: Path, **more: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "KAYAN_MAIL": f"outbox:{folder / 'outbox'}", **more}


def through_ses(redis_url: str, database_url: str, endpoint: str, **more: str) -> dict[str, str]:
    """Settings of a worker that sends mails in earnest; without keys, unless ``more`` has some."""
    return {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "AWS_ENDPOINT_URL_SES": endpoint, "AWS_SES_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", "CONCURRENCY_EMAIL": "2"} | more  # fmt: skip


KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test"}


async def add_mails(queue: Queue, count: int) -> None:
    await queue.add_bulk([{"data": MAIL, "options": THREE} for _ in range(count)])


async def said(running: WorkerProcess, name: str, *, count: int = 1, timeout: float = 40, **fields: Any) -> dict[str, Any]:
    """As ``wait_for``, while this loop turns: a proxy may live on it."""

    def found() -> Sequence[dict[str, Any]]:
        return [event for event in running.events(name) if fields.items() <= event.items()]

    await wait_until(lambda: len(found()) >= count, timeout, what=f"{count} {name} {fields}")
    return found()[-1]


async def all_wait(queue: Queue, count: int) -> None:
    """Those whose attempt was under way have failed it and wait again, like the others."""

    async def do_they() -> bool:
        counts = await queue.counts()
        return (counts.waiting, counts.active, counts.delayed, counts.failed) == (count, 0, 0, 0)

    await wait_until(do_they, 60, what=f"{count} jobs wait")


async def attempts_lost(queue: Queue) -> list[int]:
    return sorted((job.attempts_made for job in await queue.jobs("waiting")), reverse=True)


async def completed(queue: Queue, count: int, timeout: float = 40) -> None:
    async def are_they() -> bool:
        return (await queue.counts()).completed == count

    await wait_until(are_they, timeout, what=f"{count} jobs completed")


async def test_with_a_wrong_password_jobs_wait_and_keep_their_attempts_until_the_server_knows_it(
    redis_url: str, role: RoleWithPassword, tmp_path: Path
) -> None:
    variables = settings(redis_url, role.at("right-some-day"), tmp_path, CONCURRENCY_EMAIL="2")
    async with queue_at(redis_url, "email") as queue:
        await add_mails(queue, 12)
        with worker("email", variables=variables) as running:
            held = running.wait_for("worker.holding")
            assert (held["level"], held["roles"], held["edge"]) == ("warning", ["email"], "database")
            assert "password authentication failed" in held["error"]
            await all_wait(queue, 12)
            assert await attempts_lost(queue) == [0] * 12, "it took some before it knew"
            assert 'kayan_worker_holding{queue="email"} 1.0' in running.get("/metrics")[1]
            assert 'kayan_worker_edge_usable{edge="database"} 0.0' in running.get("/metrics")[1]
            assert "password authentication failed" in running.get("/readyz")[1]
            assert running.get("/healthz")[0] == 200
            assert len(await queue.workers()) == 1
            role.change_password("right-some-day")
            assert running.wait_for("worker.released", timeout=30)["roles"] == ["email"]
            await completed(queue, 12)
            assert running.events("job.failed") == []
            assert [len(running.events(name)) for name in ("worker.holding", "worker.released", "database.usable")] == [1, 1, 1]
            assert 'kayan_worker_holding{queue="email"} 0.0' in running.get("/metrics")[1]
            assert 'kayan_worker_edge_usable{edge="database"} 1.0' in running.get("/metrics")[1]


async def test_no_job_fails_for_good_although_an_outage_outlasts_all_its_attempts(redis_url: str, database_url: str) -> None:
    with app_of(database_url) as app:
        asset = app.asset()
    with psycopg.connect(database_url) as connection:
        info = connection.info
        host, port, user, password, name = info.host, info.port, info.user, quote(info.password or "x"), info.dbname
    view = {"type": "ASSET_VIEW", "assetId": asset, "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"}
    jobs: list[dict[str, Any]] = [{"data": view, "options": THREE} for _ in range(10)]
    async with Proxy(port, host) as proxy, queue_at(redis_url, "analytics") as queue:
        variables = settings(redis_url, f"postgresql://{user}:{password}@127.0.0.1:{proxy.port}/{name}", Path())
        with worker("analytics", "--concurrency", "2", variables=variables) as running, psycopg.connect(owner_of(database_url)) as blocking:
            await queue.add_bulk(jobs)
            await completed(queue, 10)
            blocking.execute("LOCK TABLE asset_analytics")
            await queue.add_bulk(jobs)
            await said(running, "job.started", count=20)
            proxy.refusing = True
            proxy.cut_all()
            failed = await said(running, "job.retried")
            held = await said(running, "worker.holding")
            blocking.rollback()
            await queue.add_bulk(jobs)
            await all_wait(queue, 20)
            assert await attempts_lost(queue) == [1] * 10 + [0] * 10
            assert _seconds(held) - _seconds(failed) < 5, "the job's trouble was reason enough to look"
            proxy.refusing = False
            await said(running, "worker.released")
            await completed(queue, 30)
            assert running.events("job.failed") == []
    with app_of(database_url) as app:
        assert app.rows("asset_analytics", "views") == [30]


def _seconds(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["timestamp"]).timestamp()


async def test_a_worker_that_may_log_in_has_each_job_at_once_although_another_may_not(
    redis_url: str, role: RoleWithPassword, tmp_path: Path
) -> None:
    wrong, right = settings(redis_url, role.at("no"), tmp_path), settings(redis_url, role.at(), tmp_path)
    with worker("email", variables=wrong | {"POD_NAME": "wrong"}) as held, worker("email", variables=right | {"POD_NAME": "right"}) as fine:
        held.wait_for("worker.holding")
        fine.wait_for("redis.connected")
        async with queue_at(redis_url, "email") as queue:
            for number in range(1, 6):
                job = await queue.add(MAIL)
                await queue.finished(job.id, timeout=15 if number == 1 else 3)  # the first one loads the processor
        assert held.events("job.started") == []
        fine.wait_for("job.completed", count=5)


async def test_a_role_that_needs_no_bucket_works_on_without_one_and_the_others_jobs_wait_for_it(
    redis_url: str, database_url: str, s3: S3Server, tmp_path: Path
) -> None:
    key, picture = "assets/2025/11/V1StGXR8_Z-plan.png", tmp_path / "plan.png"
    Image.new("RGB", (300, 200), "teal").save(picture)
    s3.client.upload_file(str(picture), s3.bucket, key)
    with app_of(database_url) as app:
        asset = app.asset(fileKey=key)
    job = {"assetId": asset, "fileKey": key, "fileType": "IMAGE", "mimeType": "image/png"}
    view = {"type": "ASSET_VIEW", "assetId": asset, "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"}
    variables = settings(redis_url, database_url, tmp_path, AWS_S3_BUCKET=s3.bucket, AWS_ENDPOINT_URL_S3=s3.endpoint,
                         AWS_ACCESS_KEY_ID=s3.access_key, AWS_SECRET_ACCESS_KEY=s3.secret_key)  # fmt: skip
    async with queue_at(redis_url, "thumbnail-generation") as thumbnails, queue_at(redis_url, "analytics") as analytics:
        with worker("thumbnail", "analytics", "--concurrency", "2", variables=variables) as running:
            await thumbnails.add(job)
            await completed(thumbnails, 1)
            s3.remove_bucket()
            await thumbnails.add_bulk([{"data": job, "options": THREE}] * 6)
            held = running.wait_for("worker.holding")
            assert (held["roles"], held["edge"], "NoSuchBucket" in held["error"]) == (["thumbnail"], "storage", True)
            await all_wait(thumbnails, 6)
            assert max(await attempts_lost(thumbnails)) <= 1
            await analytics.add(view)
            await completed(analytics, 1)
            metrics = running.get("/metrics")[1]
            assert 'kayan_worker_holding{queue="thumbnail-generation"} 1.0' in metrics
            assert 'kayan_worker_holding{queue="analytics"} 0.0' in metrics
            s3.client.create_bucket(Bucket=s3.bucket)
            s3.client.upload_file(str(picture), s3.bucket, key)
            assert running.wait_for("worker.released")["roles"] == ["thumbnail"]
            await completed(thumbnails, 7)
            assert running.events("job.failed") == []


async def test_a_worker_that_holds_leaves_begins_anew_and_works_with_corrected_settings(
    redis_url: str, role: RoleWithPassword, tmp_path: Path
) -> None:
    where = settings(redis_url, "", tmp_path)
    del where["DATABASE_URL"]
    secret = mount(tmp_path / "secret", DATABASE_URL=role.at("wrong-as-can-be"))
    with worker("email", variables=where | {"KAYAN_SETTINGS_DIR": str(secret), "KAYAN_GRACE_SECONDS": "20"}) as running:
        running.wait_for("worker.holding")
        running.signal(signal.SIGUSR2)
        running.wait_for("worker.holding", count=2)
        async with queue_at(redis_url, "email") as queue:
            await add_mails(queue, 3)
            swap(secret, DATABASE_URL=role.at())
            running.wait_for("settings.changed")
            await completed(queue, 3)
        assert running.events("job.retried") == []
        assert [event["exit_code"] for event in running.events("worker.stopped")] == [0, 0]
        swap(secret, DATABASE_URL=role.at("wrong-again"))
        running.wait_for("worker.holding", count=3)
        running.signal(signal.SIGTERM)
        assert running.exit_code(10) == 0


async def test_a_fenced_pod_that_holds_takes_nothing_when_it_is_released_and_goes_on_without_the_fence(
    redis_url: str, redis: Redis, role: RoleWithPassword, tmp_path: Path
) -> None:
    variables = settings(redis_url, role.at("right-some-day"), tmp_path, POD_NAME="email-7")
    with worker("email", variables=variables) as running:
        running.wait_for("worker.holding")
        await redis.set(fence("email-7"), "scale-in")
        async with queue_at(redis_url, "email") as queue:
            await add_mails(queue, 2)
            role.change_password("right-some-day")
            running.wait_for("worker.released", timeout=30)
            running.wait_for("queue.fenced")
            assert running.events("job.started") == []
            await redis.delete(fence("email-7"))
            await completed(queue, 2)


async def test_without_keys_for_ses_a_worker_says_so_at_once_takes_no_mails_and_works_its_other_queues(
    redis_url: str, database_url: str, ses: SesServer
) -> None:
    with app_of(database_url) as app:
        note = {"userId": app.user(), "type": "TASK_ASSIGNED", "title": "t", "message": "m"}
    with worker("messaging", variables=through_ses(redis_url, database_url, ses.url)) as running:
        said_why = running.wait_for("mail.unusable")["error"]
        assert said_why.startswith("SES in eu-central-1 cannot be used: Unable to locate credentials; set AWS_ACCESS_KEY_ID and AWS_")
        held = running.wait_for("worker.holding")
        assert (held["roles"], held["edge"]) == (["email"], "mail")
        status, body = running.get("/readyz")
        assert (status, json.loads(body)["problems"]) == (503, {"mail": said_why})
        assert running.get("/healthz")[0] == 200
        async with queue_at(redis_url, "email") as mails, queue_at(redis_url, "notification") as notes:
            await add_mails(mails, 3)
            await notes.add(note)
            await completed(notes, 1)
            await all_wait(mails, 3)
            assert await attempts_lost(mails) == [0, 0, 0]
        metrics = running.get("/metrics")[1]
        assert 'kayan_worker_holding{queue="email"} 1.0' in metrics
        assert 'kayan_worker_holding{queue="notification"} 0.0' in metrics


async def test_with_keys_that_ses_does_not_know_mails_wait_and_go_out_once_it_does(
    redis_url: str, database_url: str, ses: SesServer
) -> None:
    ses.refused_keys["AKIATEST"] = Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    async with queue_at(redis_url, "email") as queue:
        await add_mails(queue, 8)
        with worker("email", variables=through_ses(redis_url, database_url, ses.url, **KEYS)) as running:
            held = running.wait_for("worker.holding")
            assert held["error"].startswith("SES in eu-central-1 does not accept our credentials: InvalidClientTokenId: The security token")
            assert held["error"].endswith(
                "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the pod's role, AWS_SES_REGION and, if set, AWS_ENDPOINT_URL_SES"
            )
            await all_wait(queue, 8)
            assert max(await attempts_lost(queue)) <= 1
            assert sum(await attempts_lost(queue)) <= 2, "those that had begun when that was known"
            ses.refused_keys.clear()
            assert running.wait_for("worker.released", timeout=30)["roles"] == ["email"]
            await completed(queue, 8)
            assert running.events("job.failed") == []
            assert [len(running.events(name)) for name in ("mail.unusable", "worker.holding", "mail.usable")] == [1, 1, 1]
    assert len(ses.accepted) == 8


async def test_while_ses_is_out_of_reach_mails_wait_and_all_go_out_when_it_is_back(
    redis_url: str, database_url: str, ses: SesServer
) -> None:
    async with Proxy(urlsplit(ses.url).port or 0) as proxy, queue_at(redis_url, "email") as queue:
        variables = through_ses(redis_url, database_url, f"http://127.0.0.1:{proxy.port}", **KEYS, KAYAN_MAIL_SUPPRESSION="off")
        with worker("email", variables=variables) as running:
            await add_mails(queue, 2)
            await completed(queue, 2)
            proxy.refusing = True
            proxy.cut_all()
            await add_mails(queue, 1)
            failed = await said(running, "job.retried")
            held = await said(running, "worker.holding", edge="mail")
            assert _seconds(held) - _seconds(failed) < 5, "the mail's trouble was reason enough to look"
            assert "check the network, AWS_SES_REGION and, if set, AWS_ENDPOINT_URL_SES" in held["error"]
            await add_mails(queue, 10)
            await all_wait(queue, 11)
            assert await attempts_lost(queue) == [1] + [0] * 10
            proxy.refusing = False
            await said(running, "worker.released")
            await completed(queue, 13)
            assert running.events("job.failed") == []
    assert len(ses.accepted) == 13


async def test_a_role_that_may_not_ask_for_the_quota_is_ready_and_sends(redis_url: str, database_url: str, ses: SesServer) -> None:
    assert ses.quota is None, "so that it is refused"
    with worker("email", variables=through_ses(redis_url, database_url, ses.url, **KEYS)) as running:
        await wait_until(lambda: running.get("/readyz")[0] == 200, 20)
        assert ses.quota_asked == 1
        async with queue_at(redis_url, "email") as queue:
            await add_mails(queue, 2)
            await completed(queue, 2)
        assert running.get("/readyz")[0] == 200
        assert running.events("mail.unusable") == []


async def test_an_outbox_needs_no_keys(redis_url: str, database_url: str, ses: SesServer, tmp_path: Path) -> None:
    variables = through_ses(redis_url, database_url, ses.url, KAYAN_MAIL=f"outbox:{tmp_path / 'outbox'}")
    with worker("email", variables=variables) as running:
        await wait_until(lambda: running.get("/readyz")[0] == 200, 20)
    assert ses.quota_asked == 0


async def test_the_lines_are_readable_by_people(redis_url: str, tmp_path: Path) -> None:
    variables = settings(redis_url, "postgresql://nobody@127.0.0.1:1/none", tmp_path, LOG_FORMAT="text")
    with worker("messaging", variables=variables) as running:
        expected = "no more jobs for email, notification until the database can be used"
        await wait_until(lambda: expected in running.output(), 20, what="the line")
        assert "the database cannot be used: 127.0.0.1:1 cannot be reached" in running.output()


async def test_the_line_of_the_mail_service_is_readable_by_people(redis_url: str, database_url: str) -> None:
    with worker("email", variables=through_ses(redis_url, database_url, "http://127.0.0.1:1", **KEYS, LOG_FORMAT="text")) as running:
        expected = "no more jobs for email until the mail service can be used"
        await wait_until(lambda: expected in running.output(), 20, what="the line")
        assert "mails cannot be sent: SES in eu-central-1 cannot be used: Could not connect to the endpoint URL" in running.output()


async def test_a_right_that_is_missing_holds_nobody(redis_url: str, database_url: str, tmp_path: Path) -> None:
    """The server is there and lets us in: what one statement meets is its job's trouble."""
    with app_of(database_url) as app:
        asset = app.asset()
        user = psycopg.conninfo.conninfo_to_dict(database_url)["user"]
        app.connection.execute(f'REVOKE ALL ON asset_analytics FROM "{user}"')
        view = {"type": "ASSET_VIEW", "assetId": asset, "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"}
        with worker("analytics", variables=settings(redis_url, database_url, tmp_path)) as running:
            async with queue_at(redis_url, "analytics") as queue:
                await queue.add(view, options=THREE)
                assert "permission denied" in running.wait_for("job.failed")["error"]
            assert json.loads(running.get("/readyz")[1])["problems"] == {}
            assert running.events("worker.holding") == []
