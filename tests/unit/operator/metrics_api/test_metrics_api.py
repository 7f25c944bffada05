"""The whole of it, on a Kubernetes that comes, goes, refuses and rotates, asked over real TLS as kube-apiserver asks."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import trustme
from kayan_operator.metrics_api.api_service import PATH, MetricsApiState
from kayan_operator.metrics_api.authorization import REVIEWS
from kayan_operator.metrics_api.certificates import Lifetimes
from kayan_operator.metrics_api.front_proxy import CONFIG_MAP
from kayan_operator.metrics_api.kubernetes_api import Object
from kayan_operator.metrics_api.metrics_api import DESIRED_REPLICAS, QUEUE_SCALER_LABEL, MetricsApi, MetricsApiOptions
from kayan_operator.metrics_api.samples import Sample
from unit.operator.metrics_api.conftest import Clock, client_context, pem, session
from unit.operator.metrics_api.kubernetes_double import KubernetesDouble
from waiting import wait_until

SECRETS = "/api/v1/namespaces/kayan/secrets"
HPA = {"X-Remote-User": "hpa"}
VALUES = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/kayan/{DESIRED_REPLICAS}"
SELECTED = f"{VALUES}?labelSelector={QUEUE_SCALER_LABEL}%3Demail"


class Replica:
    """A running metrics API and what it told of its state."""

    def __init__(self, kubernetes: KubernetesDouble, clock: Clock, **options: Any) -> None:
        self.client = kubernetes.client()
        self.told: list[MetricsApiState] = []
        self.desired = 7
        given = {"namespace": "kayan", "service": "kayan-metrics", "secret": "kayan-metrics-tls", "look_every_seconds": 0.02}
        fixed = {"host": "127.0.0.1", "port": 0, "create_api_service": True}
        self.api = MetricsApi(
            self.client, self.values, MetricsApiOptions(**{**given, **fixed, **options}), state_changed=self.told.append, clock=clock
        )

    def values(self, namespace: str, _metric: str, _labels: Mapping[str, str]) -> Iterable[Sample]:
        return [Sample({QUEUE_SCALER_LABEL: "email"}, self.desired, time.time())] if namespace == "kayan" else []

    async def ready(self) -> None:
        await wait_until(lambda: not self.api.not_ready, what="ready")

    async def ask(self, context: ssl.SSLContext, path: str = SELECTED, **headers: str) -> tuple[int, Any]:
        """The status and the answer on a new connection, which verifies the Service's name as kube-apiserver does."""
        async with (
            session(context) as client,
            client.get(f"https://127.0.0.1:{self.api.port}{path}", headers=headers, server_hostname="kayan-metrics.kayan.svc") as response,
        ):
            return response.status, await (response.json() if response.content_type == "application/json" else response.text())


@pytest.fixture
def running(kubernetes: KubernetesDouble, clock: Clock) -> Callable[..., Any]:
    @asynccontextmanager
    async def start(**options: Any) -> AsyncIterator[Replica]:
        replica = Replica(kubernetes, clock, **options)
        await replica.api.start()
        try:
            yield replica
        finally:
            await replica.api.stop()
            await replica.client.close()

    return start


def published(kubernetes: KubernetesDouble) -> str:
    import base64

    return base64.b64decode(kubernetes.objects[PATH]["spec"]["caBundle"]).decode()


def as_available(kubernetes: KubernetesDouble, status: str = "True") -> None:
    """As the availability controller notes it."""
    conditions = [{"type": "Available", "status": status, "message": "by the test"}]
    kubernetes.put(PATH, {**kubernetes.objects[PATH], "status": {"conditions": conditions}})


