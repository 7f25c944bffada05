"""Kubernetes' roles decide who reads a metric; what they said is remembered, and outlives an outage when it was yes."""

from __future__ import annotations

import pytest
from kayan_operator.metrics_api.authorization import REVIEWS, Authorizer
from kayan_operator.metrics_api.identity import Identity
from kayan_operator.metrics_api.kubernetes_api import ForbiddenError, KubernetesApi, KubernetesError
from unit.operator.metrics_api.conftest import Seconds
from unit.operator.metrics_api.kubernetes_double import KubernetesDouble

HPA = Identity.of(
    "system:serviceaccount:kube-system:horizontal-pod-autoscaler", "uid-1", ["system:serviceaccounts"], {"scopes": ["a", "b"]}
)  # fmt: skip
METRIC = "kayan-desired-replicas"


@pytest.fixture
def authorizer(api: KubernetesApi, seconds: Seconds) -> Authorizer:
    return Authorizer(api, clock=seconds)


async def test_the_question_is_who_may_list_the_metric_in_the_namespace(authorizer: Authorizer, kubernetes: KubernetesDouble) -> None:
    kubernetes.rights.add((HPA.name, "kayan", METRIC))

    assert (await authorizer.verdict(HPA, "kayan", METRIC)).allowed
    assert not (await authorizer.verdict(HPA, "other", METRIC)).allowed
    assert kubernetes.reviews[0] == {
        "user": HPA.name, "uid": "uid-1", "groups": ["system:serviceaccounts", "system:authenticated"], "extra": {"scopes": ["a", "b"]},
        "resourceAttributes": {
            "group": "external.metrics.k8s.io", "version": "v1beta1", "resource": METRIC, "namespace": "kayan", "verb": "list",
        },
    }  # fmt: skip


async def test_masters_pass_without_a_question(authorizer: Authorizer, kubernetes: KubernetesDouble) -> None:
    await kubernetes.stop()

    assert (await authorizer.verdict(Identity("system:kube-aggregator", groups=("system:masters",)), "kayan", METRIC)).allowed


async def test_a_right_is_remembered_for_five_minutes_and_its_lack_for_half_a_minute(
    authorizer: Authorizer, kubernetes: KubernetesDouble, seconds: Seconds
) -> None:
    assert not (await authorizer.verdict(HPA, "kayan", METRIC)).allowed
    kubernetes.rights.add((HPA.name, "kayan", METRIC))
    seconds.now += 29
    assert not (await authorizer.verdict(HPA, "kayan", METRIC)).allowed
    seconds.now += 1
    assert (await authorizer.verdict(HPA, "kayan", METRIC)).allowed
    kubernetes.rights.clear()
    seconds.now += 299
    assert (await authorizer.verdict(HPA, "kayan", METRIC)).allowed
    seconds.now += 1
    assert not (await authorizer.verdict(HPA, "kayan", METRIC)).allowed
    assert len(kubernetes.reviews) == 3


async def test_the_same_name_with_other_groups_is_another_question(authorizer: Authorizer, kubernetes: KubernetesDouble) -> None:
    await authorizer.verdict(Identity("ada", groups=("a",)), "kayan", METRIC)
    await authorizer.verdict(Identity("ada", groups=("b",)), "kayan", METRIC)

    assert [review["groups"] for review in kubernetes.reviews] == [["a"], ["b"]]


async def test_in_an_outage_a_right_holds_for_an_hour_and_a_lack_does_not_become_one(
    authorizer: Authorizer, kubernetes: KubernetesDouble, seconds: Seconds
) -> None:
    kubernetes.rights.add((HPA.name, "kayan", METRIC))
    await authorizer.verdict(HPA, "kayan", METRIC)
    await authorizer.verdict(HPA, "other", METRIC)
    await kubernetes.stop()

    seconds.now += 3599
    assert (await authorizer.verdict(HPA, "kayan", METRIC)).allowed
    with pytest.raises(KubernetesError, match="does not answer"):
        await authorizer.verdict(HPA, "other", METRIC)
    seconds.now += 10
    with pytest.raises(KubernetesError, match="does not answer"):
        await authorizer.verdict(HPA, "kayan", METRIC)

    await kubernetes.start()
    assert (await authorizer.verdict(HPA, "kayan", METRIC)).allowed


async def test_the_right_to_ask_is_named_while_it_is_missing(authorizer: Authorizer, kubernetes: KubernetesDouble) -> None:
    kubernetes.refused[REVIEWS] = 403
    with pytest.raises(ForbiddenError):
        await authorizer.verdict(HPA, "kayan", METRIC)
    assert "subjectaccessreviews is refused" in str(authorizer.trouble)

    kubernetes.refused.clear()
    await authorizer.verdict(HPA, "kayan", METRIC)
    assert authorizer.trouble is None
