"""The images, built once a run, and servers that their containers reach by name: the fixtures of every test, in a network of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from urllib.parse import urlsplit, urlunsplit

import boxes
import psycopg
import pytest
import servers
from boxes import Surroundings
from databases import fleet_roles_of, template_of
from redis import Redis
from servers import S3Server
from testcontainers.core.network import Network
from waiting import wait_until_ready


@pytest.fixture(scope="session")
def image() -> Callable[[str], str]:
    """Builds the image of a family, once; returns its name."""
    boxes.require_docker()
    return cache(boxes.build)


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    boxes.require_docker()
    with Network() as network:
        yield network


@pytest.fixture(scope="session")
def redis_server_url(network: Network) -> Iterator[str]:
    with servers.container(servers.REDIS_IMAGE, 6379, network=network, alias="redis") as address:
        url = f"redis://{address}/0"
        wait_until_ready(lambda: Redis.from_url(url).ping(), 30, what=servers.REDIS_IMAGE)
        yield url


@pytest.fixture(scope="session")
def postgres_url(network: Network) -> Iterator[str]:
    with servers.container(servers.POSTGRES_IMAGE, 5432, {"POSTGRES_PASSWORD": "kayan"}, network=network, alias="postgres") as address:
        url = f"postgresql://postgres:kayan@{address}/postgres"
        wait_until_ready(lambda: psycopg.connect(url).close(), 60, what=servers.POSTGRES_IMAGE)
        yield url


@pytest.fixture(scope="session")
def fleet_roles(postgres_url: str) -> Iterator[dict[str, str]]:
    """Of that server: those of the other tests, on another, live as long as the run."""
    with fleet_roles_of(postgres_url) as roles:
        yield roles


@pytest.fixture(scope="session")
def database_template(postgres_url: str, fleet_roles: dict[str, str]) -> Iterator[str]:
    with template_of(postgres_url, fleet_roles) as name:
        yield name


@pytest.fixture(scope="session")
def s3_server(network: Network) -> Iterator[S3Server]:
    access, secret = servers.S3_KEYS
    settings = {"ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret}
    command = "posix --sidecar /var /tmp"
    with servers.container(servers.S3_IMAGE, 7070, settings, command, network=network, alias="s3") as address:
        yield servers.s3_when_ready(S3Server(f"http://{address}", access, secret))


@pytest.fixture
def surroundings(network: Network, redis_url: str, database_url: str, s3: S3Server) -> Surroundings:
    """What a worker in a container is told about this test's servers."""
    role = urlsplit(database_url).netloc.rpartition("@")[0]
    return Surroundings(network.name, {
        "REDIS_HOST": "redis",
        "DATABASE_URL": urlunsplit(urlsplit(database_url)._replace(netloc=f"{role}@postgres:5432")),
        "AWS_S3_BUCKET": s3.bucket,
        "AWS_ENDPOINT_URL_S3": "http://s3:7070",
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_CLOUDFRONT_URL": "https://cdn.example.com",
        "KAYAN_MAIL": "outbox:/tmp/outbox",
    })  # fmt: skip
