"""The Kubernetes API as this operator speaks it: paths in, plain dictionaries out.

The client is the official one (``kubernetes.aio``), without its models: custom resources have none, and of the others few fields are read.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, ApiException

Object = Mapping[str, Any]

TIMEOUT_SECONDS = 10.0
_PAGE = 100
"""Objects in one answer."""
FIELD_MANAGER = "kayan-operator"
"""Under which name ``managedFields`` of objects tell what we have written."""

GROUP = "workers.kayanlive.com"
VERSION = "v1alpha1"

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

Observe = Callable[[str, str, int], None]
"""Hears of each request: verb, resource, status code (0 when there was no answer)."""


class ApiError(Exception):
    """The API server refused or did not answer; ``code`` is the HTTP status, 0 without an answer. The text is a sentence of its."""

    def __init__(self, code: int, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def is_gone(self) -> bool:
        return self.code == HTTPStatus.NOT_FOUND

    @property
    def is_conflict(self) -> bool:
        """Somebody else was quicker: look again."""
        return self.code == HTTPStatus.CONFLICT

    @property
    def is_forbidden(self) -> bool:
        return self.code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

    @property
    def may_heal(self) -> bool:
        """Trying again later may help: no answer, an overload, a server error."""
        return not self.code or self.code == HTTPStatus.TOO_MANY_REQUESTS or self.code >= HTTPStatus.INTERNAL_SERVER_ERROR


class Kube:
    """The API server. Every call raises ApiError when it fails."""

    def __init__(self, client: ApiClient, observe: Observe = lambda verb, resource, code: None,
                 *, may_write: Callable[[], float] | None = None) -> None:
        """``may_write`` says for how many seconds from now whatever changes something may take; with 0 it is not sent."""
        self.client = client
        self._observe = observe
        self._may_write = may_write

    async def get(self, path: str) -> dict[str, Any]:
        return await self._call("GET", path)

    async def pages(self, path: str, *, labels: str = "") -> AsyncIterator[list[dict[str, Any]]]:
        """All objects under ``path``, of those that ``labels`` (a selector) matches, some at a time: to read hundreds of them in one go
        would keep everything else waiting."""
        query = {"limit": str(_PAGE)} | ({"labelSelector": labels} if labels else {})
        while True:
            page = await self._call("GET", path, query=query)
            yield page.get("items") or []
            if not (more := page.get("metadata", {}).get("continue")):
                return
            query["continue"] = more

    async def list(self, path: str, *, labels: str = "") -> list[dict[str, Any]]:
        """The same, all together."""
        return [one async for page in self.pages(path, labels=labels) for one in page]

    async def create(self, path: str, body: Object) -> dict[str, Any]:
        return await self._call("POST", path, body)

    async def replace(self, path: str, body: Object) -> dict[str, Any]:
        return await self._call("PUT", path, body)

    async def merge(self, path: str, patch: Object) -> dict[str, Any]:
        """A merge patch (RFC 7386): None takes a field away."""
        return await self._call("PATCH", path, patch, MERGE)

    async def patch(self, path: str, operations: Sequence[Object]) -> dict[str, Any]:
        """A JSON patch (RFC 6902). A ``test`` that fails is 422."""
        return await self._call("PATCH", path, list(operations), JSON_PATCH)

    async def delete(self, path: str, *, uid: str = "") -> dict[str, Any]:
        """With a ``uid`` only that very object."""
        return await self._call("DELETE", path, {"preconditions": {"uid": uid}} if uid else None)

    async def _call(self, verb: str, path: str, body: Any = None, content_type: str = "application/json",
                    query: Mapping[str, str] | None = None) -> dict[str, Any]:
        resource = _resource(path)
        headers = {"Accept": "application/json", "Content-Type": content_type}
        if verb in ("POST", "PUT", "PATCH"):
            query = {**(query or {}), "fieldManager": FIELD_MANAGER}
        try:
            where = path + (f"?{urlencode(query)}" if query else "")
            _, url, headers, *_ = await self.client.param_serialize(verb, where, header_params=headers, auth_settings=["BearerToken"])
            patience = self._patience(verb)
            response = await self.client.call_api(verb, url, headers, body, _request_timeout=patience)
            data = await response.read()  # type: ignore[no-untyped-call]
        except ApiException as error:
            self._observe(verb, resource, error.status or 0)
            raise _refusal(error) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._observe(verb, resource, 0)
            raise ApiError(0, f"the Kubernetes API does not answer ({str(error) or type(error).__name__})") from error
        self._observe(verb, resource, response.status)
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _refused(response.status, data)
        answer = json.loads(data) if data else {}
        return answer if isinstance(answer, dict) else {}

    def _patience(self, verb: str) -> float:
        """Looked at in the last moment: between a decision and its writing anything may have happened, to the whole process too."""
        if verb == "GET" or self._may_write is None:
            return TIMEOUT_SECONDS
        if (left := self._may_write()) <= 0:
            raise ApiError(0, "this replica does not lead any more, so it writes nothing")
        return min(left, TIMEOUT_SECONDS)


def _resource(path: str) -> str:
    """The plural and subresource of a path, for metrics: ``deployments/scale``."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if len(parts) > 2 and parts[0] == "namespaces":
        parts = parts[2:]
    return "/".join(parts[::2])


def _refusal(error: ApiException) -> ApiError:
    return _refused(error.status or 0, error.body)


def _refused(code: int, body: Any) -> ApiError:
    try:
        status = json.loads(body)
        return ApiError(code, str(status["message"]), str(status.get("reason", "")))
    except (TypeError, ValueError, KeyError):
        return ApiError(code, f"the Kubernetes API answers {code}")


# -- paths -----------------------------------------------------------------------------------------------------------------------


def _path(prefix: str, namespace: str, plural: str, name: str = "", subresource: str = "") -> str:
    parts = [prefix, "namespaces", quote(namespace), plural] if namespace else [prefix, plural]
    return "/".join([*parts, *filter(None, (quote(name), subresource))])


def scalers(namespace: str, name: str = "", subresource: str = "") -> str:
    return _path(f"/apis/{GROUP}/{VERSION}", namespace, "queuescalers", name, subresource)


def budgets(namespace: str, name: str = "", subresource: str = "") -> str:
    return _path(f"/apis/{GROUP}/{VERSION}", namespace, "fleetbudgets", name, subresource)


def deployments(namespace: str, name: str = "", subresource: str = "") -> str:
    return _path("/apis/apps/v1", namespace, "deployments", name, subresource)


def replica_sets(namespace: str) -> str:
    return _path("/apis/apps/v1", namespace, "replicasets")


def pods(namespace: str, name: str = "") -> str:
    return _path("/api/v1", namespace, "pods", name)


def autoscalers(namespace: str, name: str = "") -> str:
    return _path("/apis/autoscaling/v2", namespace, "horizontalpodautoscalers", name)


def leases(namespace: str, name: str = "") -> str:
    return _path("/apis/coordination.k8s.io/v1", namespace, "leases", name)


def events(namespace: str) -> str:
    return _path("/apis/events.k8s.io/v1", namespace, "events")
