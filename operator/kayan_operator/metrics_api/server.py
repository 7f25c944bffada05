"""The API as kube-apiserver, HorizontalPodAutoscalers and kubectl ask for it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, NoReturn, Protocol

from aiohttp import web
from kayan_workers import logs

from kayan_operator.metrics_api import documents, selectors
from kayan_operator.metrics_api.authorization import Verdict
from kayan_operator.metrics_api.documents import GROUP, VERSION, Document
from kayan_operator.metrics_api.identity import Identity
from kayan_operator.metrics_api.kubernetes_api import KubernetesError
from kayan_operator.metrics_api.samples import Values

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEALTH_PATHS: Final = ("/livez", "/healthz")
READINESS_PATH: Final = "/readyz"
_TRUE: Final = frozenset({"1", "true"})


class Authenticates(Protocol):
    """Says who makes a request; None when nobody vouches for one. Raises KubernetesError when it cannot tell."""

    async def identify(self, request: web.Request) -> Identity | None: ...


class Authorizes(Protocol):
    """Says who may read a metric of a namespace. Raises KubernetesError when it cannot tell."""

    async def verdict(self, who: Identity, namespace: str, metric: str) -> Verdict: ...


class StatusError(Exception):
    """An answer other than the one asked for, as a Status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class MetricsServer:
    """Answers requests out of what it is given: ``values`` of the known ``metrics``. ``not_ready`` says why not, or is empty."""

    def __init__(
        self, *, values: Values, metrics: Collection[str], authenticator: Authenticates, authorizer: Authorizes,
        not_ready: Callable[[], str],
    ) -> None:  # fmt: skip
        self._values = values
        self._metrics = frozenset(metrics)
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._not_ready = not_ready

    def application(self) -> web.Application:
        """A new application with all routes."""
        application = web.Application(middlewares=[_as_status])
        router = application.router
        for path in HEALTH_PATHS:
            router.add_get(path, self._live)
        router.add_get(READINESS_PATH, self._ready)
        group = f"/apis/{GROUP}"
        for path, document in (("/apis", documents.GROUPS), (group, documents.THE_GROUP), (f"{group}/{VERSION}", documents.RESOURCES)):
            router.add_get(path + "{_:/?}", self._discovery(document))
        router.add_get(f"{group}/{VERSION}/namespaces/{{namespace}}/{{metric}}", self._metric)
        return application

    async def _live(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _ready(self, _request: web.Request) -> web.Response:
        reason = self._not_ready()
        return web.Response(text=reason or "ok", status=503 if reason else 200)

    def _discovery(self, document: Document) -> Handler:
        answer = json.dumps(document)

        async def discover(request: web.Request) -> web.Response:
            # the older form under this Accept would pass for a broken API: told 406, all versions of kube-apiserver ask in the older way
            if "as=APIGroupDiscoveryList" in request.headers.get("Accept", ""):
                raise StatusError(406, "aggregated discovery is not served; ask for each group and version")
            await self._caller(request)
            return web.json_response(text=answer)

        return discover

    async def _metric(self, request: web.Request) -> web.Response:
        namespace, metric = request.match_info["namespace"], request.match_info["metric"]
        who = await self._caller(request)
        verdict = await self._authorizer.verdict(who, namespace, metric)
        if not verdict.allowed:
            _refuse(who, namespace, metric, verdict.reason)
        if metric not in self._metrics:
            raise StatusError(404, f'external metric "{metric}" not found')
        selector = _selector(request.query)
        known = self._values(namespace, metric, selectors.exact(selector))
        samples = [sample for sample in known if selectors.selects(selector, sample.labels)]
        return web.json_response(documents.values(metric, samples))

    async def _caller(self, request: web.Request) -> Identity:
        who = await self._authenticator.identify(request)
        if who is None:
            raise StatusError(401, "Unauthorized: neither kube-apiserver nor a bearer token vouches for the caller")
        return who


def _selector(query: Mapping[str, str]) -> selectors.Selector:
    if query.get("watch", "").lower() in _TRUE:
        raise StatusError(405, "external metrics cannot be watched")
    if query.get("fieldSelector"):
        raise StatusError(400, "fieldSelector is not served for external metrics, only labelSelector")
    text = query.get("labelSelector", "")
    try:
        return selectors.parse(text)
    except selectors.SelectorError as error:
        raise StatusError(400, f"labelSelector {text!r}: {error}") from error


def _refuse(who: Identity, namespace: str, metric: str, reason: str) -> NoReturn:
    message = (
        f'{metric}.{GROUP} is forbidden: User "{who.name}" cannot list resource "{metric}" in API group "{GROUP}" in the namespace'
        f' "{namespace}"'
    )
    raise StatusError(403, f"{message}: {reason}" if reason else message)


@web.middleware
async def _as_status(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong is answered as Kubernetes' clients understand it."""
    try:
        return await handler(request)
    except StatusError as error:
        return _status(error.code, str(error))
    except KubernetesError as error:
        # what is not known may not be told; 500 is what the field's own servers answer then
        return _status(500, f"Internal error occurred: the caller's rights cannot be looked up: {error}")
    except web.HTTPMethodNotAllowed:
        return _status(405, f"{request.method} is not supported, only GET")
    except web.HTTPNotFound:
        return _status(404, "the server could not find the requested resource")
    except Exception as error:
        logs.get().error("metrics_api.broken", path=request.path, error=error, exc_info=True)
        return _status(500, f"Internal error occurred: {type(error).__name__}")


def _status(code: int, message: str) -> web.Response:
    return web.json_response(documents.status(code, message), status=code)
