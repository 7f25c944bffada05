"""Builds every part of the operator and runs it until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, cast

import kopf
import uvloop
from kayan_workers import logs
from kayan_workers.bull.ending import end, undisturbed
from kayan_workers.health import Answer, HealthServer
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config.config_exception import ConfigException

from kayan_operator.cluster import kube
from kayan_operator.cluster.events import Events
from kayan_operator.cluster.fleet import Fleet, Key
from kayan_operator.cluster.handlers import watch_settings, watches
from kayan_operator.cluster.kube import ApiError, Kube
from kayan_operator.cluster.lease import Leadership
from kayan_operator.cluster.resync import Resync
from kayan_operator.metrics import Metrics
from kayan_operator.metrics_api.metrics_api import DESIRED_REPLICAS, QUEUE_SCALER_LABEL, MetricsApi, MetricsApiOptions
from kayan_operator.metrics_api.samples import Sample
from kayan_operator.phrases import PHRASES
from kayan_operator.queues.ledger import Ledger
from kayan_operator.scaling.controller import Controller
from kayan_operator.scaling.metrics_patience import MetricsPatience
from kayan_operator.scaling.obstacles import MetricsApiState
from kayan_operator.scaling.target_fences import TargetFences
from kayan_operator.servers import RedisServer
from kayan_operator.settings import Settings

_STUCK_SECONDS = 30.0
"""A leader that has not looked at any queue for so long hangs."""
_TRY_AGAIN_SECONDS = 2.0
_START_SECONDS = 30.0
_METRICS_API_SECONDS = 5.0
_LAST_WORDS_SECONDS = 5.0
"""For what is written while leaving."""


def run(settings: Settings) -> int:
    """Run the operator; returns the exit code of the process."""
    logs.configure(level=settings.log_level, form=settings.log_format, secrets=settings.secrets, phrases=PHRASES)
    _collect_garbage_seldom()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(settings))


def _collect_garbage_seldom() -> None:
    """By default everything there is is looked through every ten seconds at a thousand scalers, as facts and decisions of each look replace
    those of the last: a standstill of 0.15 s, in which an HPA gets no answer. They make no rings, and go without being looked for. What
    does make rings, such as requests, is found among the youngest few thousand objects, in a few milliseconds."""
    gc.collect()
    gc.freeze()  # what has been imported stays
    gc.set_threshold(700, 200, 200)


async def _run(settings: Settings) -> int:
    stop = asyncio.Event()
    _hear_signals(stop)
    for oddity in settings.warnings:
        logs.get().warning("settings.odd", message=oddity)
    try:
        configuration = await _configuration()
    except ConfigException as error:
        logs.get().error("operator.failed", error=f"no Kubernetes API is named: run it in a pod, or set KUBECONFIG ({error})")
        return 2
    # a lease must be renewed in time, whatever else is to be written just then: it has connections of its own
    async with ApiClient(configuration) as client, ApiClient(configuration) as for_lease:
        return await Operator(settings, client, for_lease).run(stop)


def _hear_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)


async def _configuration() -> Configuration:
    """Of the pod's service account, else of KUBECONFIG."""
    configuration = Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return configuration


