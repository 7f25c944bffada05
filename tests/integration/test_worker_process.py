"""The real worker process: jobs as the web app adds them, signals, a wrong environment, a Redis that comes and goes."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from app import App, owner_of
from at_work import queue_at
from kayan import WorkerProcess, kayan, worker
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.queue import Queue
from kayan_workers.cli.adding import APP_OPTIONS
from kayan_workers.worker import ECHO_SECONDS
from PIL import Image
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from redis_process import RedisProcess
from servers import S3Server
from slow_worker import SlowWorker
from waiting import wait_until, wait_until_ready


@asynccontextmanager
async def app_queue(redis_url: str, name: str) -> AsyncIterator[Queue]:
    """A queue with the options that the web app gives every job."""
    async with queue_at(redis_url, name, defaults=APP_OPTIONS) as queue:
        yield queue


@pytest.fixture
def slow(tmp_path: Path) -> SlowWorker:
    return SlowWorker(tmp_path)


def variables(redis_url: str, database_url: str, tmp_path: Path) -> dict[str, str]:
    return {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "KAYAN_STORAGE": f"folder:{tmp_path / 'objects'}",
            "KAYAN_MAIL": f"outbox:{tmp_path / 'outbox'}"}  # fmt: skip


async def test_one_worker_carries_a_job_of_every_queue_to_its_effect_with_no_more_rights_than_check_asks_for(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    key = "assets/2025/11/V1StGXR8_Z-Booth_render.png"
    picture = tmp_path / "objects" / key
    picture.parent.mkdir(parents=True)
    Image.new("RGB", (640, 480), "teal").save(picture)
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        app = App(connection)
        user = app.user()
        asset = app.asset(fileKey=key)
        source = {"assetId": asset, "fileKey": key, "fileType": "IMAGE", "mimeType": "image/png", "originalFilename": "Booth render.png"}
        jobs = {
            "asset-processing": source,
            "thumbnail-generation": source,
            "variant-generation": source | {"variants": ["PREVIEW"]},
            "email": {"to": "lead@example.com", "subject": "Hello", "template": "follow-up-email", "data": {"html": "Hi", "text": "Hi"}},
            "notification": {"userId": user, "type": "TASK_ASSIGNED", "title": "New", "message": "You have work"},
            "analytics": {"type": "ASSET_VIEW", "assetId": asset, "userId": user, "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"},
            "cleanup": {"type": "TEMP_FILES"},
        }
        tidying = ("EXPIRED_LINKS", "OLD_VARIANTS", "OLD_ANALYTICS")
        with worker("all", variables=variables(redis_url, database_url, tmp_path)) as running:
            for name, data in jobs.items():
                async with app_queue(redis_url, name) as queue:
                    await queue.add(data)
            async with app_queue(redis_url, "cleanup") as queue:
                await queue.add_bulk([{"data": {"type": kind}} for kind in tidying])
            running.wait_for("job.completed", count=len(jobs) + len(tidying), timeout=60)
            assert [(event["queue"], event["error"]) for event in running.events("job.failed") + running.events("job.retried")] == []
            _, metrics = running.get("/metrics")
            running.signal(signal.SIGTERM)
            assert running.exit_code() == 0
        row = connection.execute('SELECT width, height, "thumbnailKey", "processingStatus" FROM assets WHERE id = %s', [asset]).fetchone()
        assert row is not None
        assert (row[0], row[1], row[3]) == (640, 480, "COMPLETED")
        assert (tmp_path / "objects" / row[2]).is_file()
        counted = connection.execute('SELECT (SELECT count(*) FROM notifications), (SELECT count(*) FROM asset_variants)').fetchone()
        assert counted == (1, 1)
    assert len(list((tmp_path / "outbox").glob("*.eml"))) == 1
    assert 'kayan_jobs_completed_total{queue="email"} 1.0' in metrics
    assert 'kayan_job_processing_seconds_count{queue="analytics"} 1.0' in metrics
    assert 'kayan_queue_jobs{queue="notification",state="completed"}' in metrics


async def test_a_malformed_payload_fails_at_once_naming_its_field_and_no_log_shows_its_content(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    with worker("email", variables=variables(redis_url, database_url, tmp_path)) as running:
        async with app_queue(redis_url, "email") as queue:
            job = await queue.add({"to": ["ada@example.com", 5], "data": {"html": "the-secret-words"}})
            event = running.wait_for("job.failed")
            [failed] = await queue.jobs("failed")
    assert (event["job_id"], event["queue"], event["attempt"], event["permanent"]) == (job.id, "email", 1, True)
    assert failed.failed_reason is not None
    assert "$.to[1]" in failed.failed_reason
    assert "$.to[1]" in event["error"]
    assert "the-secret-words" not in running.output()
    assert "ada@example.com" not in running.output()


def test_a_worker_whose_urls_no_browser_can_load_says_so_once_when_it_starts(redis_url: str) -> None:
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "AWS_S3_BUCKET": "kayanlive-assets",
                "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}  # fmt: skip
    with worker("thumbnail", "variant", variables=settings) as running:
        running.wait_for("redis.connected")
        [warning] = running.events("settings.odd")
    assert "Set AWS_CLOUDFRONT_URL" in warning["message"]


def test_a_wrong_environment_is_reported_whole_before_the_first_job() -> None:
    done = kayan("worker", "media", "email", variables={"REDIS_PORT": "none", "LOG_LEVEL": "loud"})
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert lines[0] == "kayan: the environment is wrong: REDIS_PORT, DATABASE_URL, AWS_S3_BUCKET, LOG_LEVEL (4 problems)"
    assert [line.split()[1] for line in lines[1:]] == ["REDIS_PORT", "DATABASE_URL", "AWS_S3_BUCKET", "LOG_LEVEL"]


def test_one_wrong_variable_is_told_in_one_line() -> None:
    done = kayan("worker", "email", variables={})
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("kayan: the environment is wrong: DATABASE_URL is not set: ")


def test_an_unknown_role_is_a_wrong_usage() -> None:
    done = kayan("worker", "emial", variables={})
    assert done.returncode == 2
    assert "Did you mean email?" in done.stderr


def test_a_taken_health_port_ends_the_worker_before_its_first_job(redis_url: str) -> None:
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    with worker("analytics", variables=settings) as first:
        port = first.wait_for("health.listening")["port"]
        with worker("analytics", variables=settings | {"HEALTH_PORT": str(port)}) as second:
            assert second.exit_code() == 2
            assert f"HEALTH_PORT is {port}: cannot listen" in second.output()


async def test_a_worker_waits_for_redis_works_when_it_comes_and_says_so_on_readyz(private_redis: RedisProcess, database_url: str) -> None:
    settings = {"REDIS_URL": private_redis.url, "DATABASE_URL": database_url, "KAYAN_MAIL": "outbox:/nowhere"}
    private_redis.stop()
    with worker("email", variables=settings) as running:
        running.wait_for("redis.lost")
        status, body = running.get("/readyz")
        assert status == 503
        assert '"redis":' in body
        assert running.get("/healthz")[0] == 200
        private_redis.start()
        running.wait_for("redis.connected")
        await wait_until(lambda: '"redis":' not in running.get("/readyz")[1])
        async with app_queue(private_redis.url, "email") as queue:
            await queue.add({"to": None})
        running.wait_for("job.failed")
        private_redis.stop()
        running.wait_for("redis.lost", count=2)
        assert len(running.events("redis.lost")) == 2
        await wait_until(lambda: running.get("/readyz")[0] == 503)
        running.signal(signal.SIGTERM)
        assert running.exit_code(30) == 0


@pytest.mark.parametrize("stale_data", ["yes", "no"])
async def test_a_redis_that_takes_connections_and_refuses_the_work_is_away_and_said_so_once(
    private_redis: RedisProcess, database_url: str, stale_data: str
) -> None:
    """A master that was made a replica, as in a failover behind one address: READONLY or MASTERDOWN is all it has to say."""
    settings = {"REDIS_URL": private_redis.url, "DATABASE_URL": database_url, "KAYAN_MAIL": "outbox:/nowhere"}
    with worker("email", variables=settings) as running, private_redis.client() as client:
        running.wait_for("redis.connected")
        client.config_set("replica-serve-stale-data", stale_data)
        before = _connections(client)
        client.replicaof("127.0.0.1", "1")
        client.client_kill_filter(_type="normal", skipme=True)
        running.wait_for("redis.lost")
        await wait_until(lambda: _connections(client) > before + 8, what="it tries again and again")
        assert len(running.events("redis.lost")) == len(running.events("redis.connected")) == 1
        status, body = running.get("/readyz")
        assert (status, "redis" in json.loads(body)["problems"]) == (503, True)
        client.replicaof("NO", "ONE")
        async with app_queue(private_redis.url, "email") as queue:
            await queue.add({"to": None})
        running.wait_for("job.failed")
        assert [len(running.events(name)) for name in ("redis.lost", "redis.connected")] == [1, 2]
        await wait_until(lambda: "redis" not in json.loads(running.get("/readyz")[1])["problems"])


def _connections(client: SyncRedis) -> int:
    return int(client.info("stats")["total_connections_received"])


async def test_a_bucket_that_is_not_there_is_told_at_the_start_and_on_readyz_and_fails_no_job(
    redis_url: str, database_url: str, s3: S3Server
) -> None:
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        asset = App(connection).asset()
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "AWS_S3_BUCKET": f"{s3.bucket}-typo",
                "AWS_ENDPOINT_URL_S3": s3.endpoint, "AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}  # fmt: skip
    with worker("thumbnail", variables=settings) as running:
        assert "AWS_S3_BUCKET" in running.wait_for("storage.unusable")["error"]
        assert "NoSuchBucket" in json.loads(running.get("/readyz")[1])["problems"]["storage"]
        async with app_queue(redis_url, "thumbnail-generation") as queue:
            await queue.add({"assetId": asset, "fileKey": "assets/a.png", "fileType": "IMAGE"})
        assert running.wait_for("worker.holding")["roles"] == ["thumbnail"]
        running.signal(signal.SIGTERM)
        assert running.exit_code() == 0
        assert running.events("job.started") == []
    with worker("thumbnail", variables=settings | {"AWS_S3_BUCKET": s3.bucket}) as running:
        await wait_until(lambda: running.get("/readyz")[0] == 200, timeout=20)
        assert running.events("storage.unusable") == []


def test_slots_come_from_the_table_the_environment_or_the_command_line(redis_url: str) -> None:
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "CONCURRENCY_EMAIL": "3"}
    with worker("messaging", variables=settings) as running:
        assert running.wait_for("worker.started")["roles"] == {"email": 3, "notification": 10}
    with worker("messaging", "--concurrency", "2", variables=settings) as running:
        assert running.wait_for("worker.started")["roles"] == {"email": 2, "notification": 2}


def test_a_worker_that_never_found_its_redis_leaves_at_the_first_signal() -> None:
    settings = {"REDIS_PORT": "1", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    with worker("messaging", variables=settings) as running:
        running.wait_for("redis.lost")
        running.signal(signal.SIGTERM)
        assert running.exit_code(15) == 0


# -- leaving ---------------------------------------------------------------------------------------------------------------------


async def _busy(running: WorkerProcess, queue: Queue, *seconds: float) -> None:
    """Give the worker's two slots these jobs and wait until it runs them."""
    for length in seconds:
        await queue.add({"seconds": length}, options=JobOptions(attempts=1))
    running.wait_for("job.started", count=2)


