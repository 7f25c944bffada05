"""Whatever Kubernetes or something before it answers, it comes out as an object or as an error that says what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kayan_operator.metrics_api import kubernetes_api
from kayan_operator.metrics_api.kubernetes_api import ConflictError, ForbiddenError, KubernetesApi, KubernetesError
from kubernetes.aio.client import ApiClient, Configuration
from unit.operator.metrics_api.kubernetes_double import KubernetesDouble

PATH = "/api/v1/namespaces/kayan/secrets/one"


@pytest.fixture
async def odd() -> AsyncIterator[KubernetesApi]:
    """What stands before some clusters: a proxy that answers in its own way, by the path."""

    async def answer(request: web.Request) -> web.Response:
        match request.path:
            case "/slow":
                await asyncio.sleep(60)
            case "/page":
                return web.Response(text="<html>Bad gateway</html>", status=502, content_type="text/html")
            case "/list":
                return web.json_response([1])
            case "/who":
                return web.json_response({"authorization": request.headers.get("Authorization"), "accept": request.headers["Accept"]})
        return web.Response()

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(application) as server:
        configuration = Configuration(host=str(server.make_url("")).rstrip("/"))
        configuration.api_key = {"BearerToken": "of-the-operator"}
        configuration.api_key_prefix = {"BearerToken": "Bearer"}
        async with ApiClient(configuration) as client:
            yield KubernetesApi(client)


async def test_it_asks_as_whom_the_client_is(odd: KubernetesApi) -> None:
    assert await odd.find("/who") == {"authorization": "Bearer of-the-operator", "accept": "application/json"}


async def test_an_empty_answer_is_an_empty_object(odd: KubernetesApi) -> None:
    assert await odd.find("/empty") == {}


@pytest.mark.parametrize("path", ["/page", "/list"])
async def test_what_is_no_object_is_no_answer(odd: KubernetesApi, path: str) -> None:
    with pytest.raises(KubernetesError, match=f"GET {path}: Kubernetes does not answer"):
        await odd.find(path)


async def test_patience_ends(odd: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_api, "PATIENCE_SECONDS", 0.1)

    with pytest.raises(KubernetesError, match="GET /slow: Kubernetes does not answer"):
        await odd.find("/slow")


async def test_nobody_there_is_no_answer(api: KubernetesApi, kubernetes: KubernetesDouble) -> None:
    await kubernetes.stop()

    with pytest.raises(KubernetesError, match=f"GET {PATH}: Kubernetes does not answer") as error:
        await api.find(PATH)
    assert error.value.status == 0


@pytest.mark.parametrize(("status", "kind"), [(403, ForbiddenError), (409, ConflictError), (401, KubernetesError), (500, KubernetesError)])
async def test_a_refusal_says_what_was_asked_and_why_not(
    api: KubernetesApi, kubernetes: KubernetesDouble, status: int, kind: type[KubernetesError]
) -> None:
    kubernetes.refused[PATH] = status

    with pytest.raises(kind, match=f"PATCH {PATH}: {PATH} is refused") as error:
        await api.patch(PATH, {})
    assert (type(error.value), error.value.status) == (kind, status)


async def test_what_is_not_there_is_none_to_find_and_an_error_to_change(api: KubernetesApi) -> None:
    assert await api.find(PATH) is None
    with pytest.raises(KubernetesError, match="not found"):
        await api.patch(PATH, {"data": {}})