async def test_from_nothing_to_a_value_that_an_autoscaler_reads(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    kubernetes.rights.add(("hpa", "kayan", DESIRED_REPLICAS))
    async with running() as replica:
        await replica.ready()
        await wait_until(lambda: PATH in kubernetes.objects)
        proxy = client_context(front_proxy_ca, trusting=published(kubernetes))

        status, answer = await replica.ask(proxy, **HPA)
        assert (status, [item["value"] for item in answer["items"]]) == (200, ["7"])
        replica.desired = 12
        assert (await replica.ask(proxy, **HPA))[1]["items"][0]["value"] == "12"

        assert (await replica.ask(proxy, **{"X-Remote-User": "mallory"}))[0] == 403
        assert (await replica.ask(client_context(trusting=published(kubernetes)), **HPA))[0] == 401
        assert (await replica.ask(client_context(), "/readyz")) == (200, "ok")

        await wait_until(lambda: replica.api.state.kind == "unavailable", 20)
        as_available(kubernetes)
        await wait_until(lambda: replica.api.state.kind == "available", 20)
        assert [state.kind for state in replica.told] == ["absent", "unavailable", "available"]


async def test_it_starts_while_kubernetes_is_away_and_goes_on_when_it_comes(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    await kubernetes.stop()
    async with running() as replica:
        assert (await replica.ask(client_context(), "/livez")) == (200, "ok")
        status, says = await replica.ask(client_context(), "/readyz")
        assert (status, "the certificate that replicas share is not there yet" in says) == (503, True)
        assert replica.api.state.kind == "unavailable"

        await kubernetes.start()
        await replica.ready()
        assert (await replica.ask(client_context(), "/readyz")) == (200, "ok")


async def test_in_an_outage_it_serves_on_with_what_it_knows(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA, logged: list[Object]
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    kubernetes.rights.add(("hpa", "kayan", DESIRED_REPLICAS))
    async with running() as replica:
        await replica.ready()
        await wait_until(lambda: PATH in kubernetes.objects)
        as_available(kubernetes)
        await wait_until(lambda: replica.api.state.kind == "available", 20)
        proxy = client_context(front_proxy_ca, trusting=published(kubernetes))
        assert (await replica.ask(proxy, **HPA))[0] == 200

        await kubernetes.stop()
        await wait_until(lambda: [event for event in logged if event["event"] == "metrics_api.uncertain"])

        assert (await replica.ask(proxy, **HPA))[0] == 200
        assert (await replica.ask(proxy, **{"X-Remote-User": "new"}))[1]["reason"] == "InternalError"
        assert (await replica.ask(client_context(), "/readyz"))[0] == 200
        assert replica.api.state.kind == "available", "nobody has said otherwise"


async def test_another_authority_of_the_front_proxy_is_trusted_when_it_knocks(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA, stranger_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    kubernetes.rights.add(("hpa", "kayan", DESIRED_REPLICAS))
    async with running() as replica:
        await replica.ready()
        kubernetes.knows_front_proxy(pem(stranger_ca))
        rotated = client_context(stranger_ca)
        with pytest.raises(aiohttp.ClientError):
            await replica.ask(rotated, **HPA)

        async def answered() -> bool:
            try:
                return (await replica.ask(rotated, **HPA))[0] == 200
            except aiohttp.ClientError:
                return False

        await wait_until(answered, 10, what="at once, not within the minute of ordinary reads")
        with pytest.raises(aiohttp.ClientError):
            await replica.ask(client_context(front_proxy_ca), **HPA)


async def test_replicas_share_a_certificate_and_one_api_service(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    async with running() as one, running() as other, running() as third:
        for replica in (one, other, third):
            await replica.ready()
        await wait_until(lambda: PATH in kubernetes.objects)
        for replica in (one, other, third):
            context = client_context(trusting=published(kubernetes))
            assert (await replica.ask(context, "/readyz"))[0] == 200


async def test_the_authority_is_replaced_while_clients_who_trust_what_is_published_never_fail(
    running: Callable[..., Any], kubernetes: KubernetesDouble, clock: Clock, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    lifetimes = Lifetimes(authority=timedelta(days=100), next_authority_before=timedelta(days=60))
    async with running(lifetimes=lifetimes) as one, running(lifetimes=lifetimes) as other:
        await one.ready()
        await other.ready()
        await wait_until(lambda: PATH in kubernetes.objects)
        first, bundles, asked = published(kubernetes), set(), 0

        async def keep_asking() -> None:
            nonlocal asked
            while True:
                bundles.add(trusted := published(kubernetes))
                for replica in (one, other):
                    assert (await replica.ask(client_context(front_proxy_ca, trusting=trusted), "/apis", **HPA))[0] == 200
                asked += 1

        asking = asyncio.create_task(keep_asking())
        clock.advance(days=40)
        await wait_until(lambda: published(kubernetes).endswith(first) and published(kubernetes) != first)
        seen = asked
        await wait_until(lambda: asking.done() or asked > seen + 5)
        while first in published(kubernetes) and not asking.done():
            clock.advance(minutes=1)
            seen = asked
            await wait_until(lambda seen=seen: asking.done() or asked > seen)
        await wait_until(lambda: asking.done() or len(bundles) == 3)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert published(kubernetes) + first in bundles


async def test_anothers_api_service_is_told_of_and_left_alone(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    keda = {"namespace": "keda", "name": "keda-operator-metrics-apiserver"}
    kubernetes.put(PATH, {"metadata": {}, "spec": {"service": keda}})
    async with running() as replica:
        await wait_until(lambda: replica.told)
        assert (replica.api.state.kind, "KEDA" in replica.api.state.message) == ("foreign", True)
        assert not await replica.api.remove_if_ours()
    assert kubernetes.objects[PATH]["spec"] == {"service": keda}


@pytest.mark.parametrize("refused", [PATH, f"POST {PATH.rpartition('/')[0]}", SECRETS, f"POST {SECRETS}", CONFIG_MAP, REVIEWS])
async def test_a_missing_right_is_named_and_everything_works_once_it_is_given(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA, refused: str
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    kubernetes.rights.add(("hpa", "kayan", DESIRED_REPLICAS))
    kubernetes.refused[refused] = 403
    async with running() as replica:
        if refused == REVIEWS:
            await replica.ready()
            assert (await replica.ask(client_context(front_proxy_ca), **HPA))[0] == 500
        await wait_until(lambda: replica.api.state.kind == "forbidden")
        assert refused.split()[-1] in replica.api.state.message

        kubernetes.refused.clear()
        await replica.ready()
        if refused == REVIEWS:
            assert (await replica.ask(client_context(front_proxy_ca), **HPA))[0] == 200
        await wait_until(lambda: replica.api.state.kind == "unavailable", what="nobody tries it here")
        assert (await replica.ask(client_context(front_proxy_ca, trusting=published(kubernetes)), **HPA))[0] == 200


async def test_not_asked_to_make_it_waits_for_somebody_who_does(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    async with running(create_api_service=False) as replica:
        await wait_until(lambda: replica.told)
        assert replica.api.state.kind == "absent"

        kubernetes.put(PATH, {"metadata": {"name": "by helm"}, "spec": {"service": {"namespace": "kayan", "name": "kayan-metrics"}}})
        await wait_until(lambda: "caBundle" in kubernetes.objects[PATH]["spec"])
        assert await replica.api.remove_if_ours()
        assert PATH not in kubernetes.objects


async def test_what_is_odd_does_not_end_it(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA, logged: list[Object]
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    kubernetes.put(PATH, {"spec": None})
    async with running() as replica:
        await wait_until(lambda: [event for event in logged if event["event"] == "metrics_api.broken"])
        del kubernetes.objects[PATH]
        await wait_until(lambda: PATH in kubernetes.objects)
        await replica.ready()


async def test_stopped_it_leaves_nothing_running_and_starts_again(
    running: Callable[..., Any], kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    before = asyncio.all_tasks()
    for _ in range(2):
        async with running() as replica:
            await replica.ready()
            await wait_until(lambda: PATH in kubernetes.objects)
        await wait_until(lambda: asyncio.all_tasks() <= before)
    assert PATH in kubernetes.objects, "a restart is no uninstall"
