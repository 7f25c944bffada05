"""Names and labels: short enough, nobody else's, and texts whatever they look like."""

from __future__ import annotations

from pathlib import Path

import pytest
from chart.rendered import EVERYTHING, SCALED, STORES, UNSCALED, Chart, Object, merged, named, render

SELECTING = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
COMMON = SELECTING | {"app.kubernetes.io/version", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by", "helm.sh/chart"}
FAMILY = "workers.kayanlive.com/family"

LONG = ("a-release-whose-name-is-as-long-as-helm-allows-it-to1", "a-release-whose-name-is-as-long-as-helm-allows-it-to2")
"""53 characters each, of which the last differs."""


def texts(node: object) -> list[object]:
    """Everything that Kubernetes takes for a text: names, and values of labels and annotations."""
    found: list[object] = []
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("labels", "annotations", "matchLabels", "nodeSelector"):
                found += value.values()
            elif key in ("name", "namespace", "secretName", "serviceAccountName", "key", "interval", "timeZone"):
                found.append(value)
            found += texts(value)
    elif isinstance(node, list):
        for value in node:
            found += texts(value)
    return found


OF_THE_CLUSTER = {"ClusterRole", "ClusterRoleBinding", "APIService"}
"""Kinds that lie in no namespace."""


def test_every_object_has_the_common_labels_and_lies_in_the_releases_namespace_where_it_lies_in_any(chart: Chart) -> None:
    for found in chart.objects:
        namespace = found["metadata"].get("namespace")
        if found["kind"] in ("Role", "RoleBinding") and namespace in ("kube-system", "default"):
            assert found["metadata"]["name"].startswith("live-"), "so that no other release has the same"
        else:
            assert namespace == (None if found["kind"] in OF_THE_CLUSTER else "live"), named(found)
        assert found["metadata"]["labels"].keys() >= COMMON, named(found)


def test_what_lies_in_no_namespace_is_called_by_the_releases_own(chart: Chart) -> None:
    for found in chart.objects:
        if found["kind"] in OF_THE_CLUSTER - {"APIService"}:
            assert found["metadata"]["name"].startswith("live-kayan-kayan-workers-operator"), named(found)


def test_a_selector_goes_by_name_release_and_component_and_its_pods_have_these_labels(chart: Chart) -> None:
    for found in chart.of("Deployment"):
        selector = found["spec"]["selector"]
        assert selector.keys() == {"matchLabels"}
        assert selector["matchLabels"].keys() == SELECTING
        assert found["spec"]["template"]["metadata"]["labels"].items() >= selector["matchLabels"].items()
        assert found["metadata"]["name"].endswith(selector["matchLabels"]["app.kubernetes.io/component"])
    for found in chart.of("Service"):
        assert found["spec"]["selector"].keys() == SELECTING


def test_common_labels_and_annotations_reach_every_object_and_the_labels_every_pod() -> None:
    labels, annotations = {"team": "media", "number": "1e3"}, {"contact": "platform@example.com", "on": "on"}
    for values in ({}, EVERYTHING, merged(EVERYTHING, SCALED)):
        chart = render(merged(values, {"commonLabels": labels, "commonAnnotations": annotations}))
        for found in chart.objects:
            assert found["metadata"]["labels"].items() >= labels.items(), named(found)
            assert found["metadata"]["annotations"].items() >= annotations.items(), named(found)
        for pod in chart.pods():
            assert pod.labels.items() >= labels.items(), pod.of


def test_a_label_that_is_said_twice_is_written_once_and_the_nearer_one_counts() -> None:
    chart = render(merged(EVERYTHING, {
        "commonLabels": {"team": "all", "app.kubernetes.io/part-of": "ours"},
        "workerDefaults": {"podLabels": {"team": "workers"}, "podAnnotations": {"checksum/settings": "mine"}},
        "cleanups": {"podLabels": {"team": "cleanups"}},
        "monitoring": {"podMonitor": {"labels": {"team": "monitoring"}}},
    }))  # fmt: skip

    assert chart.workers()["email"]["metadata"]["labels"]["team"] == "all"
    assert chart.worker("email").labels.items() >= {"team": "workers", "app.kubernetes.io/part-of": "ours"}.items()
    assert {pod.labels["team"] for pod in chart.pods() if pod.of.startswith("CronJob")} == {"cleanups"}
    [monitor] = chart.of("PodMonitor")
    assert monitor["metadata"]["labels"]["team"] == "monitoring"


@pytest.mark.parametrize("values", [{}, EVERYTHING, {"fullnameOverride": "f" * 40}, {"nameOverride": "n" * 40}, merged(EVERYTHING, SCALED)])
def test_names_and_labels_are_short_enough_for_the_longest_release(values: Object) -> None:
    longest = {"family": "analytics", "roles": ["analytics"]}
    chart = render(merged(values, {"workers": {"w" * 22: longest, "analytics": None}}), release=LONG[0])

    for found in chart.objects:
        assert len(found["metadata"]["name"]) <= 63, named(found)
        assert all(len(value) <= 63 for value in found["metadata"]["labels"].values()), named(found)
    names = [(found["kind"], found["metadata"].get("namespace"), found["metadata"]["name"]) for found in chart.objects]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("values", [{}, merged(EVERYTHING, SCALED, {"cleanups": {"types": {"retention": {"enabled": True}}}})])
@pytest.mark.parametrize("releases", [("kayan-workers", "kayan"), LONG])
def test_two_releases_in_one_namespace_share_no_object_and_no_pod(values: Object, releases: tuple[str, str]) -> None:
    one, other = (render(values, release=release) for release in releases)

    shared = {named(found) for found in one.objects} & {named(found) for found in other.objects}
    assert shared <= {"APIService v1beta1.external.metrics.k8s.io"}, "of which a cluster has one, whoever comes first"
    selectors = [found["spec"].get("selector") or {"matchLabels": found["spec"]["podSelector"]["matchLabels"]}
                 for kind in ("Deployment", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor")
                 for found in one.of(kind)]
    for pod in other.pods():
        for selector in selectors:
            assert not selector["matchLabels"].items() <= pod.labels.items(), pod.of


def test_the_release_and_its_namespace_may_be_called_what_they_like() -> None:
    named_after_the_chart = {named(found) for found in render(STORES, release="kayan-workers").objects}
    assert "Deployment kayan-workers-email" in named_after_the_chart
    assert "Deployment blue-kayan-workers-email" in {named(found) for found in render(STORES, release="blue").objects}
    assert "Deployment fleet-email" in {named(found) for found in render(merged(STORES, {"fullnameOverride": "fleet"})).objects}
    renamed = render(merged(STORES, {"nameOverride": "fleet"}))
    assert renamed.worker("email").labels["app.kubernetes.io/name"] == "fleet"
    assert renamed.workers()["email"]["metadata"]["name"] == "kayan-fleet-email"


@pytest.mark.parametrize(("stores", "fullname"), [({}, "null"), (merged(EVERYTHING, UNSCALED), "1234"), (STORES, "on")],
                         ids=["demo", "all", "operator"])
def test_what_yaml_takes_for_a_number_or_a_switch_stays_a_text(stores: Object, fullname: str) -> None:
    odd = {
        "fullnameOverride": fullname, "commonLabels": {"a": "1e3", "b": "null"}, "images": {"pullSecrets": ["0x1f"]},
        "workers": {"on": {"family": "analytics", "roles": ["analytics"]}, "analytics": None},
        "workerDefaults": {"priorityClassName": "1.0", "runtimeClassName": "1e3"},
        "serviceAccounts": {"media": {"name": "1e5"}},
    }  # fmt: skip
    for found in render(merged(stores, odd), release="1e3", namespace="2026").objects:
        assert all(isinstance(text, str) for text in texts(found)), named(found)
        assert found["metadata"].get("namespace", "2026") in ("2026", "kube-system")
        if "template" in found.get("spec", {}):
            assert found["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/instance"] == "1e3"
    odd_stores = {"redis": {"host": "1e3"}, "storage": {"bucket": "20261130"}, "secret": {"existingSecret": "4711"}}
    chart = render(odd_stores)
    assert all(isinstance(value, str) for value in chart.settings().values())
    assert all(isinstance(text, str) for found in chart.objects for text in texts(found))


def test_large_numbers_stay_whole_numbers(tmp_path: Path) -> None:
    values = merged(STORES, UNSCALED, {
        "workerDefaults": {"replicas": 1_000_000, "graceSeconds": 86_400, "livenessProbe": {"failureThreshold": 1_000_000},
                           "podDisruptionBudget": {"maxUnavailable": 1_000_000}, "codec": {"memoryMb": 1_000_000}},
        "cleanups": {"activeDeadlineSeconds": 10_000_000, "failedJobsHistoryLimit": 1_000_000},
        "settings": {"lockDurationMs": 3_600_000}, "tests": {"timeoutSeconds": 1_000_000},
    })  # fmt: skip
    chart = render(values)

    worker = chart.workers()["email"]
    assert worker["spec"]["replicas"] == 1_000_000
    assert isinstance(worker["spec"]["replicas"], int)
    assert worker["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["failureThreshold"] == 1_000_000
    assert chart.of("PodDisruptionBudget")[0]["spec"]["maxUnavailable"] == 1_000_000
    assert chart.settings()["LOCK_DURATION_MS"] == "3600000"
    assert chart.of("CronJob")[0]["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 10_000_000
    [ping] = chart.of("Pod")
    assert ping["spec"]["containers"][0]["args"][-1] == "1000000s"
    told = render(merged(STORES, UNSCALED), "--set", "workerDefaults.replicas=1000000")
    assert {spec["spec"]["replicas"] for spec in told.workers().values()} == {1_000_000}


def test_no_two_kinds_of_pods_have_the_same_component(chart: Chart) -> None:
    components = [(pod.labels["app.kubernetes.io/component"], pod.of) for pod in chart.pods()]
    assert len({component for component, _ in components}) == len(components)
    families = ("media", "messaging", "analytics", "maintenance", "operator", "commands", "demo")
    assert all(pod.labels[FAMILY] in families for pod in chart.pods())