async def test_the_first_signal_lets_running_jobs_finish_and_leaves_the_rest_in_line(redis_url: str, slow: SlowWorker) -> None:
    with slow.running(REDIS_URL=redis_url) as running:
        async with app_queue(redis_url, "slow") as queue:
            await _busy(running, queue, 1.0, 1.0, 1.0, 1.0)
            running.signal(signal.SIGTERM)
            assert running.exit_code() == 0
            counts = await queue.counts()
            waiting = await queue.jobs("waiting")
    assert (counts.completed, counts.waiting, counts.active) == (2, 2, 0)
    assert [job.stalled_count for job in waiting] == [0, 0]
    assert running.events("worker.draining")[0]["signal"] == "SIGTERM"
    assert running.events("worker.stopped")[0]["exit_code"] == 0


async def test_what_does_not_finish_in_time_is_handed_back_without_a_stall(redis_url: str, slow: SlowWorker) -> None:
    with slow.running(REDIS_URL=redis_url, KAYAN_GRACE_SECONDS="0.5") as running:
        async with app_queue(redis_url, "slow") as queue:
            await _busy(running, queue, 30, 30)
            began = time.monotonic()
            running.signal(signal.SIGINT)
            assert running.exit_code() == 0
            assert time.monotonic() - began < 20
            waiting = await queue.jobs("waiting")
    assert [(job.stalled_count, job.attempts_made) for job in waiting] == [(0, 0), (0, 0)]
    assert {event["job_id"] for event in running.events("job.handed_back")} == {job.id for job in waiting}


