"""What is answered to kube-apiserver's aggregator, to a HorizontalPodAutoscaler, to kubectl, and to those who may not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from kayan_operator.metrics_api.authorization import Verdict
from kayan_operator.metrics_api.identity import Identity
from kayan_operator.metrics_api.kubernetes_api import KubernetesError, Object
from kayan_operator.metrics_api.samples import Sample
from kayan_operator.metrics_api.server import MetricsServer

METRIC = "kayan-desired-replicas"
PATH = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/kayan/{METRIC}"
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)
AT = 1_789_382_897.8  # 2026-09-14T10:48:17.8Z

Client = TestClient[web.Request, web.Application]


@dataclass
class Fleet:
    """What a caller of the metrics API is: it knows samples, callers by a header, and who may read."""

    samples: dict[str, list[Sample]] = field(default_factory=dict)
    readers: set[str] = field(default_factory=lambda: {"hpa"})
    trouble: Exception | None = None
    reason: str = ""

    asked: list[Mapping[str, str]] = field(default_factory=list)

    def values(self, namespace: str, metric: str, labels: Mapping[str, str]) -> Iterable[Sample]:
        self.asked.append(labels)
        if self.trouble:
            raise self.trouble
        return iter(self.samples.get(f"{namespace}/{metric}", ()))

    async def identify(self, request: web.Request) -> Identity | None:
        name = request.headers.get("X-Caller", "")
        return Identity(name) if name else None

    async def verdict(self, who: Identity, _namespace: str, _metric: str) -> Verdict:
        if who.name == "unknowable":
            raise KubernetesError("Kubernetes does not answer")
        return Verdict(who.name in self.readers, "no role grants it")


@pytest.fixture
def fleet() -> Fleet:
    return Fleet({f"kayan/{METRIC}": [Sample({"queuescaler": "email"}, 7, AT), Sample({"queuescaler": "thumbnail"}, 0, AT, window=30.4)]})


@pytest.fixture
async def client(fleet: Fleet) -> AsyncIterator[Client]:
    server = MetricsServer(
        values=fleet.values, metrics=[METRIC], authenticator=fleet, authorizer=fleet, not_ready=lambda: fleet.reason
    )  # fmt: skip
    async with TestClient(TestServer(server.application()), headers={"X-Caller": "hpa"}) as client:
        yield client


async def got(client: Client, path: str, status: int = 200, **headers: str) -> Object:
    async with client.get(path, headers=headers) as response:
        assert response.status == status, await response.text()
        assert response.content_type == "application/json"
        return dict(await response.json())


def names(answer: Object) -> list[str]:
    return [item["metricLabels"]["queuescaler"] for item in answer["items"]]


async def test_a_value_is_what_an_autoscaler_reads_whatever_form_it_prefers(client: Client) -> None:
    answer = await got(client, f"{PATH}?labelSelector=queuescaler%3Demail", Accept="application/vnd.kubernetes.protobuf, */*")

    assert answer == {
        "kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {},
        "items": [{"metricName": METRIC, "metricLabels": {"queuescaler": "email"}, "timestamp": "2026-09-14T10:48:17Z", "value": "7"}],
    }  # fmt: skip


async def test_a_known_zero_is_a_value_and_a_window_is_told_in_whole_seconds(client: Client) -> None:
    [item] = (await got(client, f"{PATH}?labelSelector=queuescaler%20in%20(thumbnail)"))["items"]

    assert (item["value"], item["window"]) == ("0", 30)


async def test_without_a_selector_all_values_of_the_namespace_are_listed(client: Client) -> None:
    assert names(await got(client, PATH)) == ["email", "thumbnail"]
    assert names(await got(client, PATH.replace("/kayan/", "/other/"))) == []


async def test_whoever_gives_the_values_learns_which_one_is_asked_for(client: Client, fleet: Fleet) -> None:
    await got(client, f"{PATH}?labelSelector=queuescaler%3Demail")
    await got(client, PATH)

    assert fleet.asked == [{"queuescaler": "email"}, {}]


async def test_what_is_not_known_is_an_empty_list_and_never_a_zero(client: Client) -> None:
    assert names(await got(client, f"{PATH}?labelSelector=queuescaler%3Dabsent")) == []


async def test_a_selector_of_another_form_is_a_bad_request_that_says_so(client: Client) -> None:
    answer = await got(client, f"{PATH}?labelSelector=queuescaler%3E3", 400)

    assert (answer["kind"], answer["status"], answer["reason"], answer["code"]) == ("Status", "Failure", "BadRequest", 400)
    assert answer["message"] == "labelSelector 'queuescaler>3': '>' is no operator that is served here; there are =, ==, !=, in and notin"


async def test_what_would_be_answered_wrongly_is_refused(client: Client) -> None:
    assert "fieldSelector" in (await got(client, f"{PATH}?fieldSelector=metadata.name%3Dx", 400))["message"]
    assert (await got(client, f"{PATH}?watch=true", 405))["reason"] == "MethodNotAllowed"


async def test_an_unknown_metric_is_not_found(client: Client) -> None:
    answer = await got(client, PATH.replace(METRIC, "queue-length"), 404)

    assert answer == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "NotFound", "code": 404,
        "message": 'external metric "queue-length" not found',
    }  # fmt: skip


async def test_discovery_names_the_group_its_version_and_its_resource(client: Client) -> None:
    version = {"groupVersion": "external.metrics.k8s.io/v1beta1", "version": "v1beta1"}
    group = {"name": "external.metrics.k8s.io", "versions": [version], "preferredVersion": version}
    resource = {
        "name": "externalmetrics", "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"],
    }  # fmt: skip
    resources = {
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "external.metrics.k8s.io/v1beta1", "resources": [resource],
    }  # fmt: skip

    for end in ("", "/"):
        assert await got(client, f"/apis{end}") == {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}
        assert await got(client, f"/apis/external.metrics.k8s.io{end}") == {"kind": "APIGroup", "apiVersion": "v1", **group}
        assert await got(client, f"/apis/external.metrics.k8s.io/v1beta1{end}") == resources


async def test_aggregated_discovery_is_not_acceptable_so_that_the_older_way_is_taken(client: Client) -> None:
    assert (await got(client, "/apis", 406, Accept=AGGREGATED))["reason"] == "NotAcceptable"


@pytest.mark.parametrize("path", ["/openapi/v2", "/openapi/v3", "/openapi/v3/apis/external.metrics.k8s.io/v1beta1", "/", "/metrics"])
async def test_what_is_not_served_is_not_found_whoever_asks(client: Client, path: str) -> None:
    assert (await got(client, path, 404))["reason"] == "NotFound"
    assert (await got(client, path, 404, **{"X-Caller": ""}))["reason"] == "NotFound"


async def test_only_reading_is_supported(client: Client) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        async with client.request(method, PATH) as response:
            assert (response.status, (await response.json())["message"]) == (405, f"{method} is not supported, only GET")


@pytest.mark.parametrize(
    "path", ["/apis", "/apis/external.metrics.k8s.io", "/apis/external.metrics.k8s.io/v1beta1", PATH, PATH.replace(METRIC, "x")]
)  # fmt: skip
async def test_nobody_learns_anything_without_an_identity(client: Client, path: str) -> None:
    assert (await got(client, path, 401, **{"X-Caller": ""}))["reason"] == "Unauthorized"


async def test_who_has_no_right_is_refused_in_the_words_of_kubernetes(client: Client) -> None:
    answer = await got(client, PATH, 403, **{"X-Caller": "mallory"})

    assert answer["reason"] == "Forbidden"
    assert answer["message"] == (
        f'{METRIC}.external.metrics.k8s.io is forbidden: User "mallory" cannot list resource "{METRIC}" in API group'
        ' "external.metrics.k8s.io" in the namespace "kayan": no role grants it'
    )


async def test_who_has_no_right_does_not_learn_which_metrics_there_are(client: Client) -> None:
    await got(client, PATH.replace(METRIC, "queue-length"), 403, **{"X-Caller": "mallory"})


async def test_nothing_is_told_when_nobody_can_say_who_may_know(client: Client) -> None:
    answer = await got(client, PATH, 500, **{"X-Caller": "unknowable"})

    assert (answer["reason"], "Kubernetes does not answer" in answer["message"]) == ("InternalError", True)


async def test_a_bug_of_ours_is_an_internal_error_and_a_line_of_the_log(client: Client, fleet: Fleet, logged: list[Object]) -> None:
    fleet.trouble = RuntimeError("snapshot of queue email")

    answer = await got(client, PATH, 500)

    assert (answer["reason"], "snapshot" in answer["message"]) == ("InternalError", False)
    assert [(event["event"], event["path"]) for event in logged] == [("metrics_api.broken", PATH)]


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/readyz"])
async def test_anybody_may_ask_for_its_health(client: Client, path: str) -> None:
    async with client.get(path, headers={"X-Caller": ""}) as response:
        assert (response.status, await response.text()) == (200, "ok")


async def test_readiness_says_what_it_waits_for_while_life_goes_on(client: Client, fleet: Fleet) -> None:
    fleet.reason = "the certificate that replicas share is not there yet"

    async with client.get("/readyz") as response:
        assert (response.status, await response.text()) == (503, fleet.reason)
    async with client.get("/livez") as response:
        assert response.status == 200