class Operator:
    """All parts, and the order in which they begin and end."""

    def __init__(self, settings: Settings, client: ApiClient, for_lease: ApiClient) -> None:
        self._settings = settings
        self.metrics = Metrics(lambda: self.controller.statuses())
        self.api = Kube(client, self._count, may_write=lambda: self.leadership.seconds_left)
        self.fleet = Fleet(prefix=settings.prefix)
        self.servers = {name: RedisServer(name, address, self.metrics) for name, address in settings.redis.items()}
        self.leadership = Leadership(Kube(for_lease, self._count), settings.namespace, settings.name, settings.identity)
        redis = {name: server.server for name, server in self.servers.items()}
        self.ledger = Ledger(redis)
        self.resync = Resync(self.api, self.fleet, settings.namespaces)
        self.controller = Controller(
            api=self.api, fleet=self.fleet, servers=self.servers,
            fences=lambda queues: TargetFences(redis, queues, self.leadership.term),
            may_act=lambda: self.leadership.leads, metrics=self.metrics, events=Events(self.api, settings.identity), ledger=self.ledger,
            metrics_api=self._metrics_api_state,
        )
        self.metrics_api = MetricsApi(client, self._samples, MetricsApiOptions(
            namespace=settings.namespace, service=settings.name, secret=settings.name, port=settings.metrics_port,
            host=settings.metrics_host,
        )) if settings.metrics_api else None
        self._health = HealthServer({"/livez": self._livez, "/readyz": self._readyz, "/metrics": self._metrics_page})
        self._metrics_patience = MetricsPatience()
        self._is_synced = False
        self._begun = time.monotonic()

    async def run(self, stop: asyncio.Event) -> int:
        """Until ``stop`` is set, or a part of it fails for good; returns the exit code."""
        port = await self._health.start(self._settings.health_host, self._settings.health_port)
        namespaces = ",".join(self._settings.namespaces) or "*"
        logs.get().info("operator.started", port=port, namespaces=namespaces, identity=self._settings.identity)
        tasks = [asyncio.create_task(self._work(stop)), asyncio.create_task(stop.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Exception as error:
            logs.get().error("operator.failed", error=error, exc_info=True)
            return 1
        finally:
            await end(tasks)
            await self._health.close()
            logs.get().info("operator.stopped")
        return 0

    async def _work(self, stop: asyncio.Event) -> None:
        if self.metrics_api:
            await self.metrics_api.start()
        tasks = [asyncio.create_task(server.run()) for server in self.servers.values()]
        watches_run: asyncio.Task[None] | None = None
        try:
            await self._synced()
            where: dict[str, Any] = {"namespaces": self._settings.namespaces} if self._settings.namespaces else {"clusterwide": True}
            watching = asyncio.Event()
            watches_run = asyncio.create_task(kopf.operator(
                registry=watches(self.fleet), settings=watch_settings(), standalone=True, ready_flag=watching,
                identity=cast(Any, self._settings.identity), **where
            ))
            tasks += [
                watches_run,
                asyncio.create_task(self.resync.run()),
                asyncio.create_task(self.leadership.run(self.controller.lead)),
                asyncio.create_task(self.ledger.run()),
                asyncio.create_task(self._watch_metrics_api()),
            ]
            begun = asyncio.create_task(watching.wait())
            done, _ = await asyncio.wait([*tasks, begun], return_when=asyncio.FIRST_COMPLETED)
            if done == {begun}:
                _hear_signals(stop)  # kopf has taken them, and would see to nobody's end but its own
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            begun.cancel()
            for task in done:  # none of them ends by itself
                task.result()
        finally:
            await undisturbed(self._leave(tasks, watches_run))

    async def _leave(self, tasks: Iterable[asyncio.Task[Any]], watches_run: asyncio.Task[None] | None) -> None:
        """End everybody, and take away what nobody serves any more. kopf comes last: as it ends it cancels all tasks that are younger than
        it, whosever they are."""
        await end(task for task in tasks if task is not watches_run)
        if self.metrics_api:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    if await self._is_uninstalled():
                        await self.metrics_api.remove_if_ours()
            await self.metrics_api.stop()
        if watches_run:
            await end([watches_run])

    async def _synced(self) -> None:
        """Read everything for the first time; however long it takes until the API server and our resources are there."""
        told = ""
        while True:
            try:
                await self.resync.once()
            except ApiError as error:
                why = str(error)
                if error.is_gone:
                    why = "the cluster does not know QueueScalers yet: kubectl apply --server-side -f charts/crds"
                if why != told:
                    logs.get().warning("operator.waits", error=why)
                    told = why
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
            else:
                self._is_synced = True
                return

    async def _is_uninstalled(self) -> bool:
        """Whether we go because all of us go: an APIService that nobody serves would keep namespaces from being deleted."""
        try:
            deployment = await self.api.get(kube.deployments(self._settings.namespace, self._settings.name))
        except ApiError as error:
            return error.is_gone
        return bool(deployment["metadata"].get("deletionTimestamp"))

    # -- what others ask -----------------------------------------------------------------------------------------------------

    def _metrics_api_state(self) -> MetricsApiState:
        if self.metrics_api is None:
            return MetricsApiState("off", "the external metrics API is switched off")
        state = self.metrics_api.state
        starts = state.kind == "unavailable" and time.monotonic() - self._begun < _START_SECONDS
        return self._metrics_patience.judge(MetricsApiState("starting" if starts else state.kind, state.message))

    async def _watch_metrics_api(self) -> None:
        """Whoever leads asks with every look; those who stand by must know as well for how long it has been so."""
        while True:
            self._metrics_api_state()
            await asyncio.sleep(_METRICS_API_SECONDS)

    def _samples(self, namespace: str, metric: str, labels: Mapping[str, str]) -> Iterable[Sample]:
        if metric != DESIRED_REPLICAS:
            return []
        scalers, now = self.fleet.scalers, time.time()
        asked = scalers if (name := labels.get(QUEUE_SCALER_LABEL)) is None else [key for key in [Key(namespace, name)] if key in scalers]
        return [
            Sample({QUEUE_SCALER_LABEL: key.name}, number, now)
            for key in asked
            if key.namespace == namespace and (number := self._published(key)) is not None
        ]

    def _count(self, verb: str, resource: str, code: int) -> None:
        self.metrics.api_requests.labels(verb, resource, code).inc()

    def _published(self, key: Key) -> int | None:
        return self.controller.published(key)

    async def _livez(self) -> Answer:
        """The loops turn: no outage fails it."""
        age = self.controller.seconds_since_look() if self.leadership.leads else 0.0
        return Answer.json(age < _STUCK_SECONDS, {"secondsSinceLook": round(age, 1)})

    async def _readyz(self) -> Answer:
        waits = "" if self._is_synced else "the resources have not been read yet"
        waits = waits or (self.metrics_api.not_ready if self.metrics_api else "")
        return Answer.json(not waits, {"leads": self.leadership.leads, "leader": self.leadership.holder, "waitsFor": waits})

    async def _metrics_page(self) -> Answer:
        return Answer(HTTPStatus.OK, await self.metrics.page(), "text/plain; version=0.0.4; charset=utf-8")
