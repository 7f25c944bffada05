"""The few questions that the metrics API asks of Kubernetes, in plain JSON.

The client's generated models would cost 25 MB of memory for a dozen fields, and refuse objects that they do not know every field of.
"""

from __future__ import annotations

import json
from typing import Any, Final

import aiohttp
from kayan_workers.errors import TemporaryError
from kubernetes.aio.client import ApiClient

Object = dict[str, Any]
"""A Kubernetes object as JSON has it."""

PATIENCE_SECONDS: Final = 5.0
"""How long an answer may take. Whoever asks has something to go on with, or asks again."""


class KubernetesError(TemporaryError):
    """Kubernetes did not answer, or not as hoped. ``status`` is the HTTP status, 0 when there was no answer."""

    def __init__(self, says: str, status: int = 0) -> None:
        super().__init__(says)
        self.status = status


class ForbiddenError(KubernetesError):
    """A right is missing."""


class ConflictError(KubernetesError):
    """Somebody else was there first: the object exists already, or has changed since it was read."""


_KINDS: Final = {403: ForbiddenError, 409: ConflictError}


class KubernetesApi:
    """Reads and writes objects by their path, with the credentials of a client."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def find(self, path: str) -> Object | None:
        """The object, or None when there is none."""
        try:
            return await self._ask("GET", path)
        except KubernetesError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, path: str, body: Object) -> Object:
        """Make an object in the collection ``path``; ConflictError when it exists. Also how reviews are asked for."""
        return await self._ask("POST", path, body)

    async def patch(self, path: str, body: Object) -> Object:
        """Merge ``body`` into the object; ConflictError when it carries a resourceVersion that is not the newest."""
        return await self._ask("PATCH", path, body)

    async def delete(self, path: str, body: Object) -> None:
        """Delete the object as the DeleteOptions ``body`` say; ConflictError when its preconditions do not hold."""
        await self._ask("DELETE", path, body)

    async def _ask(self, method: str, path: str, body: Object | None = None) -> Object:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            request = await self._client.param_serialize(method, path, header_params=headers, body=body, auth_settings=["BearerToken"])
            response = await self._client.call_api(*request, _request_timeout=aiohttp.ClientTimeout(total=PATIENCE_SECONDS))
            answer = dict(json.loads(await response.response.read() or b"{}"))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, TypeError) as error:
            raise KubernetesError(f"{method} {path}: Kubernetes does not answer: {str(error) or type(error).__name__}") from error
        if response.status >= 400:
            raise _KINDS.get(response.status, KubernetesError)(
                f"{method} {path}: {answer.get('message') or response.status}", response.status
            )
        return answer
