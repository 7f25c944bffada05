"""Who may reach whom: nothing is open that a family does not need."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import pytest
from chart.rendered import EVERYTHING, NAMESPACED, PLAIN, SCALED, STORES, UNSCALED, Chart, Object, merged, render
from kayan_workers.processors.table import DATABASE, MAIL, ROLES, STORAGE

FAMILY = "workers.kayanlive.com/family"
DNS = {53, 5353}
"""Where DNS is asked, and where its pods listen on OpenShift: a policy sees what a Service has already translated."""
METADATA, POD_IDENTITY = "169.254.169.254", "169.254.170.23"
FAMILIES = sorted({role.family for role in ROLES})
NEEDS = {family: {need for role in ROLES if role.family == family for need in role.needs} for family in FAMILIES}
USUAL = {DATABASE: {5432}, STORAGE: {443}, MAIL: {443}}
"""Ports of what the table says a role needs, where nobody says otherwise."""


def policies(chart: Chart, labels: dict[str, str]) -> list[Object]:
    """The specs of the NetworkPolicies that select a pod with ``labels``."""
    specs = [found["spec"] for found in chart.of("NetworkPolicy")]
    return [spec for spec in specs if spec["podSelector"]["matchLabels"].items() <= labels.items()]


def rules(chart: Chart, labels: dict[str, str], direction: str) -> Iterator[Object]:
    for spec in policies(chart, labels):
        yield from spec.get(direction, [])


def ports(chart: Chart, labels: dict[str, str]) -> set[int]:
    """The TCP ports that a pod may reach anywhere but for DNS and link-local addresses."""
    found = [rule for rule in rules(chart, labels, "egress") if not only_link_local(rule)]
    return {port["port"] for rule in found for port in rule["ports"]} - DNS


def only_link_local(rule: Object) -> bool:
    blocks = [peer["ipBlock"]["cidr"] for peer in rule.get("to", []) if "ipBlock" in peer]
    return bool(blocks) and len(blocks) == len(rule["to"]) and all(block.startswith("169.254.") for block in blocks)


def reaches(chart: Chart, labels: dict[str, str], address: str) -> bool:
    """Whether any rule but that of DNS leads to an address outside of the cluster."""
    there = ipaddress.ip_address(address)
    for rule in rules(chart, labels, "egress"):
        if {port["port"] for port in rule.get("ports", [])} == DNS:
            continue
        for peer in rule.get("to", [{"ipBlock": {"cidr": "0.0.0.0/0"}}]):
            block = peer.get("ipBlock")
            if block and there in ipaddress.ip_network(block["cidr"]) and not any(
                there in ipaddress.ip_network(hole) for hole in block.get("except", [])
            ):
                return True
    return False


def labels_of(chart: Chart, family: str) -> dict[str, str]:
    return next(pod.labels for pod in chart.pods() if pod.labels[FAMILY] == family)


def test_what_is_not_allowed_is_denied_to_every_pod_of_the_release(chart: Chart) -> None:
    for pod in chart.pods():
        found = policies(chart, pod.labels)
        assert any(spec.keys() == {"podSelector", "policyTypes"} for spec in found), pod.of
        assert all(set(spec["policyTypes"]) == {"Ingress", "Egress"} for spec in found)


def test_every_family_has_a_policy_and_every_policy_a_family(chart: Chart) -> None:
    selected = {found["spec"]["podSelector"]["matchLabels"].get(FAMILY) for found in chart.of("NetworkPolicy")} - {None}
    assert selected - {"demo", "operator"} == NEEDS.keys() | {"commands"}
    assert {pod.labels[FAMILY] for pod in chart.pods()} <= selected


@pytest.mark.parametrize("family", NEEDS)
def test_a_family_reaches_redis_and_just_what_the_table_says_it_needs(family: str) -> None:
    chart = render(STORES)

    needed = set().union(*(USUAL[need] for need in NEEDS[family] if need in USUAL))
    assert ports(chart, labels_of(chart, family)) == {6379} | needed


@pytest.mark.parametrize(("values", "expected"), [
    (STORES, {6379, 443, 6443}),
    (merged(STORES, {"networkPolicy": {"apiServer": {"ports": [8443]}, "redis": {"ports": [6390]}}}), {6379, 6390, 443, 6443, 8443}),
    (SCALED, {6379, 443, 6443, 6380, 26379}),
])  # fmt: skip
def test_the_operator_reaches_redis_and_the_kubernetes_api_alone(values: Object, expected: set[int]) -> None:
    chart = render(values)

    assert ports(chart, labels_of(chart, "operator")) == expected
    assert not reaches(chart, labels_of(chart, "operator"), METADATA)


def test_where_the_kubernetes_api_and_other_redis_servers_are_can_be_said() -> None:
    control_plane, elsewhere = [{"ipBlock": {"cidr": "172.16.0.2/32"}}], [{"ipBlock": {"cidr": "10.7.0.0/16"}}]
    chart = render(merged(STORES, {
        "networkPolicy": {"apiServer": {"to": control_plane}},
        "operator": {"moreRedis": {"eu": {"secretName": "eu", "ports": [7000], "to": elsewhere}}},
    }))  # fmt: skip

    found = {port["port"]: rule.get("to") for rule in rules(chart, labels_of(chart, "operator"), "egress") for port in rule["ports"]}
    assert (found[443], found[6443], found[7000]) == (control_plane, control_plane, elsewhere)


def test_the_api_server_reaches_the_operators_metrics_from_anywhere_and_where_it_serves_none_nobody_does() -> None:
    open_to_all = {"ports": [{"port": "metrics-api"}]}
    health = {"ports": [{"port": "health"}], "from": [{"namespaceSelector": {}}]}
    for chart, expected in ((render(STORES), [health, open_to_all]), (render(NAMESPACED), [health])):
        assert list(rules(chart, labels_of(chart, "operator"), "ingress")) == expected


def test_pods_that_only_queue_reach_redis_alone_and_nobody_reaches_them() -> None:
    chart = render(PLAIN)
    for pod in chart.pods():
        if pod.labels[FAMILY] == "commands":
            assert ports(chart, pod.labels) == {6380}, pod.of
            assert not list(rules(chart, pod.labels, "ingress")), pod.of
    assert sum(pod.labels[FAMILY] == "commands" for pod in chart.pods()) > 7


@pytest.mark.parametrize(("values", "family", "expected"), [
    (PLAIN, "media", {6380, 6432, 9000, 443}),
    (PLAIN, "messaging", {6380, 6432, 443}),
    (PLAIN, "analytics", {6380, 6432}),
    (EVERYTHING, "analytics", {26380, 26379, 6379, 5432}),
    (EVERYTHING, "messaging", {26380, 26379, 6379, 5432, 8443, 443}),
    (merged(PLAIN, {"redis": {"url": "rediss://user:p%40ss@redis.internal:7000/0"}}), "analytics", {7000, 6432}),
    (merged(PLAIN, {"redis": {"url": "redis://redis.internal"}}), "analytics", {6379, 6432}),
    (merged(PLAIN, {"database": {"url": "postgresql://kayan:p,a:7@a:6432,b,c:6433/kayanlive"}}), "analytics", {6380, 6432, 5432, 6433}),
    (merged(PLAIN, {"database": {"url": "postgresql:///kayanlive?host=a,b&port=6432,6433"}}), "analytics", {6380, 6432, 6433}),
    (merged(STORES, {"storage": {"endpoint": "http://minio"}}), "media", {6379, 5432, 80, 443}),
    (merged(STORES, {"storage": {"endpoint": "http://minio/path:8"}}), "media", {6379, 5432, 80, 443}),
    (merged(STORES, {"networkPolicy": {"database": {"ports": [6432, 5432]}}}), "analytics", {6379, 5432, 6432}),
])  # fmt: skip
def test_the_ports_are_those_that_the_settings_name(values: Object, family: str, expected: set[int]) -> None:
    chart = render(values)

    assert ports(chart, labels_of(chart, family)) == expected


def test_every_pod_may_ask_dns_over_both_protocols_wherever_it_is_and_on_the_port_of_its_pods() -> None:
    chart = render(STORES)

    for pod in chart.pods():
        [rule] = [rule for rule in rules(chart, pod.labels, "egress") if {port["port"] for port in rule["ports"]} == DNS]
        assert {(port["port"], port["protocol"]) for port in rule["ports"]} == {(port, kind) for port in DNS for kind in ("TCP", "UDP")}
        assert "to" not in rule, "a node's own DNS has a link-local address"


def test_where_systems_are_can_be_said_and_is_anywhere_but_the_nodes_own_addresses_otherwise() -> None:
    database = [{"ipBlock": {"cidr": "10.1.2.0/24"}}]
    chart = render(merged(STORES, {"networkPolicy": {"database": {"to": database}}}))

    for rule in rules(chart, labels_of(chart, "media"), "egress"):
        if {port["port"] for port in rule["ports"]} == {5432}:
            assert rule["to"] == database
        elif {port["port"] for port in rule["ports"]} != DNS:
            assert {"namespaceSelector": {}} in rule["to"]
            [four] = [peer["ipBlock"] for peer in rule["to"] if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"]
            assert four["except"] == ["169.254.0.0/16"]


def test_only_who_is_bound_to_an_identity_of_google_reaches_the_metadata_address() -> None:
    bound = {"media": {"annotations": {"iam.gke.io/gcp-service-account": "kayan@project.iam.gserviceaccount.com"}}}
    irsa = {"messaging": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/kayan"}}}
    azure = {"maintenance": {"annotations": {"azure.workload.identity/client-id": "c0ffee"}}}
    chart = render(merged(STORES, {"serviceAccounts": bound | irsa | azure}))
    assert {family for family in NEEDS if reaches(chart, labels_of(chart, family), METADATA)} == {"media"}

    allowed = render(merged(STORES, {"networkPolicy": {"cloudMetadata": "allow"}}))
    assert {family for family in [*NEEDS, "commands"] if reaches(allowed, labels_of(allowed, family), METADATA)} == NEEDS.keys()

    blocked = render(merged(STORES, {"serviceAccounts": bound, "networkPolicy": {"cloudMetadata": "block"}}))
    assert not [family for family in NEEDS if reaches(blocked, labels_of(blocked, family), METADATA)]


def test_pod_identity_of_eks_is_reached_when_it_is_said_to_be_there() -> None:
    without, with_it = render(STORES), render(merged(STORES, {"networkPolicy": {"eksPodIdentity": True}}))

    assert not [family for family in NEEDS if reaches(without, labels_of(without, family), POD_IDENTITY)]
    assert {family for family in [*NEEDS, "commands"] if reaches(with_it, labels_of(with_it, family), POD_IDENTITY)} == NEEDS.keys()


def test_nobody_reaches_a_worker_but_at_its_health_port_and_that_may_be_narrowed() -> None:
    prometheus = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    anybody, narrowed = render(STORES), render(merged(STORES, {"networkPolicy": {"metricsFrom": prometheus}}))

    for family in NEEDS:
        [rule] = rules(anybody, labels_of(anybody, family), "ingress")
        assert rule == {"ports": [{"port": "health"}], "from": [{"namespaceSelector": {}}]}
        [rule] = rules(narrowed, labels_of(narrowed, family), "ingress")
        assert rule == {"ports": [{"port": "health"}], "from": prometheus}


def test_more_ways_out_can_be_opened() -> None:
    proxy = {"ports": [{"port": 3128}], "to": [{"ipBlock": {"cidr": "10.9.9.9/32"}}]}
    chart = render(merged(STORES, {"networkPolicy": {"extraEgress": [proxy]}}))

    assert all(proxy in list(rules(chart, labels_of(chart, family), "egress")) for family in [*NEEDS, "commands"])


def test_the_demo_reaches_its_own_stores_and_they_reach_nothing() -> None:
    chart = render(UNSCALED)
    stores = {found["metadata"]["name"]: found["spec"] for found in chart.of("Service")}
    assert len(stores) == 3

    for pod in chart.pods():
        if pod.labels[FAMILY] == "demo":
            assert not list(rules(chart, pod.labels, "egress")), pod.of
            [container] = pod.spec["containers"]
            open_ports = {port["port"] for rule in rules(chart, pod.labels, "ingress") for port in rule["ports"]}
            assert {port["containerPort"] for port in container["ports"]} <= open_ports
    to = [peer for rule in rules(chart, labels_of(chart, "media"), "egress") for peer in rule.get("to", [])]
    reached = [peer["podSelector"]["matchLabels"] for peer in to]
    assert sorted(map(str, reached)) == sorted(str(spec["selector"]) for spec in stores.values())


def test_there_are_no_policies_when_they_are_switched_off() -> None:
    for values in ({}, STORES):
        assert render(merged(values, {"networkPolicy": {"enabled": False}})).of("NetworkPolicy") == []
