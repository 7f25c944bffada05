"""The one APIService of a cluster: ours is kept, another's is left alone and told of."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from kayan_operator.metrics_api.api_service import COLLECTION, NAME, PATH, ApiService
from kayan_operator.metrics_api.kubernetes_api import ConflictError, KubernetesApi, KubernetesError, Object
from unit.operator.metrics_api.kubernetes_double import KubernetesDouble

BUNDLE, NEXT = b"bundle of today\n", b"bundle of tomorrow\n"
AVAILABLE = {"type": "Available", "status": "True", "reason": "Passed", "message": "all checks passed"}
FAILED = {"type": "Available", "status": "False", "reason": "FailedDiscoveryCheck", "message": "failing: connection refused"}


@pytest.fixture
def ours(api: KubernetesApi) -> Any:
    """Makes the keeper of Service kayan/kayan-metrics."""

    def keeper(**options: Any) -> ApiService:
        return ApiService(
            api,
            **{
                "namespace": "kayan", "service": "kayan-metrics", "service_port": 443, "create_when_absent": False,
                "labels": {"app.kubernetes.io/part-of": "kayan"}, **options,
            },
        )  # fmt: skip

    return keeper


def registered(kubernetes: KubernetesDouble, service: Object | None, *conditions: Object, **spec: Any) -> Object:
    metadata = {"name": NAME, "labels": spec.pop("labels", {}), "annotations": spec.pop("annotations", {})}
    return kubernetes.put(PATH, {"metadata": metadata, "spec": {"service": service, **spec}, "status": {"conditions": list(conditions)}})


OURS = {"namespace": "kayan", "name": "kayan-metrics", "port": 443}


async def test_nobody_has_it_and_without_being_asked_it_is_not_made(ours: Any, kubernetes: KubernetesDouble) -> None:
    found = await ours().look()

    assert (found.state.kind, found.bundle) == ("absent", None)
    assert not await ours().publish(found, BUNDLE)
    assert PATH not in kubernetes.objects


async def test_asked_to_it_is_made_whole(ours: Any, kubernetes: KubernetesDouble) -> None:
    keeper = ours(create_when_absent=True)

    assert await keeper.publish(await keeper.look(), BUNDLE)

    made = kubernetes.objects[PATH]
    assert made["metadata"]["labels"] == {"app.kubernetes.io/part-of": "kayan"}
    assert made["spec"] == {
        "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
        "service": OURS, "caBundle": base64.b64encode(BUNDLE).decode(),
    }  # fmt: skip
    assert (await keeper.look()).bundle == BUNDLE


async def test_ours_is_told_of_the_bundle_when_it_has_another_and_only_then(ours: Any, kubernetes: KubernetesDouble) -> None:
    registered(kubernetes, OURS, AVAILABLE, caBundle=base64.b64encode(BUNDLE).decode(), groupPriorityMinimum=250)

    assert not await ours().publish(await ours().look(), BUNDLE)
    assert await ours().publish(await ours().look(), NEXT)

    assert (await ours().look()).bundle == NEXT
    assert kubernetes.objects[PATH]["spec"]["groupPriorityMinimum"] == 250
    assert kubernetes.asked[f"PATCH {PATH}"] == 1


async def test_who_read_an_older_one_does_not_write_over_a_newer_one(ours: Any, kubernetes: KubernetesDouble) -> None:
    registered(kubernetes, OURS)
    before = await ours().look()
    await ours().publish(before, NEXT)

    assert not await ours().publish(before, BUNDLE)

    assert (await ours().look()).bundle == NEXT


async def test_two_who_make_it_at_once_make_one(ours: Any, kubernetes: KubernetesDouble) -> None:
    keeper = ours(create_when_absent=True)
    absent = await keeper.look()
    await keeper.publish(absent, BUNDLE)

    assert not await keeper.publish(absent, NEXT)

    assert (await keeper.look()).bundle == BUNDLE


async def test_who_skips_verification_on_purpose_is_left_to_it(ours: Any, kubernetes: KubernetesDouble) -> None:
    registered(kubernetes, OURS, AVAILABLE, insecureSkipTLSVerify=True)

    found = await ours().look()

    assert found.state.kind == "available"
    assert not await ours().publish(found, BUNDLE)
    assert "caBundle" not in kubernetes.objects[PATH]["spec"]


@pytest.mark.parametrize(
    ("conditions", "kind", "says"),
    [
        ([AVAILABLE], "available", "is available"),
        ([FAILED], "unavailable", "is not available: failing: connection refused"),
        ([], "unavailable", "kube-apiserver has not tried yet"),
    ],
)
async def test_the_state_is_what_kubernetes_thinks_of_it(
    ours: Any, kubernetes: KubernetesDouble, conditions: list[Object], kind: str, says: str
) -> None:
    registered(kubernetes, OURS, *conditions)

    state = (await ours().look()).state

    assert (state.kind, says in state.message) == (kind, True)


@pytest.mark.parametrize(
    ("service", "more", "owner"),
    [
        ({"namespace": "keda", "name": "keda-operator-metrics-apiserver"}, {}, "KEDA (Service keda/keda-operator-metrics-apiserver)"),
        ({"namespace": "monitoring", "name": "dd-cluster-agent-metrics-api"}, {"labels": {"app.kubernetes.io/name": "datadog"}},
         "Datadog's cluster agent (Service monitoring/dd-cluster-agent-metrics-api)"),
        ({"namespace": "monitoring", "name": "adapter"}, {"labels": {"app.kubernetes.io/name": "prometheus-adapter"}},
         "prometheus-adapter (Service monitoring/adapter)"),
        ({"namespace": "custom-metrics", "name": "custom-metrics-stackdriver-adapter"}, {},
         "Google's Stackdriver adapter (Service custom-metrics/custom-metrics-stackdriver-adapter)"),
        ({"namespace": "kayan", "name": "other-metrics"}, {"labels": {"app.kubernetes.io/part-of": "kayan"}},
         "another Kayan fleet (Service kayan/other-metrics)"),
        ({"namespace": "scaling", "name": "metrics"}, {"annotations": {"meta.helm.sh/release-name": "keda"}},
         "KEDA (Service scaling/metrics)"),
        ({"namespace": "kayan", "name": "home-made"}, {}, "Service kayan/home-made"),
        ({"namespace": "elsewhere", "name": "kayan-metrics"}, {}, "another Kayan fleet (Service elsewhere/kayan-metrics)"),
        (None, {}, "kube-apiserver itself"),
    ],
)  # fmt: skip
async def test_anothers_is_named_and_never_touched(
    ours: Any, kubernetes: KubernetesDouble, service: Object | None, more: dict[str, Any], owner: str
) -> None:
    before = registered(kubernetes, service, AVAILABLE, caBundle="dGhlaXJz", **more)
    keeper = ours(create_when_absent=True)

    found = await keeper.look()

    assert (found.state.kind, found.state.message) == ("foreign", f"APIService {NAME} belongs to {owner}")
    assert not await keeper.publish(found, BUNDLE)
    assert not await keeper.remove_if_ours()
    assert kubernetes.objects[PATH] == before
    assert {request.split()[0] for request in kubernetes.asked} == {"GET"}


async def test_ours_is_removed_when_we_go(ours: Any, kubernetes: KubernetesDouble) -> None:
    registered(kubernetes, OURS)

    assert await ours().remove_if_ours()
    assert not await ours().remove_if_ours()
    assert PATH not in kubernetes.objects


async def test_another_one_that_came_in_between_is_not_removed(ours: Any, kubernetes: KubernetesDouble, api: KubernetesApi) -> None:
    was = registered(kubernetes, OURS)
    another = registered(kubernetes, {"namespace": "keda", "name": "keda"})

    with pytest.raises(ConflictError):
        await api.delete(PATH, {"preconditions": {"uid": was["metadata"]["uid"]}})

    assert kubernetes.objects[PATH] == another


async def test_silence_is_no_state(ours: Any, kubernetes: KubernetesDouble) -> None:
    kubernetes.refused[COLLECTION] = 500

    with pytest.raises(KubernetesError):
        await ours().look()
