"""The whole of it: one object that the operator starts and stops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from kayan_workers import logs
from kubernetes.aio.client import ApiClient

from kayan_operator.metrics_api.api_service import ApiService, Found, MetricsApiState
from kayan_operator.metrics_api.authentication import Authenticator
from kayan_operator.metrics_api.authorization import Authorizer
from kayan_operator.metrics_api.certificates import Lifetimes, names_of
from kayan_operator.metrics_api.front_proxy import FrontProxy, FrontProxyWatch
from kayan_operator.metrics_api.kubernetes_api import ForbiddenError, KubernetesApi, KubernetesError
from kayan_operator.metrics_api.listener import Listener
from kayan_operator.metrics_api.samples import Values
from kayan_operator.metrics_api.server import MetricsServer
from kayan_operator.metrics_api.shared_material import Place, SharedMaterial
from kayan_operator.metrics_api.tokens import Tokens

DESIRED_REPLICAS: Final = "kayan-desired-replicas"
"""The metric: how many pods a QueueScaler wants."""
QUEUE_SCALER_LABEL: Final = "queuescaler"
"""The label that names its QueueScaler."""

LOOK_EVERY_SECONDS: Final = 30.0
LOOK_SOON_SECONDS: Final = 2.0
"""While it does not work yet, or something has just been written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsApiOptions:
    """Where the metrics API lives and what it may do."""

    namespace: str
    """The operator's own."""
    service: str
    """The Service in front of us, in that namespace."""
    secret: str
    """The Secret in that namespace in which replicas share their certificate. It may be there beforehand, without data."""
    service_port: int = 443
    port: int = 6443
    """What we listen on."""
    host: str | None = None
    """The address to listen on; None for all."""
    metrics: Collection[str] = (DESIRED_REPLICAS,)
    """The names that there are values for."""
    create_api_service: bool = False
    """Whether an APIService is made when there is none. Ours is kept up to date in any case."""
    cluster_domain: str = "cluster.local"
    labels: Mapping[str, str] = field(default_factory=dict)
    """For the objects that we make."""
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    look_every_seconds: float = LOOK_EVERY_SECONDS
    """How often the Secret and the APIService are looked at."""


class MetricsApi:
    """Serves ``external.metrics.k8s.io`` with the samples that ``values`` gives, on every replica alike.

    ``client`` stays the caller's to close. ``state_changed`` is told of every other state, the first included; ``clock`` is for
    certificates. While Kubernetes is silent, what is known serves on.
    """

    def __init__(
        self, client: ApiClient, values: Values, options: MetricsApiOptions,
        *, state_changed: Callable[[MetricsApiState], None] = lambda _: None, clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        api = KubernetesApi(client)
        self._options = options
        self._state_changed = state_changed
        self._state = MetricsApiState("unavailable", "Kubernetes has not been asked yet")
        self._front_proxy = FrontProxyWatch(api, self._know_front_proxy)
        self._authenticator = Authenticator(Tokens(api), self._front_proxy.suspect)
        self._authorizer = Authorizer(api)
        self._api_service = ApiService(
            api, namespace=options.namespace, service=options.service, service_port=options.service_port,
            create_when_absent=options.create_api_service, labels=options.labels,
        )  # fmt: skip
        place = Place(namespace=options.namespace, name=options.secret, labels=options.labels)
        names = names_of(options.service, options.namespace, options.cluster_domain)
        self._certificate = SharedMaterial(api, place, names, options.lifetimes, clock=clock)
        server = MetricsServer(
            values=values, metrics=options.metrics, authenticator=self._authenticator, authorizer=self._authorizer,
            not_ready=lambda: self.not_ready,
        )  # fmt: skip
        self._listener = Listener(server.application(), host=options.host, port=options.port, untrusted=self._front_proxy.suspect)
        self._told = False
        self._uncertain = ""
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def state(self) -> MetricsApiState:
        """Whether it works, as Kubernetes had it when it was last heard of."""
        return self._state

    @property
    def port(self) -> int:
        """What is listened on, also where port 0 was asked for."""
        return self._listener.port

    @property
    def not_ready(self) -> str:
        """Why requests of kube-apiserver would be refused now; empty when they are served."""
        reasons = []
        if self._authenticator.front_proxy is None:
            reasons.append(f"who may ask is not known yet: {self._front_proxy.trouble}")
        if not self._certificate.shared:
            reasons.append("the certificate that replicas share is not there yet")
        return "; ".join(reasons)

    async def start(self) -> None:
        """Listen, and begin to ask Kubernetes; does not wait for its answers. Raises OSError when the port cannot be had."""
        self._listener.present(self._certificate.material.chain)
        await self._listener.start()
        logs.get().info("metrics_api.listening", port=self.port)
        self._tasks = [asyncio.create_task(self._front_proxy.run()), asyncio.create_task(self._keep_registered())]

    async def stop(self) -> None:
        """Finish the answers under way and end. The APIService stays; ``remove_if_ours`` is for uninstalling."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.stop()

    async def remove_if_ours(self) -> bool:
        """Delete the APIService before we go for good; False when there is none or another's. Raises KubernetesError.

        From then on this replica does not look after it any more. Others that may make one would make it again.
        """
        for task in self._tasks[1:]:
            task.cancel()
        return await self._api_service.remove_if_ours()

    def _know_front_proxy(self, front_proxy: FrontProxy) -> None:
        self._listener.trust(front_proxy.authorities)
        self._authenticator.front_proxy = front_proxy

    async def _keep_registered(self) -> None:
        pause, every = LOOK_SOON_SECONDS, self._options.look_every_seconds
        while True:
            settled = await self._look()
            await asyncio.sleep(every if settled else min(pause, every))
            pause = LOOK_SOON_SECONDS if settled else pause * 2

    async def _look(self) -> bool:
        """Look at the APIService and the Secret, and do what is due; False when another look before long is worth it."""
        settled, uncertain = False, ""
        try:
            found = await self._api_service.look()
            published, lacking = await self._certify(found)
            self._now(self._judged(found.state, lacking))
            settled = not published and found.state.kind != "unavailable"
        except ForbiddenError as error:
            self._now(MetricsApiState("forbidden", error.says))
        except KubernetesError as error:
            uncertain = str(error)
            if uncertain != self._uncertain:
                logs.get().warning("metrics_api.uncertain", error=error)
        except Exception as error:
            logs.get().error("metrics_api.broken", error=error, exc_info=True)
        self._uncertain = uncertain
        return settled

    async def _certify(self, found: Found) -> tuple[bool, ForbiddenError | None]:
        """Have the certificate of today, and kube-apiserver trust it: whether it was told something new, and the right that is missing."""
        try:
            await self._certificate.keep(found.bundle)
            self._listener.present(self._certificate.material.chain)
            return await self._api_service.publish(found, self._certificate.material.bundle), None
        except ForbiddenError as error:
            return False, error

    def _judged(self, state: MetricsApiState, lacking: ForbiddenError | None) -> MetricsApiState:
        """What Kubernetes thinks of us, unless we know of a right without which it cannot go well."""
        troubles = (lacking, self._front_proxy.trouble, self._authorizer.trouble)
        rights = [trouble.says for trouble in troubles if isinstance(trouble, ForbiddenError)]
        return MetricsApiState("forbidden", "; ".join(rights)) if rights and state.kind != "foreign" else state

    def _now(self, state: MetricsApiState) -> None:
        if state != self._state or not self._told:
            self._state, self._told = state, True
            logs.get().info("metrics_api.state", state=state.kind, message=state.message)
            self._state_changed(state)
