"""Who may speak for others is what the ConfigMap says, now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trustme
from kayan_operator.metrics_api.front_proxy import CONFIG_MAP, FrontProxy, FrontProxyError, FrontProxyWatch, common_name
from kayan_operator.metrics_api.identity import Identity
from kayan_operator.metrics_api.kubernetes_api import KubernetesApi, Object
from multidict import CIMultiDict, CIMultiDictProxy
from unit.operator.metrics_api.conftest import pem
from unit.operator.metrics_api.kubernetes_double import KubernetesDouble
from waiting import wait_until

READS = f"GET {CONFIG_MAP}"


def config(authority: trustme.CA, **changed: str) -> dict[str, str]:
    double = KubernetesDouble()
    double.knows_front_proxy(pem(authority), **{name.replace("_", "-"): value for name, value in changed.items()})
    return dict(double.objects[CONFIG_MAP]["data"])


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


@pytest.fixture
def front_proxy(front_proxy_ca: trustme.CA) -> FrontProxy:
    return FrontProxy.parse(config(front_proxy_ca))


def test_the_headers_name_user_groups_and_extra_fields(front_proxy: FrontProxy) -> None:
    named = front_proxy.names(
        headers(
            ("X-Remote-User", "system:serviceaccount:kube-system:horizontal-pod-autoscaler"), ("X-Remote-Uid", "7"),
            ("X-Remote-Group", "system:serviceaccounts"), ("x-remote-group", "system:authenticated"), ("X-Remote-Group", ""),
            ("X-Remote-Extra-Scopes", "a"), ("X-Remote-Extra-scopes", "b"), ("X-Remote-Extra-Acme.com%2fProject", "c"),
        )
    )  # fmt: skip

    assert named == Identity(
        "system:serviceaccount:kube-system:horizontal-pod-autoscaler", "7", ("system:serviceaccounts", "system:authenticated"),
        (("acme.com/project", ("c",)), ("scopes", ("a", "b"))),
    )  # fmt: skip


@pytest.mark.parametrize("given", [headers(), headers(("X-Remote-User", "")), headers(("X-Remote-Group", "system:masters"))])
def test_without_a_name_there_is_nobody(front_proxy: FrontProxy, given: CIMultiDictProxy[str]) -> None:
    assert front_proxy.names(given) is None


def test_who_is_known_has_the_group_of_all_who_are_and_the_anonymous_have_not(front_proxy: FrontProxy) -> None:
    def groups(name: str, *given: str) -> tuple[str, ...]:
        found = front_proxy.names(headers(("X-Remote-User", name), *(("X-Remote-Group", group) for group in given)))
        assert found
        return found.groups

    assert groups("ada") == ("system:authenticated",)
    assert groups("ada", "engineers") == ("engineers", "system:authenticated")
    assert groups("system:anonymous") == ()
    assert groups("system:anonymous", "system:unauthenticated") == ("system:unauthenticated",)


def test_other_headers_can_be_agreed_on_the_first_that_has_a_value_counts(front_proxy_ca: trustme.CA) -> None:
    front_proxy = FrontProxy.parse(
        config(
            front_proxy_ca, requestheader_username_headers='["X-User","X-Remote-User"]',
            requestheader_extra_headers_prefix='["X-A-","X-B-"]', requestheader_group_headers='["X-Group","X-Team"]',
        )
    )  # fmt: skip

    named = front_proxy.names(
        headers(("X-Remote-User", "ada"), ("X-Team", "t"), ("X-Group", "g"), ("X-B-Key", "b"), ("X-A-Key", "a"), ("X-Remote-Group", "no"))
    )

    assert named == Identity("ada", "", ("g", "t", "system:authenticated"), (("key", ("a", "b")),))
    assert front_proxy.names(headers(("X-User", "eve"), ("X-Remote-User", "ada"))) == Identity("eve", "", ("system:authenticated",))


@pytest.mark.parametrize(
    ("allowed", "name", "answer"),
    [('["front-proxy-client","other"]', "other", True), ('["front-proxy-client"]', "other", False), ("[]", "other", True), ("", "", True)],
)
def test_the_certificates_name_must_be_allowed_unless_any_is(front_proxy_ca: trustme.CA, allowed: str, name: str, answer: bool) -> None:
    assert FrontProxy.parse(config(front_proxy_ca, requestheader_allowed_names=allowed)).allows(name) is answer


def test_the_name_of_a_certificate_is_its_common_name() -> None:
    described = {"subject": ((("organizationName", "kubernetes"),), (("commonName", "front-proxy-client"), ("serialNumber", "1")))}

    assert common_name(described) == "front-proxy-client"
    assert common_name({"subject": ()}) == common_name({}) == ""


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"requestheader_client_ca_file": ""}, "this cluster has no aggregation layer"),
        ({"requestheader_client_ca_file": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"}, "is not PEM"),
        ({"requestheader_allowed_names": "front-proxy-client"}, "requestheader-allowed-names is not JSON"),
        ({"requestheader_username_headers": '"X-Remote-User"'}, "requestheader-username-headers is no list of texts"),
    ],
)
def test_a_config_map_that_makes_no_sense_says_where(front_proxy_ca: trustme.CA, changed: dict[str, str], says: str) -> None:
    with pytest.raises(FrontProxyError, match=says):
        FrontProxy.parse(config(front_proxy_ca, **changed))


def test_who_issued_a_certificate_is_told_by_its_signature(
    front_proxy: FrontProxy, front_proxy_ca: trustme.CA, stranger_ca: trustme.CA
) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    def der(authority: trustme.CA) -> bytes:
        issued = authority.issue_cert("client.test").cert_chain_pems[0].bytes()
        return x509.load_pem_x509_certificate(issued).public_bytes(Encoding.DER)

    assert front_proxy.issued(der(front_proxy_ca))
    assert not front_proxy.issued(der(stranger_ca))


# -- the watch -------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def watching(api: KubernetesApi, changed: Callable[[FrontProxy], None], **intervals: float) -> AsyncIterator[FrontProxyWatch]:
    watch = FrontProxyWatch(api, changed, **{"every": 3600.0, "suspected_every": 0.0, **intervals})
    running = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        running.cancel()


async def test_each_change_is_told_once(
    api: KubernetesApi, kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA, stranger_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    told: list[str] = []
    async with watching(api, lambda known: told.append(known.authorities), every=0.01) as watch:
        await wait_until(lambda: kubernetes.asked[READS] > 3)
        assert (told, watch.trouble) == ([pem(front_proxy_ca)], None)

        kubernetes.knows_front_proxy(pem(stranger_ca))
        await wait_until(lambda: len(told) > 1)
        assert told == [pem(front_proxy_ca), pem(stranger_ca)]


async def test_a_suspicion_leads_to_another_look_at_once(
    api: KubernetesApi, kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    async with watching(api, lambda _: None) as watch:
        await wait_until(lambda: watch.trouble is None)
        assert kubernetes.asked[READS] == 1
        watch.suspect()
        await wait_until(lambda: kubernetes.asked[READS] == 2)


async def test_many_suspicions_do_not_make_us_a_burden(
    api: KubernetesApi, kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    began = asyncio.get_running_loop().time()
    async with watching(api, lambda _: None, suspected_every=0.2) as watch:

        async def suspected_until_read_again() -> bool:
            watch.suspect()
            return kubernetes.asked[READS] == 4

        await wait_until(suspected_until_read_again)
        assert asyncio.get_running_loop().time() - began >= 0.6, "three more, each no sooner than 0.2 s after the one before"


async def test_in_an_outage_what_is_known_holds_and_the_trouble_is_logged_once(
    api: KubernetesApi, kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA, logged: list[Object]
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    told: list[FrontProxy] = []
    async with watching(api, told.append, every=0.01) as watch:
        await wait_until(lambda: told)
        kubernetes.refused["/api/"] = 503
        before = kubernetes.asked[READS]
        await wait_until(lambda: kubernetes.asked[READS] > before + 3)
        assert "is refused" in str(watch.trouble)

        kubernetes.refused.clear()
        await wait_until(lambda: watch.trouble is None)
        assert len(told) == 1
    assert [event["event"] for event in logged] == ["front_proxy.known", "front_proxy.unknown"]


async def test_until_it_is_known_it_is_asked_for_often(
    api: KubernetesApi, kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    told: list[FrontProxy] = []
    async with watching(api, told.append, suspected_every=0.01) as watch:
        await wait_until(lambda: kubernetes.asked[READS] > 2)
        assert "no aggregation layer" in str(watch.trouble)
        kubernetes.knows_front_proxy(pem(front_proxy_ca))
        await wait_until(lambda: told)


async def test_what_nobody_thought_of_does_not_end_the_watch(
    api: KubernetesApi, kubernetes: KubernetesDouble, front_proxy_ca: trustme.CA
) -> None:
    kubernetes.knows_front_proxy(pem(front_proxy_ca))
    told: list[FrontProxy] = []

    def first_time_never(front_proxy: FrontProxy) -> None:
        told.append(front_proxy)
        if len(told) == 1:
            raise OSError("TLS does not like it")

    async with watching(api, first_time_never, suspected_every=0.01) as watch:
        await wait_until(lambda: watch.trouble is None)
        assert len(told) == 2, "what was not taken is told again"
