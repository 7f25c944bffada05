"""Who a caller is, over real TLS: the headers count only with the front proxy's certificate, a token by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
import trustme
from aiohttp import web
from kayan_operator.metrics_api.authentication import Authenticator
from kayan_operator.metrics_api.certificates import Lifetimes, made
from kayan_operator.metrics_api.front_proxy import CONFIG_MAP, FrontProxy
from kayan_operator.metrics_api.kubernetes_api import KubernetesApi
from kayan_operator.metrics_api.listener import Listener
from kayan_operator.metrics_api.tokens import Tokens
from unit.operator.metrics_api.conftest import client_context, pem, session
from unit.operator.metrics_api.kubernetes_double import KubernetesDouble

HPA = {"X-Remote-User": "hpa", "X-Remote-Group": "system:serviceaccounts"}
NOBODY = "nobody"


class Gate:
    """A listener that answers with the caller's name, and counts suspicions."""

    def __init__(self, api: KubernetesApi, kubernetes: KubernetesDouble) -> None:
        self.suspicions = 0
        self.kubernetes = kubernetes
        self.authenticator = Authenticator(Tokens(api), self._suspect)
        application = web.Application()
        application.router.add_get("/", self._answer)
        self.listener = Listener(application, host="127.0.0.1", port=0, untrusted=self._suspect)
        self.listener.present(made(["localhost"], datetime.now(UTC), Lifetimes()).chain)

    def knows(self, authorities: str, **entries: str) -> None:
        self.kubernetes.knows_front_proxy(authorities, **entries)
        front_proxy = FrontProxy.parse(self.kubernetes.objects[CONFIG_MAP]["data"])
        self.listener.trust(front_proxy.authorities)
        self.authenticator.front_proxy = front_proxy

    async def caller(self, client: aiohttp.ClientSession, **headers: str) -> str:
        async with client.get(f"https://localhost:{self.listener.port}/", headers=headers) as response:
            return await response.text()

    def _suspect(self) -> None:
        self.suspicions += 1

    async def _answer(self, request: web.Request) -> web.Response:
        who = await self.authenticator.identify(request)
        return web.Response(text=who.name if who else NOBODY)


@pytest.fixture
async def gate(api: KubernetesApi, kubernetes: KubernetesDouble) -> AsyncIterator[Gate]:
    gate = Gate(api, kubernetes)
    await gate.listener.start()
    yield gate
    await gate.listener.stop()


async def test_the_front_proxy_says_for_whom_it_asks_in_every_request_anew(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    gate.knows(pem(front_proxy_ca))
    async with session(client_context(front_proxy_ca)) as client:
        assert [await gate.caller(client, **{"X-Remote-User": name}) for name in ("ada", "eve", "")] == ["ada", "eve", NOBODY]
    assert gate.suspicions == 0


async def test_headers_without_a_certificate_are_nothing(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    gate.knows(pem(front_proxy_ca))
    async with session(client_context()) as client:
        assert await gate.caller(client, **HPA) == NOBODY


async def test_before_the_front_proxy_is_known_headers_are_nothing(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    async with session(client_context()) as client:
        assert await gate.caller(client, **HPA) == NOBODY
    with pytest.raises(aiohttp.ClientError):
        async with session(client_context(front_proxy_ca)) as client:
            await gate.caller(client, **HPA)
    assert gate.suspicions > 0


async def test_a_certificate_of_another_name_is_nothing_and_suspicious(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    gate.knows(pem(front_proxy_ca))
    async with session(client_context(front_proxy_ca, name="kube-scheduler")) as client:
        assert await gate.caller(client, **HPA) == NOBODY
    assert gate.suspicions == 1


async def test_where_any_name_will_do_it_does(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    gate.knows(pem(front_proxy_ca), **{"requestheader-allowed-names": "[]"})
    async with session(client_context(front_proxy_ca, name="kube-scheduler")) as client:
        assert await gate.caller(client, **HPA) == "hpa"


async def test_a_connection_outlives_a_rotation_that_still_trusts_its_authority(
    gate: Gate, front_proxy_ca: trustme.CA, stranger_ca: trustme.CA
) -> None:
    gate.knows(pem(front_proxy_ca))
    async with session(client_context(front_proxy_ca)) as client:
        assert await gate.caller(client, **HPA) == "hpa"
        gate.knows(pem(stranger_ca) + pem(front_proxy_ca))
        assert await gate.caller(client, **HPA) == "hpa"
    assert gate.suspicions == 0


async def test_a_connection_is_nobodys_when_its_authority_is_trusted_no_more(
    gate: Gate, front_proxy_ca: trustme.CA, stranger_ca: trustme.CA
) -> None:
    gate.knows(pem(front_proxy_ca))
    async with session(client_context(front_proxy_ca)) as client:
        assert await gate.caller(client, **HPA) == "hpa"
        gate.knows(pem(stranger_ca))
        assert await gate.caller(client, **HPA) == NOBODY
        with pytest.raises(aiohttp.ClientError):
            await gate.caller(client, **HPA)
    assert gate.suspicions > 0


async def test_a_name_that_is_allowed_no_more_is_nobodys_on_an_open_connection(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    gate.knows(pem(front_proxy_ca))
    async with session(client_context(front_proxy_ca)) as client:
        assert await gate.caller(client, **HPA) == "hpa"
        gate.knows(pem(front_proxy_ca), **{"requestheader-allowed-names": '["another"]'})
        assert await gate.caller(client, **HPA) == NOBODY


async def test_a_token_vouches_for_its_owner_and_never_for_whom_the_headers_name(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    gate.knows(pem(front_proxy_ca))
    gate.kubernetes.owners["good"] = {"username": "ada"}
    async with session(client_context()) as client:
        assert await gate.caller(client, Authorization="Bearer good", **HPA) == "ada"
        assert await gate.caller(client, Authorization="bearer  good ") == "ada"
        assert await gate.caller(client, Authorization="Bearer made-up", **HPA) == NOBODY
        assert await gate.caller(client, Authorization="Basic good") == NOBODY
        assert await gate.caller(client, Authorization="Bearer ") == NOBODY


async def test_the_front_proxys_word_comes_before_a_token(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    gate.knows(pem(front_proxy_ca))
    gate.kubernetes.owners["good"] = {"username": "ada"}
    async with session(client_context(front_proxy_ca)) as client:
        assert await gate.caller(client, Authorization="Bearer good", **HPA) == "hpa"
        assert await gate.caller(client, Authorization="Bearer good") == "ada"


async def test_callers_on_one_port_are_never_taken_for_each_other(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    gate.knows(pem(front_proxy_ca))
    async with session(client_context(front_proxy_ca)) as proxy, session(client_context()) as stranger:

        async def names(client: aiohttp.ClientSession) -> set[str]:
            return {await gate.caller(client, **HPA) for _ in range(50)}

        assert await asyncio.gather(*(names(client) for client in (proxy, stranger) * 3)) == [{"hpa"}, {NOBODY}] * 3


async def test_a_caller_may_have_many_groups_and_a_long_selector(gate: Gate, front_proxy_ca: trustme.CA) -> None:
    gate.knows(pem(front_proxy_ca))
    headers = [("X-Remote-User", "ada"), *(("X-Remote-Group", f"group-{number}") for number in range(1000))]
    async with (
        session(client_context(front_proxy_ca)) as client,
        client.get(f"https://localhost:{gate.listener.port}/?labelSelector={'x' * 50_000}", headers=headers) as response,
    ):
        assert (response.status, await response.text()) == (200, "ada")