async def test_a_handler_that_nothing_can_interrupt_does_not_keep_the_worker(redis_url: str, slow: SlowWorker) -> None:
    with slow.running(REDIS_URL=redis_url, KAYAN_GRACE_SECONDS="0.5") as running:
        async with app_queue(redis_url, "slow") as queue:
            await queue.add({"block": 60})
            running.wait_for("job.started")
            running.signal(signal.SIGTERM)
            assert running.exit_code(10) == 0
            assert (await queue.counts()).waiting == 1


async def test_a_second_signal_exits_at_once(redis_url: str, slow: SlowWorker) -> None:
    with slow.running(REDIS_URL=redis_url) as running:
        async with app_queue(redis_url, "slow") as queue:
            await _busy(running, queue, 30, 30)
            running.signal(signal.SIGTERM)
            running.wait_for("worker.draining")
            assert running.get("/readyz")[0] == 503
            await asyncio.sleep(2 * ECHO_SECONDS)
            running.signal(signal.SIGTERM)
            assert running.exit_code(3) == 128 + signal.SIGTERM


@pytest.mark.parametrize("moment", ["the loop's last turn", "the loop is closed"])
def test_a_signal_between_a_worker_and_the_one_that_follows_it_ends_both(redis_url: str, slow: SlowWorker, moment: str) -> None:
    """After the last line of a worker that begins anew, and before the next one is there."""
    kill = f"""
import asyncio, os, signal
close = asyncio.Runner.close
def close_and_hear(runner):
    last_turn = {moment == "the loop's last turn"}
    if last_turn:
        os.kill(os.getpid(), signal.SIGTERM)
    close(runner)
    if not last_turn:
        os.kill(os.getpid(), signal.SIGTERM)
asyncio.Runner.close = close_and_hear
from kayan_workers import start, worker
run_until_stopped = worker.run_worker
def run_worker(roles, settings):
    code = run_until_stopped(roles, settings)
    return start.become_worker([], 0) if code is None else code
worker.run_worker = run_worker
"""
    with slow.running(first=kill, REDIS_URL=redis_url) as running:
        running.wait_for("worker.started")
        running.signal(signal.SIGUSR2)
        assert running.exit_code() == 0
        assert len(running.events("worker.stopped")) == 1
        assert len(running.events("worker.started")) == 1


