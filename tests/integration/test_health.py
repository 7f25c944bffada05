"""The health port: small, patient with nonsense, and honest about what is wrong."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import psycopg
import pytest
from app import as_role, owner_of
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import RedisAddress, Server
from kayan_workers.database import AllBusyError, Database
from kayan_workers.edges import Edges
from kayan_workers.errors import SettingsError, TemporaryError
from kayan_workers.health import Answer, HealthServer
from kayan_workers.metrics import Depths, Metrics
from kayan_workers.readiness import DatabaseCheck, Readiness, StorageCheck, redis_check
from kayan_workers.settings import Settings
from password import role_with_password
from proxy import Proxy
from servers import S3Server
from waiting import wait_until


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    async def page() -> Answer:
        return Answer.json(False, {"ready": False})

    server = HealthServer({"/readyz": page})
    try:
        yield await server.start("127.0.0.1", 0)
    finally:
        await server.close()


async def said(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_a_page_is_answered_with_its_status_and_body() -> None:
    async with serving() as port:
        answer = await said(port, b"GET /readyz?verbose HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: 16\r\n")
    assert body == b'{"ready":false}\n'


async def test_head_has_no_body_other_methods_are_refused_and_unknown_pages_name_the_known() -> None:
    async with serving() as port:
        assert (await said(port, b"HEAD /readyz HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")
        assert (await said(port, b"POST /readyz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405 ")
        missing = await said(port, b"GET / HTTP/1.1\r\n\r\n")
    assert missing.startswith(b"HTTP/1.1 404 ")
    assert b'{"pages":["/readyz"]}' in missing


@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01 hello\r\n\r\n", b"GET\r\n\r\n", b"A" * 70_000, b"GET http://[ HTTP/1.1\r\n\r\n"])
async def test_nonsense_is_hung_up_on_and_the_next_visitor_is_served(nonsense: bytes) -> None:
    async with serving() as port:
        with suppress(ConnectionResetError):
            assert await said(port, nonsense) == b""
        assert b"503" in await said(port, b"GET /readyz HTTP/1.1\r\n\r\n")


async def test_a_taken_port_is_a_wrong_setting() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"HEALTH_PORT is {port}: cannot listen .* Choose another port"):
            await HealthServer({}).start("127.0.0.1", port)


async def test_readiness_names_what_cannot_be_reached_and_forgets_it_when_it_can(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        info = connection.info
        proxy = Proxy(info.port, info.host)
        async with proxy:
            pass  # whose port nobody listens on now
        url = f"postgresql://{info.user}:{info.password or 'x'}@127.0.0.1:{proxy.port}/{info.dbname}"
    readiness = Readiness({"database": DatabaseCheck(Edges(Settings(database_url=url)), url)})
    assert "cannot be reached" in (await readiness.problems())["database"]
    async with proxy:
        await wait_until(lambda: _is_ready(readiness), 20)
    assert proxy.accepted >= 2, "nobody logged in"


async def _is_ready(readiness: Readiness) -> bool:
    return await readiness.problems() == {}


async def test_readiness_asks_the_database_itself_once_it_is_in_use(database_url: str) -> None:
    edges = Edges(Settings(database_url=database_url))
    check = DatabaseCheck(edges, database_url)
    await check()
    with edges.database.transaction():
        pass
    await check()
    wrong = Edges(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    _ = wrong.database
    assert list(await Readiness({"database": DatabaseCheck(wrong, "")}).problems()) == ["database"]
    edges.close()


async def test_an_idle_worker_lets_go_of_its_connections_although_it_is_asked_whether_it_is_ready(owner_url: str) -> None:
    edges = Edges(Settings(database_url=owner_url))
    database = edges.__dict__["database"] = Database(owner_url, pool_size=4, application_name="kayan idle", idle_seconds=1)
    check = DatabaseCheck(edges, owner_url)

    def held() -> int:
        found = watcher.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kayan idle'").fetchone()
        return int(found[0]) if found else -1

    async def none_are_held_while_it_is_asked() -> bool:
        await check()
        return held() == 0

    with psycopg.connect(owner_url, autocommit=True) as watcher:
        with database.transaction(), database.transaction(), database.transaction():
            assert held() == 3
        await wait_until(none_are_held_while_it_is_asked, timeout=20)
        with database.transaction():  # the next job finds it as the first did
            assert held() == 1
    edges.close()


async def test_a_look_that_takes_too_long_is_told_in_words_and_with_what_would_help(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kayan_workers.readiness._ASIDE_SECONDS", 0.01)
    check = DatabaseCheck(Edges(Settings(database_url=database_url)), database_url)
    with pytest.raises(TemporaryError, match=r"^no answer within 0\.01 s; is the worker's CPU limit too low"):
        await check()


async def test_a_worker_whose_every_connection_is_at_work_is_ready(database_url: str) -> None:
    edges = Edges(Settings(database_url=database_url))
    with edges.database.transaction(), edges.database.transaction():
        with pytest.raises(AllBusyError, match="all 2 connections stayed busy"), edges.database.transaction(wait_seconds=0.05):
            pytest.fail("two are all that a process may have unless it is told otherwise")
        assert await Readiness({"database": DatabaseCheck(edges, database_url)}).problems() == {}
    edges.close()


async def test_a_role_that_may_have_no_more_connections_than_the_pool_is_not_asked_for_another(database_url: str) -> None:
    user = psycopg.conninfo.conninfo_to_dict(database_url)["user"]
    edges = Edges(Settings(database_url=database_url))
    with psycopg.connect(owner_of(database_url), autocommit=True) as owner:
        owner.execute(f'ALTER ROLE "{user}" CONNECTION LIMIT 2')
        try:
            with edges.database.transaction(), edges.database.transaction():
                with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
                    psycopg.connect(database_url)
                assert await Readiness({"database": DatabaseCheck(edges, database_url)}).problems() == {}
        finally:
            owner.execute(f'ALTER ROLE "{user}" CONNECTION LIMIT -1')
            edges.close()


async def test_readiness_says_at_once_that_a_database_in_use_refuses_and_why(database_url: str) -> None:
    for url, words in (("postgresql://nobody@127.0.0.1:1/none", "refused"), (as_role(database_url, "no_such_role"), "no_such_role")):
        edges = Edges(Settings(database_url=url))
        _ = edges.database
        assert words in (await Readiness({"database": DatabaseCheck(edges, url)}).problems())["database"]
        edges.close()


async def test_one_of_several_hosts_is_enough(owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        host, port, user = connection.info.host, connection.info.port, f"{connection.info.user}:{connection.info.password or 'x'}"
    name = urlsplit(owner_url).path
    async with Proxy(port, host) as proxy:
        for where in (f"{user}@127.0.0.1:1,127.0.0.1:{proxy.port}{name}", f"{user}@{name}?host=127.0.0.1,127.0.0.1&port=1,{proxy.port}"):
            await DatabaseCheck(Edges(Settings(database_url=f"postgresql://{where}")), f"postgresql://{where}")()


async def test_a_password_that_libpq_understands_does_not_hide_the_host(owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        host, port, user = connection.info.host, connection.info.port, connection.info.user
    async with Proxy(port, host) as proxy:
        url = f"postgresql://{user}:a#b@127.0.0.1:{proxy.port}{urlsplit(owner_url).path}"
        with suppress(TemporaryError):  # whether it lets us in with that
            await DatabaseCheck(Edges(Settings(database_url=url)), url)()
        assert proxy.accepted


async def test_a_database_that_has_refused_us_is_usable_only_once_we_may_log_in(owner_url: str) -> None:
    """Also when nobody has used it for so long that only whether it listens would be asked."""
    with role_with_password(owner_url) as role:
        wrong = role.at("right-some-day")
        edges = Edges(Settings(database_url=wrong))
        database = edges.__dict__["database"] = Database(wrong, pool_size=1, application_name="kayan", idle_seconds=0.2)
        check = DatabaseCheck(edges, wrong)
        check.doubt()
        for _ in range(2):
            with pytest.raises(TemporaryError, match=r"password authentication failed .* mend user and password in DATABASE_URL"):
                await check()
            await wait_until(lambda: not database.in_use)
        role.change_password("right-some-day")
        await check()
        edges.close()


async def test_trouble_with_a_bucket_counts_before_the_last_good_answer_is_old(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    check = StorageCheck(Edges(Settings(storage_folder=tmp_path / "objects")), None, "")
    await check()
    (tmp_path / "objects").rmdir()
    await check()
    check.doubt()
    with pytest.raises(TemporaryError, match="it is not there"):
        await check()


async def test_a_bucket_that_hung_is_found_well_within_seconds_of_its_return(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    where = urlsplit(s3.endpoint)
    assert where.port is not None
    async with Proxy(where.port, where.hostname or "") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{proxy.port}")
        edges = Edges(Settings(bucket=s3.bucket))
        _ = edges.storage
        check = StorageCheck(edges, s3.bucket, "us-east-1")
        await check()
        proxy.silent = True
        check.doubt()
        with pytest.raises(TemporaryError, match=f"bucket {s3.bucket}, looking whether it is there: "):
            await check()
        proxy.silent = False
        check.doubt()
        await check()
        edges.close()


async def test_a_panic_of_a_library_is_an_answer_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class PanicException(BaseException):
        """Not an Exception."""

    def panic(_: object) -> None:
        raise PanicException("index out of bounds")

    monkeypatch.setattr("kayan_workers.storage.FolderStorage.check", panic)
    check = StorageCheck(Edges(Settings(storage_folder=tmp_path)), None, "")
    with pytest.raises(RuntimeError, match="PanicException: index out of bounds"):
        await check()


def test_a_counter_is_one_series() -> None:
    metrics = Metrics()
    metrics.of("email", 1).completed.inc()
    assert b'kayan_jobs_completed_total{queue="email"} 1.0' in metrics.exposition()
    assert b"_created" not in metrics.exposition()


async def test_readiness_asks_redis(redis_url: str) -> None:
    server, absent = Server(RedisAddress(url=redis_url)), Server(RedisAddress(port=1))
    assert await Readiness({"redis": redis_check(server)}).problems() == {}
    assert "redis" in await Readiness({"redis": redis_check(absent)}).problems()
    await server.close()
    await absent.close()


async def test_the_depth_is_read_from_redis_and_kept_for_a_moment(redis_url: str) -> None:
    server = Server(RedisAddress(url=redis_url))
    queue = Queue("email", server)
    metrics = Metrics()
    depths = Depths({"email": queue}, metrics, keep_seconds=0.3)
    await queue.add({"to": "a"})
    assert await depths.refresh()
    await queue.add({"to": "b"})
    await depths.refresh()
    assert depths.last["email"]["waiting"] == 1
    await asyncio.sleep(0.3)
    await depths.refresh()
    assert b'kayan_queue_jobs{queue="email",state="waiting"} 2.0' in metrics.exposition()
    await queue.close()
    await server.close()


async def oldest_waiting(queue: Queue) -> float:
    """The gauge, in seconds, as Prometheus would read it now."""
    metrics = Metrics()
    assert await Depths({queue.name: queue}, metrics).refresh()
    value = metrics.registry.get_sample_value("kayan_queue_oldest_waiting_seconds", {"queue": queue.name})
    assert value is not None
    return value


async def test_the_age_of_the_next_job_counts_from_the_time_it_was_due(redis_url: str) -> None:
    now = time.time() * 1000
    server = Server(RedisAddress(url=redis_url))
    queue = Queue("email", server)
    assert await oldest_waiting(queue) == 0
    delayed = await queue.add({}, options=JobOptions(timestamp_ms=round(now - 3_600_000), delay_ms=3_000_000))
    assert await oldest_waiting(queue) == 0
    await queue.promote(delayed.id)
    assert await oldest_waiting(queue) == pytest.approx(600, abs=60)
    await queue.pause()
    assert await oldest_waiting(queue) == 0
    await queue.resume()
    await queue.add({}, options=JobOptions(timestamp_ms=round(now - 60_000)))
    assert await oldest_waiting(queue) == pytest.approx(600, abs=60)
    await server.commands.hset(f"bull:email:{delayed.id}", "processedOn", round(now - 120_000))
    assert await oldest_waiting(queue) == pytest.approx(120, abs=60)
    await queue.remove(delayed.id)
    assert await oldest_waiting(queue) == pytest.approx(60, abs=50)
    await queue.close()
    await server.close()


async def test_a_depth_that_cannot_be_read_stays_what_it_was_and_says_so() -> None:
    answers = [SimpleNamespace(waiting=5, active=0, completed=0, failed=0, delayed=0, paused=0, is_paused=False)]

    class Moody:
        async def counts(self) -> object:
            if not answers:
                raise ConnectionError
            return answers.pop()

        async def next_due_ms(self) -> float | None:
            return None

    metrics = Metrics()
    depths = Depths({"email": Moody()}, metrics, keep_seconds=0)
    assert await depths.refresh()
    assert not await depths.refresh()
    text = metrics.exposition()
    assert b'kayan_queue_jobs{queue="email",state="waiting"} 5.0' in text
    assert b"kayan_queue_depth_read_ok 0.0" in text


def test_an_answer_is_200_or_503() -> None:
    assert (Answer.json(True, {}).status, Answer.json(False, {}).status) == (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE)
