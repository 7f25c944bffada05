"""Behind a real PgBouncer in transaction mode, with two sessions for everybody."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pgbouncer
import psycopg
import pytest
import servers
from app import app_of, owner_of
from at_work import queue_at
from doubles import FakeJob
from kayan import worker
from kayan_workers import ledger
from kayan_workers.cli.adding import APP_OPTIONS
from kayan_workers.database import Database
from pgbouncer import Bouncer
from PIL import Image

SESSIONS = 2
EACH = 12
SETTINGS = ("search_path", "TimeZone", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "transaction_isolation")
SHOWN = f"SELECT {', '.join(f'current_setting({name!r})' for name in SETTINGS)}"


@pytest.fixture
def bouncer(database_url: str) -> Iterator[Bouncer]:
    if pgbouncer.binary() is None:
        servers.missing("no pgbouncer on this machine: apt-get install pgbouncer")
    with pgbouncer.before(database_url, sessions=SESSIONS) as running:
        yield running


async def test_a_worker_of_all_queues_does_everything_through_two_sessions(
    redis_url: str, database_url: str, bouncer: Bouncer, tmp_path: Path
) -> None:
    variables = {
        "REDIS_URL": redis_url, "KAYAN_STORAGE": f"folder:{tmp_path / 'objects'}", "KAYAN_MAIL": f"outbox:{tmp_path / 'outbox'}",
        "DATABASE_URL": f"{bouncer.url}?schema=public&pgbouncer=true&connection_limit=1", "DATABASE_POOL_SIZE": "6",
        "KAYAN_RETENTION_SEARCH_HISTORY_DAYS": "30", "KAYAN_CLEANUP_STUCK_ASSETS": "on", "KAYAN_CLEANUP_ORPHANED_OBJECTS": "on",
    }  # fmt: skip
    cleanups = ("EXPIRED_LINKS", "OLD_VARIANTS", "TEMP_FILES", "OLD_ANALYTICS", "EXPIRED_EXTERNAL_LINKS", "EXPIRED_INVITATIONS",
                "ORPHANED_OBJECTS", "STUCK_ASSETS", "OWN_RECORDS", "RETENTION")  # fmt: skip
    now = datetime.now(UTC).isoformat()
    with app_of(database_url) as app:
        user = app.user()
        keys = [f"assets/2025/11/{number:010}-render.png" for number in range(EACH)]
        for key in keys:
            (tmp_path / "objects" / key).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (64, 48), "teal").save(tmp_path / "objects" / key)
        assets = [app.asset(fileKey=key) for key in keys]
        files = [{"assetId": asset, "fileKey": key, "fileType": "IMAGE", "mimeType": "image/png", "originalFilename": "render.png"}
                 for asset, key in zip(assets, keys, strict=True)]  # fmt: skip
        jobs: dict[str, list[dict[str, object]]] = {
            "asset-processing": [dict(file) for file in files],
            "thumbnail-generation": [dict(file) for file in files],
            "variant-generation": [{**file, "variants": ["PREVIEW", "MOBILE"]} for file in files],
            "email": [{"to": f"lead{number}@example.com", "subject": "Hello", "template": "follow-up-email",
                       "data": {"html": "Hi", "text": "Hi"}} for number in range(EACH)],
            "notification": [{"userId": user, "type": "TASK_ASSIGNED", "title": "New", "message": str(number)} for number in range(EACH)],
            "analytics": [{"type": "ASSET_VIEW", "assetId": asset, "userId": user, "data": {}, "timestamp": now}
                          for asset in assets],
            "cleanup": [{"type": kind} for kind in cleanups],
        }  # fmt: skip
        for name, payloads in jobs.items():
            async with queue_at(redis_url, name, defaults=APP_OPTIONS) as queue:
                await queue.add_bulk([{"data": payload} for payload in payloads])

        with worker("all", variables=variables) as running:
            running.wait_for("job.completed", count=sum(map(len, jobs.values())), timeout=120)
            assert [(event["queue"], event["error"]) for event in running.events("job.failed") + running.events("job.retried")] == []
            pools = [pool for pool in bouncer.show("POOLS") if pool["user"] != "pgbouncer"]
            running.signal(signal.SIGTERM)
            assert running.exit_code() == 0

        assert len(app.rows("notifications", "id")) == EACH
        assert app.rows("asset_analytics", "views") == [1] * EACH
        assert app.rows("assets", "processingStatus") == ["COMPLETED"] * EACH
        assert len(app.rows("asset_variants", "id")) == 2 * EACH
        locks = app.connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert locks == (0,)
    assert len(list((tmp_path / "outbox").glob("*.eml"))) == EACH
    [pool] = pools
    assert pool["cl_active"] + pool["cl_waiting"] > SESSIONS  # it really was shared
    assert pool["sv_active"] + pool["sv_idle"] + pool["sv_used"] <= SESSIONS


def test_many_threads_take_turns_and_each_has_its_transaction_whole(bouncer: Bouncer) -> None:
    database = Database(bouncer.url, pool_size=12, application_name="kayan-test")
    together, recorded = threading.Barrier(12), []
    jobs = [FakeJob() for _ in range(240)]

    def work(some: list[FakeJob]) -> None:
        together.wait(10)
        recorded.extend(_record(database, job) for job in some)  # the first makes the ledger, all others wait for it

    threads = [threading.Thread(target=work, args=(jobs[number::6],)) for number in range(6) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()

    assert sorted(recorded) == [False] * 240 + [True] * 240


def _record(database: Database, job: FakeJob) -> bool:
    with database.transaction() as connection:
        return ledger.record_once(connection, job, "counted")


def test_nothing_of_a_transaction_is_left_to_the_next_client_of_its_session(database_url: str, bouncer: Bouncer) -> None:
    with psycopg.connect(owner_of(database_url), autocommit=True) as owner:
        owner.execute('CREATE SCHEMA "App"')
    with psycopg.connect(database_url, autocommit=True) as direct:
        untouched = direct.execute(SHOWN).fetchone()
    database = Database(f"{bouncer.url}?schema=App&pgbouncer=true", pool_size=1, application_name="kayan-test")
    sessions = set()
    for _ in range(20):  # as often as makes a driver prepare a statement, if it ever does
        with database.transaction(statement_seconds=2, lock_seconds=0.5) as connection:
            sessions |= set(connection.execute("SELECT pg_backend_pid()").fetchall())
            shown = connection.execute(SHOWN).fetchone()
    with pytest.raises(psycopg.errors.DivisionByZero), database.transaction() as connection:
        connection.execute("SELECT 1 / 0")

    with psycopg.connect(bouncer.url, autocommit=True) as somebody:
        found = somebody.execute(f"{SHOWN}, pg_backend_pid(), (SELECT count(*) FROM pg_prepared_statements)").fetchone()
    database.close()

    assert shown is not None
    assert found is not None
    assert shown[:4] == ('"App"', "UTC", "2s", "500ms")
    assert found[: len(SETTINGS)] == untouched
    assert (found[-2],) in sessions  # the very same session
    assert found[-1] == 0
