"""TLS on one port, whose certificate and trusted authorities change while it is listened on."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import pytest
import trustme
import uvloop
from aiohttp import web
from kayan_operator.metrics_api.certificates import Lifetimes, Material, made
from kayan_operator.metrics_api.front_proxy import common_name
from kayan_operator.metrics_api.listener import Listener, is_current
from unit.operator.metrics_api.conftest import client_context, pem, session
from waiting import wait_until


def material() -> Material:
    return made(["localhost"], datetime.now(UTC), Lifetimes())


async def who(request: web.Request) -> web.Response:
    certificate = request.get_extra_info("peercert")
    return web.json_response({"name": common_name(certificate) if certificate else "", "current": is_current(request)})


@asynccontextmanager
async def listening(
    first: Material, untrusted: Callable[[], None] = lambda: None, host: str | None = "127.0.0.1"
) -> AsyncIterator[Listener]:
    application = web.Application()
    application.router.add_get("/", who)
    listener = Listener(application, host=host, port=0, untrusted=untrusted)
    listener.present(first.chain)
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


async def asked(listener: Listener, context: ssl.SSLContext, address: str = "localhost") -> str:
    """The name that our certificate has over there, on a new connection."""
    url = f"https://{address}:{listener.port}/"
    async with session(context) as client, client.get(url, server_hostname="localhost") as response:
        return str((await response.json())["name"])


async def test_strict_clients_verify_it_with_the_bundle_and_with_no_other() -> None:
    ours, others = material(), material()
    async with listening(ours) as listener:
        assert await asked(listener, client_context(trusting=ours.bundle.decode())) == ""
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await asked(listener, client_context(trusting=others.bundle.decode()))


async def test_one_port_is_listened_on_at_the_addresses_of_both_families() -> None:
    ours = material()
    async with listening(ours, host=None) as listener:
        for address in ("127.0.0.1", "[::1]") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
            assert await asked(listener, client_context(trusting=ours.bundle.decode()), address) == ""


async def test_a_client_is_known_by_its_certificate_and_welcome_without_one(front_proxy_ca: trustme.CA) -> None:
    async with listening(material()) as listener:
        listener.trust(pem(front_proxy_ca))

        assert await asked(listener, client_context(front_proxy_ca)) == "front-proxy-client"
        assert await asked(listener, client_context()) == ""


async def test_each_authority_of_a_bundle_is_trusted(front_proxy_ca: trustme.CA, stranger_ca: trustme.CA) -> None:
    async with listening(material()) as listener:
        listener.trust(pem(stranger_ca) + "\n" + pem(front_proxy_ca))

        assert await asked(listener, client_context(front_proxy_ca)) == "front-proxy-client"
        assert await asked(listener, client_context(stranger_ca, name="x")) == "x"


async def test_an_authority_that_another_one_issued_is_trusted_by_itself() -> None:
    intermediate = trustme.CA().create_child_ca()
    async with listening(material()) as listener:
        listener.trust(pem(intermediate))

        assert await asked(listener, client_context(intermediate)) == "front-proxy-client"


async def test_a_certificate_of_a_stranger_is_refused_and_noticed(front_proxy_ca: trustme.CA, stranger_ca: trustme.CA) -> None:
    noticed: list[None] = []
    async with listening(material(), lambda: noticed.append(None)) as listener:
        listener.trust(pem(front_proxy_ca))

        with pytest.raises(aiohttp.ClientError):
            await asked(listener, client_context(stranger_ca))
        await wait_until(lambda: noticed)
        assert await asked(listener, client_context()) == "", "and nobody else is"


async def test_other_authorities_hold_for_the_next_connection(front_proxy_ca: trustme.CA, stranger_ca: trustme.CA) -> None:
    async with listening(material()) as listener:
        listener.trust(pem(front_proxy_ca))
        port = listener.port

        listener.trust(pem(stranger_ca))

        assert await asked(listener, client_context(stranger_ca)) == "front-proxy-client"
        with pytest.raises(aiohttp.ClientError):
            await asked(listener, client_context(front_proxy_ca))
        assert listener.port == port


async def test_another_certificate_is_shown_on_the_next_connection() -> None:
    first, second = material(), material()
    async with listening(first) as listener:
        listener.present(second.chain)

        assert await asked(listener, client_context(trusting=second.bundle.decode())) == ""
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await asked(listener, client_context(trusting=first.bundle.decode()))


async def test_an_old_connection_gets_its_answer_knows_that_it_is_old_and_is_closed() -> None:
    first, second = material(), material()
    both = (first.bundle + second.bundle).decode()
    async with listening(first) as listener, session(client_context(trusting=both)) as client:

        async def current() -> tuple[bool, str]:
            async with client.get(f"https://localhost:{listener.port}/") as response:
                return (await response.json())["current"], response.headers.get("Connection", "")

        assert await current() == (True, "")
        listener.present(second.chain)
        assert await current() == (False, "close")
        assert await current() == (True, "")


async def test_the_same_again_disturbs_nobody() -> None:
    first = material()
    async with listening(first) as listener, session(client_context()) as client:
        for _ in range(2):
            async with client.get(f"https://localhost:{listener.port}/") as response:
                assert (await response.json())["current"]
            listener.present(first.chain)


async def test_requests_go_on_while_certificates_and_authorities_change(front_proxy_ca: trustme.CA, stranger_ca: trustme.CA) -> None:
    first, second = material(), material()
    context = client_context(front_proxy_ca, trusting=(first.bundle + second.bundle).decode())
    async with listening(first) as listener, session(context) as client:
        listener.trust(pem(front_proxy_ca))
        answers, going_on = 0, True

        async def keep_asking() -> None:
            nonlocal answers
            while going_on:
                async with client.get(f"https://localhost:{listener.port}/") as response:
                    assert (await response.json())["name"] == "front-proxy-client"
                    answers += 1

        askers = [asyncio.create_task(keep_asking()) for _ in range(4)]
        for turn in range(20):
            seen = answers
            listener.present((second, first)[turn % 2].chain)
            listener.trust(pem(front_proxy_ca) + (pem(stranger_ca) if turn % 3 else ""))
            await wait_until(lambda seen=seen: answers >= seen + 10)
        going_on = False
        await asyncio.gather(*askers)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_protocols_are_not_spoken() -> None:
    async with listening(material()) as listener:
        context = client_context()
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(aiohttp.ClientConnectorError):
            await asked(listener, context)


async def test_no_session_is_taken_up_again(front_proxy_ca: trustme.CA) -> None:
    async with listening(material()) as listener:
        listener.trust(pem(front_proxy_ca))
        context = client_context(front_proxy_ca)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await reader.read()

        assert writer.get_extra_info("ssl_object").session is None or not writer.get_extra_info("ssl_object").session.has_ticket
        writer.close()


def test_it_is_the_same_on_uvloop(front_proxy_ca: trustme.CA, stranger_ca: trustme.CA) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_one_port_is_listened_on_at_the_addresses_of_both_families())
        runner.run(test_other_authorities_hold_for_the_next_connection(front_proxy_ca, stranger_ca))
        runner.run(test_a_certificate_of_a_stranger_is_refused_and_noticed(front_proxy_ca, stranger_ca))
        runner.run(test_an_old_connection_gets_its_answer_knows_that_it_is_old_and_is_closed())
        runner.run(test_requests_go_on_while_certificates_and_authorities_change(front_proxy_ca, stranger_ca))


async def test_to_stop_finishes_the_answer_under_way_and_closes_who_is_idle() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        began.set()
        await go_on.wait()
        return web.Response(text="done")

    application = web.Application()
    application.router.add_get("/", slow)
    listener = Listener(application, host="127.0.0.1", port=0, untrusted=lambda: None)
    listener.present(material().chain)
    await listener.start()
    url = f"https://127.0.0.1:{listener.port}/"
    idle = await asyncio.open_connection("127.0.0.1", listener.port, ssl=client_context())
    async with session(client_context()) as client:
        answer = asyncio.create_task(client.get(url))
        await began.wait()

        stopping = asyncio.create_task(listener.stop())
        go_on.set()

        assert await (await answer).text() == "done"
        await stopping
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get(url)
    assert await idle[0].read() == b""
    idle[1].close()