async def test_a_signal_that_a_wrapper_sends_twice_counts_once(redis_url: str, slow: SlowWorker) -> None:
    with slow.running(REDIS_URL=redis_url) as running:
        async with app_queue(redis_url, "slow") as queue:
            await _busy(running, queue, 1.0, 1.0)
            running.signal(signal.SIGTERM)
            running.wait_for("worker.draining")
            running.signal(signal.SIGTERM)
            assert running.exit_code(20) == 0
            assert (await queue.counts()).completed == 2


async def test_a_thread_that_sits_on_after_its_job_has_timed_out_is_not_waited_for(redis_url: str, slow: SlowWorker) -> None:
    """Its job has failed and is written down: nothing is left to finish, and the grace period is not used up."""
    with slow.running(REDIS_URL=redis_url, KAYAN_GRACE_SECONDS="60") as running:
        async with app_queue(redis_url, "slow") as queue:
            await queue.add({"block": 120}, options=JobOptions(attempts=1, timeout_ms=100))
            running.wait_for("job.overdue")
            running.wait_for("job.failed")
            running.signal(signal.SIGTERM)
            assert running.exit_code(15) == 0
            assert (await queue.counts()).failed == 1


async def test_without_a_grace_period_what_runs_goes_back_at_once(redis_url: str, slow: SlowWorker) -> None:
    with slow.running(REDIS_URL=redis_url, KAYAN_GRACE_SECONDS="0") as running:
        async with app_queue(redis_url, "slow") as queue:
            await _busy(running, queue, 30, 30, 30)
            running.signal(signal.SIGTERM)
            assert running.exit_code(10) == 0
            waiting = await queue.jobs("waiting")
    assert [(job.id, job.stalled_count, job.attempts_made) for job in waiting] == [("1", 0, 0), ("2", 0, 0), ("3", 0, 0)]
    assert running.events("queue.warning") == []


