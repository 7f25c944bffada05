"""Bearer tokens belong to whom Kubernetes says."""

from __future__ import annotations

import pytest
from kayan_operator.metrics_api.identity import Identity
from kayan_operator.metrics_api.kubernetes_api import KubernetesApi, KubernetesError
from kayan_operator.metrics_api.tokens import REVIEWS, Tokens
from unit.operator.metrics_api.conftest import Seconds
from unit.operator.metrics_api.kubernetes_double import KubernetesDouble

ADA = {"username": "ada", "uid": "7", "groups": ["engineers"], "extra": {"scopes": ["read"]}}


async def test_a_token_names_its_owner_and_everything_about_him(api: KubernetesApi, kubernetes: KubernetesDouble) -> None:
    kubernetes.owners["good"] = ADA

    owner = await Tokens(api).owner("good")

    assert owner == Identity("ada", "7", ("engineers", "system:authenticated"), (("scopes", ("read",)),))


async def test_a_made_up_token_is_nobodys(api: KubernetesApi) -> None:
    assert await Tokens(api).owner("made up") is None


async def test_an_answer_is_remembered_for_ten_seconds(api: KubernetesApi, kubernetes: KubernetesDouble, seconds: Seconds) -> None:
    kubernetes.owners["good"] = ADA
    tokens = Tokens(api, clock=seconds)
    await tokens.owner("good")
    del kubernetes.owners["good"]

    seconds.now += 9
    assert await tokens.owner("good") is not None
    seconds.now += 1
    assert await tokens.owner("good") is None
    assert kubernetes.asked[f"POST {REVIEWS}"] == 2


async def test_when_kubernetes_is_silent_nobody_is_let_in_by_a_token(
    api: KubernetesApi, kubernetes: KubernetesDouble, seconds: Seconds
) -> None:
    kubernetes.owners["good"] = ADA
    tokens = Tokens(api, clock=seconds)
    await tokens.owner("good")
    await kubernetes.stop()
    seconds.now += 10

    with pytest.raises(KubernetesError, match="does not answer"):
        await tokens.owner("good")
