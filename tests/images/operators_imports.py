"""Runs inside of the operator's image: every module of it is imported, and its Kubernetes client speaks to a server of plain HTTP."""

import asyncio
import importlib
import json
import pathlib
import pkgutil

import kayan_operator
import kopf
from aiohttp import web
from kayan_operator.cluster.kube import ApiError, Kube
from kubernetes.aio import config
from kubernetes.aio.client import ApiException, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config, new_client_from_config

KUBECONFIG = pathlib.Path("/tmp/kubeconfig")


def every_module() -> int:
    names = [found.name for found in pkgutil.walk_packages(kayan_operator.__path__, "kayan_operator.") if found.name[-8:] != "__main__"]
    return len([importlib.import_module(name) for name in names])


async def heard(request: web.Request) -> web.Response:
    if request.path.endswith("/gone"):
        return web.json_response({"kind": "Status", "message": "there is no such pod", "reason": "NotFound", "code": 404}, status=404)
    body = json.loads(await request.text() or "{}")
    told = {"method": request.method, "type": request.content_type, "token": request.headers.get("Authorization")}
    return web.json_response({**told, "body": body})


async def speaks() -> None:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", heard)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 8001).start()
    await load_kube_config(str(KUBECONFIG))
    client = await new_client_from_config(str(KUBECONFIG))
    async with client:
        api = Kube(client)
        print(json.dumps(await api.merge("/api/v1/namespaces/live/pods/a", {"metadata": {"annotations": None}})))
        try:
            await api.get("/api/v1/namespaces/live/pods/gone")
        except ApiError as error:
            print(error)
    await runner.cleanup()


KUBECONFIG.write_text(json.dumps({
    "current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
    "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:8001"}}], "users": [{"name": "a", "user": {"token": "secret"}}],
}))  # fmt: skip
print("modules", every_module())
print("kopf", kopf.__name__, ApiException.__name__, Configuration.__name__, config.__name__)
try:
    load_incluster_config()
except ConfigException as error:
    print(error)
asyncio.run(speaks())