@pytest.mark.parametrize("how", ["gone", "hanging"])
async def test_a_worker_told_to_stop_while_redis_is_away_exits_in_time_and_says_what_it_could_not_write(
    private_redis: RedisProcess, slow: SlowWorker, how: str
) -> None:
    """Of its two jobs one ends while Redis is away and one outlasts the grace period. Neither is lost, whatever still arrives later."""
    with slow.running(REDIS_URL=private_redis.url, KAYAN_GRACE_SECONDS="2") as running:
        async with app_queue(private_redis.url, "slow") as queue:
            await _busy(running, queue, 1.5, 60)
        assert private_redis.process is not None
        if how == "gone":
            private_redis.stop()
        else:
            private_redis.process.send_signal(signal.SIGSTOP)
        running.signal(signal.SIGTERM)
        assert running.exit_code(2 + 10) == 0
        said = [event["message"] for event in running.events("queue.warning")]
        if how == "gone":
            private_redis.start()
        else:
            private_redis.process.send_signal(signal.SIGCONT)
    assert said == [
        "Redis is away: 1 results could not be written, their jobs may run again elsewhere: 1",
        "1 jobs could not be handed back, the stalled pass will recover them: 2",
    ]
    assert running.events("worker.stopped")[0]["exit_code"] == 0
    async with app_queue(private_redis.url, "slow") as queue:
        counts = await queue.counts()
    assert counts.active + counts.waiting + counts.completed == 2
    assert counts.failed == 0


async def test_a_second_signal_exits_at_once_although_redis_hangs(private_redis: RedisProcess, slow: SlowWorker) -> None:
    with slow.running(REDIS_URL=private_redis.url, KAYAN_GRACE_SECONDS="60") as running:
        async with app_queue(private_redis.url, "slow") as queue:
            await _busy(running, queue, 60, 60)
        assert private_redis.process is not None
        private_redis.process.send_signal(signal.SIGSTOP)
        running.signal(signal.SIGINT)
        running.wait_for("worker.draining")
        await asyncio.sleep(2 * ECHO_SECONDS)
        running.signal(signal.SIGTERM)
        assert running.exit_code(3) == 128 + signal.SIGTERM
        private_redis.process.send_signal(signal.SIGCONT)


