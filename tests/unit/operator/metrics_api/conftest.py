"""A Kubernetes to ask, a front proxy that may speak for others, and a clock that tests move."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
import trustme
from kayan_operator.metrics_api.kubernetes_api import KubernetesApi, Object
from structlog.testing import capture_logs
from unit.operator.metrics_api.kubernetes_double import KubernetesDouble

FRONT_PROXY = "front-proxy-client"


@dataclass
class Clock:
    """A time of day that only tests move on. It begins in the past, so that what is made by it holds today."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@dataclass
class Seconds:
    """Counts seconds, as far as tests say that they have passed."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC).replace(microsecond=0) - timedelta(days=80))


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def kubernetes() -> AsyncIterator[KubernetesDouble]:
    double = KubernetesDouble()
    await double.start()
    yield double
    await double.stop()


@pytest.fixture
async def api(kubernetes: KubernetesDouble) -> AsyncIterator[KubernetesApi]:
    async with kubernetes.client() as client:
        yield KubernetesApi(client)


@pytest.fixture
def logged() -> Iterator[list[Object]]:
    """The events that are logged during the test."""
    with capture_logs() as events:
        yield events


@pytest.fixture(scope="session")
def front_proxy_ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def stranger_ca() -> trustme.CA:
    return trustme.CA()


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


def client_context(authority: trustme.CA | None = None, *, name: str = FRONT_PROXY, trusting: str = "") -> ssl.SSLContext:
    """A client with a certificate of ``authority``, or with none; ``trusting`` is the bundle that it verifies us with, if at all."""
    context = ssl.create_default_context(cadata=trusting or None)
    # as Python 3.13 and later have it by default
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if not trusting:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if authority:
        authority.issue_cert("client.test", common_name=name).configure_cert(context)
    return context


def session(context: ssl.SSLContext, *, keep_alive: bool = True) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, force_close=not keep_alive))
