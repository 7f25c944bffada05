"""A small API server in the shape of Kubernetes': objects with versions, reviews, and troubles on demand. It listens on a real port."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

Object = dict[str, Any]

CONFIG_MAP = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


class KubernetesDouble:
    """``objects`` are by path; ``refused`` maps the beginning of paths, or of a method and a path, to a status."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.rights: set[tuple[str, str, str]] = set()
        """User, namespace and metric."""
        self.owners: dict[str, Object] = {}
        """Token to what a TokenReview says of its user."""
        self.refused: dict[str, int] = {}
        self.asked: Counter[str] = Counter()
        """How often for each method and path."""
        self.reviews: list[Object] = []
        self._versions = itertools.count(1)
        self._server: TestServer | None = None
        self._port = 0

    async def start(self) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(application, port=self._port or None)
        await self._server.start_server()
        self._port = self._server.port or 0

    async def stop(self) -> None:
        """From now on connections are refused, until it is started again."""
        if self._server:
            await self._server.close()
            self._server = None

    def client(self) -> ApiClient:
        return ApiClient(Configuration(host=f"http://127.0.0.1:{self._port}"))

    def put(self, path: str, found: Object) -> Object:
        """Store an object as somebody else would."""
        metadata = {"uid": str(uuid.uuid4()), **found.get("metadata", {}), "resourceVersion": str(next(self._versions))}
        self.objects[path] = {**found, "metadata": metadata}
        return self.objects[path]

    def knows_front_proxy(self, authorities_pem: str, **entries: str) -> None:
        """The ConfigMap, as kube-apiserver writes it."""
        data = {
            "requestheader-client-ca-file": authorities_pem, "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-username-headers": '["X-Remote-User"]', "requestheader-uid-headers": '["X-Remote-Uid"]',
            "requestheader-group-headers": '["X-Remote-Group"]', "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        }  # fmt: skip
        self.put(CONFIG_MAP, {"data": data | entries})

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked[f"{request.method} {request.path}"] += 1
        for beginning, status in self.refused.items():
            if request.path.startswith(beginning) or f"{request.method} {request.path}".startswith(beginning):
                return _status(status, f"{request.path} is refused")
        body = await request.json() if request.can_read_body else {}
        match request.method, request.path:
            case "POST", path if path == ACCESS_REVIEWS:
                return self._access(body)
            case "POST", path if path == TOKEN_REVIEWS:
                user = self.owners.get(body["spec"]["token"])
                return web.json_response(body | {"status": {"authenticated": user is not None, "user": user or {}}}, status=201)
            case "GET", path if path in self.objects:
                return web.json_response(self.objects[path])
            case "POST", path:
                return self._create(f"{path}/{body['metadata']['name']}", body)
            case "PATCH", path if path in self.objects:
                return self._patch(path, body)
            case "DELETE", path if path in self.objects:
                return self._delete(path, body)
        return _status(404, f"{request.path} not found")

    def _access(self, body: Object) -> web.Response:
        self.reviews.append(body["spec"])
        attributes = body["spec"]["resourceAttributes"]
        allowed = (body["spec"]["user"], attributes["namespace"], attributes["resource"]) in self.rights
        return web.json_response(body | {"status": {"allowed": allowed}}, status=201)

    def _create(self, path: str, body: Object) -> web.Response:
        if path in self.objects:
            return _status(409, f"{path} exists")
        return web.json_response(self.put(path, body), status=201)

    def _patch(self, path: str, body: Object) -> web.Response:
        found = self.objects[path]
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted and wanted != found["metadata"]["resourceVersion"]:
            return _status(409, f"{path} has changed")
        return web.json_response(self.put(path, _merged(found, body)))

    def _delete(self, path: str, body: Object) -> web.Response:
        if body.get("preconditions", {}).get("uid") not in (None, self.objects[path]["metadata"]["uid"]):
            return _status(409, f"{path} is another one")
        return web.json_response(self.objects.pop(path))


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)


def _merged(under: Object, over: Object) -> Object:
    both = {key: _merged(under[key], over[key]) for key in under.keys() & over.keys() if isinstance(over[key], dict) and under[key]}
    return under | over | both
