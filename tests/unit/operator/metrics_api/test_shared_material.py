"""Replicas share one certificate in a Secret, whoever of them comes first, and whatever happens to it."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import Any

import pytest
from kayan_operator.metrics_api.certificates import CERTIFICATE, Lifetimes, Material, made, names_of
from kayan_operator.metrics_api.kubernetes_api import ConflictError, ForbiddenError, KubernetesApi, KubernetesError, Object
from kayan_operator.metrics_api.shared_material import Place, SharedMaterial
from unit.operator.metrics_api.conftest import Clock
from unit.operator.metrics_api.kubernetes_double import KubernetesDouble

PLACE = Place(namespace="kayan", name="kayan-metrics-tls", labels={"app.kubernetes.io/part-of": "kayan"})
NAMES = names_of("kayan-metrics", "kayan", "cluster.local")
WRITES = (f"POST {PLACE.collection}", f"PATCH {PLACE.path}")


@pytest.fixture
def replica(api: KubernetesApi, clock: Clock) -> Any:
    """Makes replicas."""
    return lambda: SharedMaterial(api, PLACE, NAMES, Lifetimes(), clock=clock)


def stored(kubernetes: KubernetesDouble) -> Material:
    data: dict[str, str] = kubernetes.objects[PLACE.path]["data"]
    return Material.parse({name: base64.b64decode(value) for name, value in data.items()})


def store(kubernetes: KubernetesDouble, data: dict[str, bytes], **metadata: Any) -> None:
    encoded = {name: base64.b64encode(value).decode() for name, value in data.items()}
    kubernetes.put(PLACE.path, {"metadata": {"name": PLACE.name, **metadata}, "data": encoded})


async def test_the_first_makes_it_and_the_second_takes_it(replica: Any, kubernetes: KubernetesDouble) -> None:
    first, second = replica(), replica()
    assert not first.shared

    await first.keep(None)
    await second.keep(None)

    assert first.shared
    assert second.shared
    assert first.material.data() == second.material.data() == stored(kubernetes).data()
    assert kubernetes.objects[PLACE.path]["metadata"]["labels"] == PLACE.labels
    assert sum(kubernetes.asked[write] for write in WRITES) == 1


async def test_all_at_once_agree(replica: Any, kubernetes: KubernetesDouble) -> None:
    replicas = [replica() for _ in range(8)]

    await asyncio.gather(*(one.keep(None) for one in replicas))

    assert {one.material.chain for one in replicas} == {stored(kubernetes).chain}


async def test_a_secret_that_is_there_without_data_is_filled(replica: Any, kubernetes: KubernetesDouble, logged: list[Object]) -> None:
    kubernetes.put(PLACE.path, {"metadata": {"name": PLACE.name, "labels": {"made-by": "helm"}}})
    one = replica()

    await one.keep(None)

    assert stored(kubernetes).chain == one.material.chain
    assert kubernetes.objects[PLACE.path]["metadata"]["labels"] == {"made-by": "helm"}
    assert [event["event"] for event in logged] == ["certificate.made"]


async def test_an_ordinary_look_writes_nothing(replica: Any, kubernetes: KubernetesDouble) -> None:
    one = replica()
    await one.keep(None)
    for _ in range(3):
        await one.keep(one.material.bundle)

    assert sum(kubernetes.asked[write] for write in WRITES) == 1


async def test_renewed_once_by_whoever_sees_it_due(replica: Any, kubernetes: KubernetesDouble, clock: Clock) -> None:
    replicas = [replica() for _ in range(4)]
    await asyncio.gather(*(one.keep(None) for one in replicas))
    before = stored(kubernetes).certificate
    clock.advance(days=61)

    await asyncio.gather(*(one.keep(None) for one in replicas))

    assert stored(kubernetes).certificate.serial_number != before.serial_number
    assert {one.material.chain for one in replicas} == {stored(kubernetes).chain}


async def test_broken_contents_are_replaced_with_one_line_by_what_worked_before(
    replica: Any, kubernetes: KubernetesDouble, logged: list[Object]
) -> None:
    one = replica()
    await one.keep(None)
    good = one.material.data()
    store(kubernetes, good | {CERTIFICATE: b"by hand"})
    logged.clear()

    await one.keep(None)
    await one.keep(None)

    assert stored(kubernetes).data() == one.material.data() == good
    assert [event["event"] for event in logged] == ["certificate.broken", "certificate.made"]


async def test_broken_contents_that_nobody_remembers_are_made_anew(replica: Any, kubernetes: KubernetesDouble) -> None:
    kubernetes.put(PLACE.path, {"metadata": {"name": PLACE.name}, "data": {CERTIFICATE: "not base64!"}})
    one = replica()

    await one.keep(None)

    assert stored(kubernetes).chain == one.material.chain


async def test_to_delete_it_brings_another_authority_without_a_moment_of_distrust(
    replica: Any, kubernetes: KubernetesDouble, clock: Clock
) -> None:
    one = replica()
    await one.keep(None)
    before = one.material
    await one.keep(before.bundle)
    del kubernetes.objects[PLACE.path]

    await one.keep(before.bundle)
    assert one.material.certificate == before.certificate, "clients trust no other authority yet"
    assert one.material.authorities[1:] == before.authorities

    await one.keep(one.material.bundle)
    clock.advance(minutes=5)
    await one.keep(one.material.bundle)
    assert one.material.newest_signs

    clock.advance(hours=1)
    await one.keep(one.material.bundle)
    assert before.newest not in one.material.authorities
    assert stored(kubernetes).bundle == one.material.bundle


async def test_a_new_authority_waits_until_it_has_been_published_without_a_break(
    replica: Any, clock: Clock, kubernetes: KubernetesDouble
) -> None:
    one = replica()
    await one.keep(None)
    old = one.material.bundle
    del kubernetes.objects[PLACE.path]
    await one.keep(old)
    new = one.material.bundle

    for published, minutes in ((new, 4), (old, 4), (new, 4), (None, 4), (new, 4)):
        await one.keep(published)
        clock.advance(minutes=minutes)
        assert not one.material.newest_signs
    await one.keep(new)
    assert not one.material.newest_signs
    clock.advance(minutes=1)
    await one.keep(new)
    assert one.material.newest_signs


async def test_what_is_known_stays_while_kubernetes_is_silent(replica: Any, kubernetes: KubernetesDouble) -> None:
    one = replica()
    await one.keep(None)
    known = one.material
    await kubernetes.stop()

    with pytest.raises(KubernetesError):
        await one.keep(known.bundle)

    assert (one.material, one.shared) == (known, True)


async def test_without_the_right_it_is_nobodys_but_ones_own(replica: Any, kubernetes: KubernetesDouble) -> None:
    kubernetes.refused[PLACE.collection] = 403
    one = replica()

    with pytest.raises(ForbiddenError, match="is refused"):
        await one.keep(None)

    assert not one.shared


async def test_a_write_that_fails_does_not_change_what_is_shown(replica: Any, kubernetes: KubernetesDouble, clock: Clock) -> None:
    store(kubernetes, made(NAMES, clock(), Lifetimes()).data())
    one = replica()
    await one.keep(None)
    shown = one.material.chain
    clock.advance(days=61)
    kubernetes.refused[f"PATCH {PLACE.path}"] = 409

    with pytest.raises(ConflictError, match="changes all the time"):
        await one.keep(None)
    assert one.material.chain == shown

    kubernetes.refused.clear()
    await one.keep(None)
    assert one.material.certificate.not_valid_after_utc == clock() + timedelta(days=90)
