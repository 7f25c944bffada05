"""A worker whose settings are files of a Secret: wrong ones, corrected ones, and those that did not change."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from app import App, owner_of
from at_work import queue_at
from kayan import WorkerProcess, kayan, worker
from kayan_workers.worker import SETTINGS_SECONDS
from password import RoleWithPassword, role_with_password
from redis_process import RedisProcess
from secret import mount, swap
from servers import S3Server
from waiting import wait_until


@pytest.fixture
def role(database_url: str) -> Iterator[RoleWithPassword]:
    with role_with_password(owner_of(database_url)) as role:
        yield role


def problems(running: WorkerProcess) -> dict[str, str]:
    found: dict[str, str] = json.loads(running.get("/readyz")[1])["problems"]
    return found


async def is_ready(running: WorkerProcess) -> None:
    await wait_until(lambda: running.get("/readyz")[0] == 200, 30, what="ready")


async def test_a_wrong_password_in_a_secret_is_told_and_its_correction_starts_the_worker_anew(
    redis_url: str, role: RoleWithPassword, tmp_path: Path
) -> None:
    secret = mount(tmp_path / "secret", DATABASE_URL=role.at("wrong-as-can-be"), REDIS_URL=redis_url)
    settings = {"KAYAN_SETTINGS_DIR": str(secret)}

    with worker("analytics", variables=settings) as running:
        told = running.wait_for("database.unusable")["error"]
        assert f'password authentication failed for user "{role.name}"' in told
        assert "mend user and password in DATABASE_URL" in told
        status, _ = running.get("/readyz")
        assert (status, "password authentication failed" in problems(running)["database"]) == (503, True)
        swap(secret, DATABASE_URL=role.at(), REDIS_URL=redis_url)
        assert running.wait_for("settings.changed")["variables"] == ["DATABASE_URL"]
        running.wait_for("health.listening", count=2)
        await is_ready(running)
        names = [event["event"] for event in running.events()]
        assert names.index("worker.draining") < names.index("worker.stopped") < len(names) - 1 - names[::-1].index("worker.started")
        assert len(running.events("database.unusable")) == 1
        assert "wrong-as-can-be" not in running.output()
        assert role.password not in running.output()


async def test_running_jobs_finish_before_a_worker_leaves_for_its_new_settings_and_a_signal_meanwhile_cuts_none_short(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    secret = mount(tmp_path / "secret", DATABASE_URL=database_url, EMAIL_FROM="a@kayan.example")
    settings = {"KAYAN_SETTINGS_DIR": str(secret), "REDIS_URL": redis_url, "KAYAN_STORAGE": f"folder:{tmp_path / 'objects'}"}
    with psycopg.connect(owner_of(database_url)) as blocking, worker("analytics", variables=settings) as running:
        asset = App(blocking).asset()
        blocking.commit()
        blocking.execute("LOCK TABLE asset_analytics")
        async with queue_at(redis_url, "analytics") as queue:
            await queue.add({"type": "ASSET_VIEW", "assetId": asset, "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"})
            running.wait_for("job.started")
            swap(secret, DATABASE_URL=database_url, EMAIL_FROM="b@kayan.example")
            running.wait_for("settings.changed")
            running.signal(signal.SIGTERM)
            await wait_until(lambda: "draining" in running.get("/readyz")[1])
            blocking.rollback()
            running.wait_for("job.completed")
            assert running.exit_code() == 0


async def test_a_worker_that_is_told_to_begins_anew_in_its_place_and_still_leaves_for_good(redis_url: str, database_url: str) -> None:
    with worker("analytics", "--concurrency", "3", variables={"DATABASE_URL": database_url, "REDIS_URL": redis_url}) as running:
        running.wait_for("worker.started")
        running.signal(signal.SIGUSR2)
        second = running.wait_for("worker.started", count=2)
        assert (second["pid"], second["roles"]) == (running.process.pid, {"analytics": 3})
        async with queue_at(redis_url, "analytics") as queue:
            await queue.add({"type": "ASSET_VIEW", "assetId": "none", "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"})
            running.wait_for("job.started")
        running.signal(signal.SIGUSR2)
        running.signal(signal.SIGTERM)
        assert running.exit_code() == 0
        assert len(running.events("worker.started")) == 2


def test_a_worker_that_begins_anew_while_it_looks_at_a_database_that_hangs_leaves_no_zombie(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hangs:
        url = f"postgresql://nobody@127.0.0.1:{hangs.getsockname()[1]}/none"
        with worker("analytics", variables={"DATABASE_URL": url, "REDIS_URL": redis_url}) as running:
            running.wait_for("worker.started")
            running.signal(signal.SIGUSR2)
            running.wait_for("worker.started", count=2)
            running.wait_for("database.unusable")  # both looks take equally long, and the other began before
            children = psutil.Process(running.process.pid).children()
            assert [child.pid for child in children if child.status() == psutil.STATUS_ZOMBIE] == []


async def test_a_worker_whose_files_say_the_same_goes_on_and_so_does_one_whose_new_files_are_no_good(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    secret = mount(tmp_path / "secret", DATABASE_URL=database_url, REDIS_URL=redis_url)
    with worker("analytics", variables={"KAYAN_SETTINGS_DIR": str(secret)}) as running:
        await is_ready(running)
        swap(secret, DATABASE_URL=database_url, REDIS_URL=redis_url)
        await two_looks(running)
        assert running.events("settings.changed") == []
        swap(secret, DATABASE_URL="mysql://somebody:hush-hush@db/kayan", REDIS_URL=redis_url)
        wrong = running.wait_for("settings.wrong")
        assert wrong["variables"] == ["DATABASE_URL"]
        assert "the scheme must be postgresql://" in wrong["error"]
        assert "hush-hush" not in running.output()
        assert running.get("/readyz")[0] == 200
        await two_looks(running)
        assert len(running.events("settings.wrong")) == 1, "it was told before"
        swap(secret, DATABASE_URL=database_url, REDIS_URL=redis_url)
        await two_looks(running)
        assert running.events("settings.changed") == []
        swap(secret, DATABASE_URL=database_url, REDIS_URL=f"{redis_url}?socket_timeout=9")
        assert running.wait_for("settings.changed")["variables"] == ["REDIS_URL"]
        running.wait_for("worker.started", count=2)


async def two_looks(running: WorkerProcess) -> None:
    """Until the worker must have looked at its files twice: its loop has gone on for that long, as its own count of seconds says."""

    def seconds() -> int:
        return int(json.loads(running.get("/healthz")[1])["seconds"])

    end_at = seconds() + 2 * SETTINGS_SECONDS + 1
    await wait_until(lambda: seconds() >= end_at, 30, what="two looks")


def test_settings_that_were_wrong_only_for_the_moment_are_tried_again(redis_url: str, database_url: str, tmp_path: Path) -> None:
    """A certificate, say, that another Secret brings a little later."""
    secret, authority = mount(tmp_path / "secret", DATABASE_URL=database_url), tmp_path / "ca.crt"
    with worker("analytics", variables={"KAYAN_SETTINGS_DIR": str(secret), "REDIS_URL": redis_url}) as running:
        running.wait_for("worker.started")
        swap(secret, DATABASE_URL=database_url, REDIS_TLS_CA_FILE=str(authority))
        assert str(authority) in running.wait_for("settings.wrong")["error"]
        authority.write_text("a certificate")
        assert running.wait_for("settings.changed")["variables"] == ["REDIS_TLS_CA_FILE"]


def test_a_key_that_stays_out_of_the_secret_is_no_setting_any_more_unless_the_worker_needs_it(
    redis_url: str, database_url: str, tmp_path: Path
) -> None:
    secret = mount(tmp_path / "secret", DATABASE_URL=database_url, EMAIL_FROM="a@kayan.example")
    with worker("analytics", variables={"KAYAN_SETTINGS_DIR": str(secret), "REDIS_URL": redis_url}) as running:
        running.wait_for("worker.started")
        swap(secret, DATABASE_URL=database_url)
        assert running.wait_for("settings.changed", timeout=60)["variables"] == ["EMAIL_FROM"]
        running.wait_for("worker.started", count=2)
        swap(secret, EMAIL_FROM="a@kayan.example")
        wrong = running.wait_for("settings.wrong", timeout=60)
        assert (wrong["variables"], "DATABASE_URL is not set" in wrong["error"]) == (["DATABASE_URL", "EMAIL_FROM"], True)
        assert running.process.poll() is None


async def test_a_password_that_is_no_longer_right_is_told_by_a_worker_that_has_used_the_database(
    redis_url: str, role: RoleWithPassword
) -> None:
    with worker("analytics", variables={"DATABASE_URL": role.at(), "REDIS_URL": redis_url}) as running:
        with psycopg.connect(role.url, autocommit=True) as connection:
            asset = App(connection).asset()
        async with queue_at(redis_url, "analytics") as queue:
            await queue.add({"type": "ASSET_VIEW", "assetId": asset, "data": {}, "timestamp": "2025-11-24T10:05:07.123Z"})
        running.wait_for("job.completed")
        await is_ready(running)
        role.change_password("another")
        await wait_until(lambda: "password authentication failed" in problems(running).get("database", ""), 30)
        assert running.get("/readyz")[0] == 503


async def test_a_database_that_comes_later_is_told_twice_and_its_driver_stays_out_of_an_idle_worker(
    redis_url: str, role: RoleWithPassword
) -> None:
    wrong = role.at("right-some-day")
    with worker("analytics", variables={"DATABASE_URL": wrong, "REDIS_URL": redis_url}) as running:
        running.wait_for("database.unusable")
        role.change_password("right-some-day")
        running.wait_for("database.usable", timeout=40)
        await is_ready(running)
        loaded = [mapped.path for mapped in psutil.Process(running.process.pid).memory_maps()]
        assert not [path for path in loaded if "psycopg" in path or "libpq" in path]
        assert len(running.events("database.unusable")) == 1


async def test_a_wrong_password_of_redis_is_told_and_its_correction_starts_the_worker_anew(
    private_redis: RedisProcess, database_url: str, tmp_path: Path
) -> None:
    with private_redis.client() as client:
        client.config_set("requirepass", "the-right-word")
    secret = mount(tmp_path / "secret", REDIS_PASSWORD="the-wrong-word")
    settings = {"KAYAN_SETTINGS_DIR": str(secret), "DATABASE_URL": database_url, "REDIS_HOST": "127.0.0.1",
                "REDIS_PORT": str(private_redis.port)}  # fmt: skip
    with worker("analytics", variables=settings) as running:
        assert "password" in running.wait_for("redis.lost")["error"]
        await wait_until(lambda: "password" in problems(running).get("redis", ""))
        swap(secret, REDIS_PASSWORD="the-right-word")
        running.wait_for("settings.changed")
        running.wait_for("health.listening", count=2)
        await is_ready(running)


async def test_wrong_keys_of_the_bucket_are_told_and_the_right_ones_are_read_from_their_files(
    redis_url: str, database_url: str, s3: S3Server, tmp_path: Path
) -> None:
    secret = mount(tmp_path / "secret", AWS_ACCESS_KEY_ID=s3.access_key, AWS_SECRET_ACCESS_KEY="not-this-one")
    settings = {"KAYAN_SETTINGS_DIR": str(secret), "DATABASE_URL": database_url, "REDIS_URL": redis_url, "AWS_S3_BUCKET": s3.bucket,
                "AWS_ENDPOINT_URL_S3": s3.endpoint}  # fmt: skip
    with worker("thumbnail", variables=settings) as running:
        assert "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY" in running.wait_for("storage.unusable")["error"]
        assert "storage" in problems(running)
        swap(secret, AWS_ACCESS_KEY_ID=s3.access_key, AWS_SECRET_ACCESS_KEY=s3.secret_key)
        running.wait_for("health.listening", count=2)
        await is_ready(running)


async def test_a_codec_process_hears_of_no_file(redis_url: str, database_url: str, tmp_path: Path) -> None:
    secret = mount(tmp_path / "secret", DATABASE_URL=database_url, AWS_SECRET_ACCESS_KEY="hush-hush", AWS_ACCESS_KEY_ID="kayan-key")
    key = "assets/2025/11/V1StGXR8_Z-notes.txt"
    notes = tmp_path / "objects" / key
    notes.parent.mkdir(parents=True)
    notes.write_text("notes")
    settings = {"KAYAN_SETTINGS_DIR": str(secret), "REDIS_URL": redis_url, "KAYAN_STORAGE": f"folder:{tmp_path / 'objects'}"}
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        asset = App(connection).asset(fileKey=key)
    with worker("asset", variables=settings) as running:
        async with queue_at(redis_url, "asset-processing") as queue:
            what = {"fileType": "DOCUMENT", "mimeType": "text/plain", "originalFilename": "notes.txt"}
            await queue.add({"assetId": asset, "fileKey": key, **what})
            running.wait_for("job.completed", timeout=40)
        process = psutil.Process(running.process.pid)
        assert process.environ()["AWS_SECRET_ACCESS_KEY"] == "hush-hush"
        [codec] = [child for child in process.children() if "kayan_workers.codecs.inmate" in child.cmdline()]
        given = codec.environ()
    assert given
    assert not [name for name, value in given.items() if name.startswith(("AWS_", "DATABASE", "KAYAN_")) or "hush" in value]


def test_every_command_reads_the_files_and_names_a_folder_that_is_not_there(private_redis: RedisProcess, tmp_path: Path) -> None:
    with private_redis.client() as client:
        client.config_set("requirepass", "the-right-word")
    secret = mount(tmp_path / "secret", REDIS_PASSWORD="the-right-word")
    where = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(private_redis.port)}
    assert kayan("queues", variables=where | {"KAYAN_SETTINGS_DIR": str(secret)}).returncode == 0
    for command in (["queues"], ["worker", "analytics"]):
        done = kayan(*command, variables=where | {"KAYAN_SETTINGS_DIR": str(tmp_path / "nowhere"), "DATABASE_URL": "postgresql://db/kayan"})
        wrong = f"KAYAN_SETTINGS_DIR: {tmp_path / 'nowhere'} cannot be read (No such file or directory)"
        assert (done.returncode, done.stderr.splitlines()) == (2, [done.stderr.rstrip("\n")])
        assert done.stderr.startswith(f"kayan: the environment is wrong: {wrong}")