def test_a_signal_while_the_connection_is_being_made_ends_the_worker(private_redis: RedisProcess) -> None:
    """Redis has taken the connection and never says a word."""
    settings = {"REDIS_URL": private_redis.url, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    assert private_redis.process is not None
    private_redis.process.send_signal(signal.SIGSTOP)
    with worker("messaging", variables=settings) as running:
        running.wait_for("worker.started")
        running.signal(signal.SIGTERM)
        assert running.exit_code(10) == 0
        assert running.events("worker.stopped")[0]["exit_code"] == 0
    private_redis.process.send_signal(signal.SIGCONT)


def test_a_signal_while_the_worker_still_loads_ends_it_with_zero(redis_url: str) -> None:
    """From the moment in which the command has turned into the worker, whatever it is doing then: nothing has begun."""
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    codes: dict[float, int] = {}
    for moment in (0.0, 0.05, 0.1, 0.2, 0.4):
        with worker("messaging", variables=settings) as running:
            wait_until_ready(lambda running=running: _has_become_a_worker(running), 20, what="the worker")
            time.sleep(moment)
            running.signal(signal.SIGTERM)
            codes[moment] = running.exit_code(15)
    assert set(codes.values()) == {0}, codes


def _has_become_a_worker(running: WorkerProcess) -> None:
    assert "kayan_workers.start" in Path(f"/proc/{running.process.pid}/cmdline").read_text()


# -- a queue of one's own --------------------------------------------------------------------------------------------------------


def test_a_worker_of_whose_duties_one_dies_leaves_and_says_which(redis_url: str, slow: SlowWorker, tmp_path: Path) -> None:
    fault = """
from kayan_workers import worker
from kayan_workers.mounted import Mounted
worker.SETTINGS_SECONDS = 0.5
def anew(*_): raise RuntimeError("a fault of ours")
Mounted.anew = anew
"""
    (tmp_path / "secret").mkdir()
    with slow.running(first=fault, REDIS_URL=redis_url, KAYAN_SETTINGS_DIR=str(tmp_path / "secret")) as running:
        assert running.exit_code() == 1
        broken = running.wait_for("worker.broken")
        assert (broken["part"], broken["error"]) == ("watch settings", "a fault of ours")
        assert running.events("worker.stopped")[0]["exit_code"] == 1


async def test_a_queue_beyond_the_seven_is_worked_like_them(redis_url: str, slow: SlowWorker, tmp_path: Path) -> None:
    with slow.running(REDIS_URL=redis_url, KAYAN_BACKOFF="documented") as running:
        async with app_queue(redis_url, "slow") as queue:
            job = await queue.add({"touch": str(tmp_path / "touched")})
            running.wait_for("job.completed")
            done = await queue.get_job(job.id)
            assert done is not None
            assert done.return_value == {"slept": 0.0}
            assert (tmp_path / "touched").exists()
            for kind in ("permanent", "temporary", "bug"):
                await queue.add({"fail": kind}, options=JobOptions(attempts=2))
            permanent = running.wait_for("job.failed")
            running.wait_for("job.retried", count=2)
    assert permanent["error"] == "failed on purpose: permanent"
    temporary, bug = sorted(running.events("job.retried"), key=lambda event: event["error"])[::-1]
    assert (temporary["error"], temporary["delay_ms"], "exception" in temporary) == ("failed on purpose: temporary", 2000, False)
    assert "KeyError" in bug["exception"]


async def test_a_processor_that_is_not_installed_ends_the_worker_before_its_first_job(redis_url: str, slow: SlowWorker) -> None:
    slow.module.unlink()
    with slow.running(REDIS_URL=redis_url) as running:
        assert running.exit_code() != 0
        assert "role slow: slow_processor cannot be loaded (ModuleNotFoundError" in running.output()


# -- what its operator is told ---------------------------------------------------------------------------------------------------


async def test_retries_wait_as_bull_waits_when_the_environment_says_so(redis_url: str, redis: Redis, slow: SlowWorker) -> None:
    """The second wait tells the two series apart: 4 s as documented, 6 s as in Bull."""
    waits: dict[str, int] = {}
    for series in ("documented", "bull"):
        async with app_queue(redis_url, "slow") as queue:
            job = await queue.add({"fail": "temporary"}, options=JobOptions(attempts=3))
            await redis.hset(f"bull:slow:{job.id}", "attemptsMade", 1)
            with slow.running(REDIS_URL=redis_url, KAYAN_BACKOFF=series) as running:
                waits[series] = running.wait_for("job.retried", job_id=job.id)["delay_ms"]
    assert waits == {"documented": 4000, "bull": 6000}


def test_a_redis_that_may_evict_keys_is_warned_of_and_no_password_is_shown(private_redis: RedisProcess) -> None:
    """The right password, a wrong one, and passwords of databases that nobody can reach: none of them gets into the log."""
    with private_redis.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("requirepass", "the-right-word")
    database = "postgresql://kayan:the-database-word@127.0.0.1:1/none"
    for password in ("the-right-word", "the-wrong-word"):
        settings = {"REDIS_URL": f"redis://:{password}@127.0.0.1:{private_redis.port}/0", "DATABASE_URL": database}
        with worker("analytics", variables=settings) as running:
            if password == "the-right-word":
                advice = running.wait_for("redis.advice")["message"]
                assert "maxmemory-policy allkeys-lru: when memory runs out it deletes jobs and locks" in advice
            else:
                assert "password" in running.wait_for("redis.lost")["error"]
            status, body = running.get("/readyz")
            assert (status, "redis" in json.loads(body)["problems"]) == (503, password == "the-wrong-word")
            running.signal(signal.SIGTERM)
            assert running.exit_code(15) == 0
        for said in (running.output(), body):
            assert not [word for word in ("the-right-word", "the-wrong-word", "the-database-word") if word in said]


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_notice_is_the_first_thing_a_worker_says(redis_url: str, slow: SlowWorker, form: str) -> None:
    notice = "These stores are for trying out: what they hold goes with them"
    with slow.running(REDIS_URL=redis_url, LOG_FORMAT=form, KAYAN_NOTICE=notice) as running:
        wait_until_ready(lambda: running.output().index("worker" + ("." if form == "json" else " ") + "started"), 20, what="the worker")
        first = running.output().splitlines()[0]
        if form == "json":
            said = json.loads(first)
            assert (said["event"], said["level"], said["message"]) == ("worker.notice", "warning", notice)
        else:
            assert first.endswith(f"⚠️  {notice}")
    done = kayan("queues", variables={"REDIS_URL": redis_url, "KAYAN_NOTICE": notice})
    assert (done.returncode, notice in done.stdout + done.stderr) == (0, False)


# -- small and quick -------------------------------------------------------------------------------------------------------------


async def test_an_idle_notification_worker_stays_small_and_begins_soon(redis_url: str, database_url: str) -> None:
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    async with app_queue(redis_url, "notification") as queue:
        await queue.add({"malformed": True})
        began = time.monotonic()
        with worker("notification", variables=settings) as running:
            running.wait_for("job.failed")
            seconds = time.monotonic() - began
            resident = running.resident_mb
    print(f"first job after {seconds:.2f} s, {resident:.1f} MB resident")
    assert seconds < 10
    assert resident < 75
