"""The external metrics API on a real cluster: our server runs in this process, kube-apiserver and a HorizontalPodAutoscaler ask it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeVar

import aiohttp
import pytest
from cluster import registration, timings
from cluster.kube import CommandError, Namespace, Object, run, until
from cluster.registration import Turn
from cryptography import x509
from kayan_operator.metrics_api.api_service import owner_of
from kayan_operator.metrics_api.certificates import Lifetimes
from kayan_operator.metrics_api.metrics_api import DESIRED_REPLICAS, QUEUE_SCALER_LABEL, MetricsApi, MetricsApiOptions
from kayan_operator.metrics_api.samples import Sample
from kubernetes.aio import config
from servers import missing

T = TypeVar("T")

SERVICE = "kayan-metrics"
SECRET = "kayan-metrics-tls"
GROUP = "/apis/external.metrics.k8s.io"

# a certificate every ten seconds, and a new authority that signs within seconds
QUICK = Lifetimes(
    certificate=timedelta(seconds=60), next_certificate_before=timedelta(seconds=50), published_for=timedelta(seconds=3),
    old_authority_for=timedelta(seconds=3),
)  # fmt: skip

UNREACHABLE = ("connection refused", "no route to host", "i/o timeout", "deadline exceeded", "Client.Timeout", "unreachable")


class Served:
    """A metrics API in a thread of its own, with what it would be told by the rest of the operator."""

    def __init__(self, namespace: Namespace, turn: Turn, **options: Any) -> None:
        self.desired = {"email": 1}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        given = {"namespace": namespace.name, "service": SERVICE, "secret": SECRET, "lifetimes": QUICK, "look_every_seconds": 1.0}
        self._options = MetricsApiOptions(**{**given, "port": 0, "create_api_service": True, "labels": turn.label, **options})
        self.api: MetricsApi = self.do(self._start())

    def do(self, action: Coroutine[Any, Any, T]) -> T:
        """Await something where the server runs."""
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(timeout=60)

    def values(self, namespace: str, _metric: str, _labels: Mapping[str, str]) -> Iterable[Sample]:
        if namespace != self._options.namespace:
            return []
        return [Sample({QUEUE_SCALER_LABEL: name}, value, time.time()) for name, value in self.desired.items()]

    def ask(self, path: str, token: str = "") -> tuple[int, Object]:
        """Status and answer of the port itself, verified as kube-apiserver does it, for whoever has a token."""
        return self.do(self._ask(path, ssl.create_default_context(cadata=bundle()), {"Authorization": f"Bearer {token}"} if token else {}))

    def stop(self) -> None:
        self.do(self.api.stop())
        self.do(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _ask(self, path: str, context: ssl.SSLContext, headers: dict[str, str]) -> tuple[int, Object]:
        name = f"{SERVICE}.{self._options.namespace}.svc"
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers) as session,
            session.get(f"https://127.0.0.1:{self.api.port}{path}", server_hostname=name) as response,
        ):
            return response.status, await response.json()

    async def _start(self) -> MetricsApi:
        self._client = await config.new_client_from_config()
        api = MetricsApi(self._client, self.values, self._options)
        await api.start()
        return api


@contextlib.contextmanager
def served(namespace: Namespace, turn: Turn, **options: Any) -> Iterator[Served]:
    server = Served(namespace, turn, **options)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def turn() -> Iterator[Turn]:
    if shutil.which("kubectl") is None:
        missing("kubectl is not on PATH: install kubectl")
    if not os.environ.get("KUBECONFIG"):
        missing("KUBECONFIG names no cluster: `make test-cluster` makes one where kind is installed")
    answer = subprocess.run(["kubectl", "get", "nodes"], capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode:
        missing(f"the cluster of KUBECONFIG does not answer: {answer.stderr.strip()[-300:]}")
    with registration.taken() as turn:
        there = registration.found()
        if there is not None:
            missing(f"the cluster's external metrics belong to {owner_of(there)}")
        yield turn


@pytest.fixture(scope="module")
def namespace(turn: Turn) -> Iterator[Namespace]:
    with Namespace.made() as namespace:
        yield namespace


@pytest.fixture(scope="module")
def server(namespace: Namespace, turn: Turn) -> Iterator[Served]:
    """Two replicas, as there should be; the first is handed to the tests, and both know the same."""
    with served(namespace, turn) as first, served(namespace, turn, create_api_service=False) as second:
        second.desired = first.desired
        began = time.monotonic()
        registration.expose(namespace, SERVICE, [first.api.port, second.api.port])
        try:
            until(lambda: first.api.state.kind == "available", 60, what="available", trouble=lambda: first.api.state.message)
        except AssertionError:
            if any(sign in first.api.state.message for sign in UNREACHABLE):
                missing(f"the cluster's nodes do not reach this machine at {registration.our_address()}: {first.api.state.message}")
            raise
        timings.note("metrics API started → APIService available", time.monotonic() - began)
        try:
            yield first
        finally:
            # nobody may be sent to us from here on, whatever happened
            registration.remove(f"{registration.LABEL}={turn.holder}")


@pytest.fixture(autouse=True)
def renewed(turn: Turn) -> None:
    turn.renew()


def values_path(namespace: Namespace, selector: str = "") -> str:
    path = f"{GROUP}/v1beta1/namespaces/{namespace.name}/{DESIRED_REPLICAS}"
    return f"{path}?labelSelector={selector}" if selector else path


def read(namespace: Namespace, *arguments: str, selector: str = "queuescaler%3Demail") -> list[str]:
    """The values as kubectl gets them through kube-apiserver."""
    answer = json.loads(run("kubectl", "get", "--raw", values_path(namespace, selector), *arguments))
    return [item["value"] for item in answer["items"]]


def account(namespace: Namespace, name: str, *, reads: bool) -> str:
    """A service account that may read the metric here, or may not."""
    of = f"{namespace.name}:{name}"
    namespace.kubectl("create", "serviceaccount", name)
    if reads:
        rule = {"apiGroups": ["external.metrics.k8s.io"], "resources": [DESIRED_REPLICAS], "verbs": ["list"]}
        namespace.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": [rule]})
        namespace.kubectl("create", "rolebinding", name, f"--role={name}", f"--serviceaccount={of}")
    return f"system:serviceaccount:{of}"


def bundle() -> str:
    """The authorities that kube-apiserver trusts."""
    there = registration.found()
    assert there is not None
    return base64.b64decode(there["spec"]["caBundle"]).decode()


def pods(replicas: int) -> Object:
    """A Deployment whose pods nobody schedules: they count, and cost nothing."""
    container = {
        "name": "none", "image": "none.invalid/none",
        "securityContext": {
            "allowPrivilegeEscalation": False, "runAsNonRoot": True, "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }  # fmt: skip
    labels = {"app": "scaled"}
    template = {"metadata": {"labels": labels}, "spec": {"schedulerName": "nobody", "containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "scaled"}, "spec": spec}


def autoscaler() -> Object:
    metric = {"name": DESIRED_REPLICAS, "selector": {"matchLabels": {QUEUE_SCALER_LABEL: "email"}}}
    external = {"type": "External", "external": {"metric": metric, "target": {"type": "AverageValue", "averageValue": "1"}}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}
    at_once = {"type": "Percent", "value": 1000, "periodSeconds": 15}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}, "scaleUp": {"policies": [at_once]}}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 20, "metrics": [external], "behavior": behavior}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "scaled"}, "spec": spec}


@pytest.fixture(scope="module")
def scaled(namespace: Namespace, server: Served) -> Namespace:
    namespace.apply(pods(1), autoscaler())
    return namespace


def replicas(namespace: Namespace) -> int:
    [deployment] = namespace.get("deployment", "scaled")
    return int(deployment["spec"]["replicas"])


def test_kubectl_reads_the_values_through_kube_apiserver(server: Served, namespace: Namespace) -> None:
    server.desired.update(email=7, thumbnail=0)

    assert read(namespace) == ["7"]
    assert read(namespace, selector="queuescaler%20in%20(email,thumbnail)") == read(namespace, selector="") == ["7", "0"]
    assert read(namespace, selector="queuescaler%3Dabsent") == []
    with pytest.raises(CommandError, match="NotFound"):
        run("kubectl", "get", "--raw", values_path(namespace).replace(DESIRED_REPLICAS, "queue-length"))
    with pytest.raises(CommandError, match="BadRequest"):
        read(namespace, selector="queuescaler%3E3")


def test_the_group_is_discovered_and_no_other_suffers(server: Served) -> None:
    listed = run("kubectl", "api-resources", "--api-group=external.metrics.k8s.io", "--cached=false")
    assert "ExternalMetricValueList" in listed
    everything = run("kubectl", "api-resources", "--cached=false", check=False)
    assert "unable to retrieve" not in everything
    assert "deployments" in everything
    groups = json.loads(run("kubectl", "get", "--raw", GROUP))
    assert [version["groupVersion"] for version in groups["versions"]] == ["external.metrics.k8s.io/v1beta1"]
    assert run("kubectl", "explain", "deployment.spec.replicas"), "OpenAPI is put together without us"


def test_namespaces_can_be_deleted_while_it_is_registered(server: Served) -> None:
    with Namespace.made() as other:
        other.kubectl("create", "configmap", "something")
        began = time.monotonic()
        run("kubectl", "delete", "namespace", other.name, "--timeout=120s", timeout=150)
        timings.note("a namespace deleted while the metrics API is registered", time.monotonic() - began)
        run("kubectl", "create", "namespace", other.name)  # for the end of the with


def test_an_autoscaler_follows_the_number_up_and_down(server: Served, scaled: Namespace) -> None:
    def said() -> str:
        return scaled.kubectl("describe", "hpa")

    for number in (3, 12, 2):
        server.desired["email"] = number
        began = time.monotonic()
        until(
            lambda number=number: replicas(scaled) == number,
            90,
            what=f"{number} replicas",
            trouble=lambda: scaled.kubectl("describe", "hpa"),
        )
        timings.note(f"desired pods say {number} → the autoscaler has set it (asks every 15 s)", time.monotonic() - began)


def test_an_autoscaler_holds_when_the_number_is_not_known(server: Served, scaled: Namespace) -> None:
    before = replicas(scaled)
    del server.desired["email"]
    try:

        def unknown() -> bool:
            [hpa] = scaled.get("hpa", "scaled")
            conditions = {condition["type"]: condition for condition in hpa["status"].get("conditions", [])}
            return "no metrics returned" in conditions.get("ScalingActive", {}).get("message", "")

        until(unknown, 60, what="the autoscaler says that it knows nothing")
        assert replicas(scaled) == before
    finally:
        server.desired["email"] = before


def test_certificate_and_authority_are_replaced_while_the_autoscaler_goes_on(server: Served, scaled: Namespace) -> None:
    first = bundle()
    failures: list[str] = []
    asked, going_on = 0, True

    def keep_asking() -> None:
        nonlocal asked
        while going_on:
            try:
                read(scaled)
            except CommandError as error:
                failures.append(str(error))
            asked += 1

    def serial() -> int:
        return x509.load_pem_x509_certificate(ssl.get_server_certificate(("127.0.0.1", server.api.port)).encode()).serial_number

    asker = threading.Thread(target=keep_asking)
    asker.start()
    try:
        before = serial()
        until(lambda: serial() != before, 60, what="another certificate of the same authority")
        assert bundle() == first
        began = time.monotonic()
        scaled.kubectl("delete", "secret", SECRET)
        until(lambda: bundle() != first, 60, what="another authority is published")
        assert bundle().endswith(first), "beside the first"
        until(lambda: first not in bundle(), 90, what="the first is trusted no more")
        timings.note("the Secret deleted → the old authority is trusted no more (waits of 3 s)", time.monotonic() - began)
        server.desired["email"] = 5
        until(lambda: replicas(scaled) == 5, 90, what="the autoscaler follows", trouble=lambda: scaled.kubectl("describe", "hpa"))
    finally:
        going_on = False
        asker.join()
    assert (failures, server.api.state.kind) == ([], "available")
    assert asked > 20


def test_roles_decide_who_reads_through_kube_apiserver(server: Served, namespace: Namespace) -> None:
    reader, stranger = account(namespace, "reader", reads=True), account(namespace, "stranger", reads=False)
    server.desired["email"] = 4

    assert read(namespace, f"--as={reader}") == ["4"]
    with pytest.raises(CommandError, match="Forbidden"):
        read(namespace, f"--as={stranger}")


def test_roles_decide_who_reads_from_the_port_itself(server: Served, namespace: Namespace) -> None:
    account(namespace, "direct-reader", reads=True)
    account(namespace, "direct-stranger", reads=False)
    path = values_path(namespace, "queuescaler%3Demail")

    assert server.ask(path)[0] == 401
    assert server.ask(path, "made.up.token")[0] == 401
    status, answer = server.ask(path, namespace.kubectl("create", "token", "direct-stranger").strip())
    assert (status, answer["reason"], "direct-stranger" in answer["message"]) == (403, "Forbidden", True)
    status, answer = server.ask(path, namespace.kubectl("create", "token", "direct-reader").strip())
    assert (status, len(answer["items"])) == (200, 1)


def test_what_belongs_to_another_is_left_alone(server: Served, namespace: Namespace, turn: Turn) -> None:
    before = registration.found()
    with served(namespace, turn, service="another-release", secret="another-release-tls") as another:
        until(lambda: another.api.state.kind == "foreign", 30, what="foreign")
        assert f"Service {namespace.name}/{SERVICE}" in another.api.state.message
        assert not another.do(another.api.remove_if_ours())
    after = registration.found()
    assert before is not None
    assert after is not None
    assert after["spec"]["service"] == before["spec"]["service"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_when_it_goes_for_good_it_takes_the_api_service_along(server: Served) -> None:
    """The last test of this module: afterwards nobody is asked."""
    assert server.do(server.api.remove_if_ours())

    assert registration.found() is None
    until(lambda: GROUP not in run("kubectl", "get", "--raw", "/apis"), 60, what="the group is discovered no more")
    assert not server.do(server.api.remove_if_ours())
    assert registration.found() is None
