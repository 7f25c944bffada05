"""What the operator may do: write the number of its own Deployments, mark their pods, and hardly anything else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from chart.clusters import kubernetes_with_our_kinds
from chart.rendered import CHART, EVERYTHING, NAMESPACED, SCALED, STORES, Chart, Object, RefusedError, merged, named, render
from cluster.kube import Namespace

NAME = "kayan-kayan-workers-operator"
DEPLOYMENTS = [f"kayan-kayan-workers-{name}" for name in ("analytics", "asset", "cleanup", "email", "notification", "thumbnail", "variant")]
APISERVICE = "v1beta1.external.metrics.k8s.io"
READING = {"get", "list", "watch"}
ANY = ""


class Right(NamedTuple):
    """To do ``verb`` to a ``resource`` called ``name``, or to any of them; ``where`` is a namespace or the cluster."""

    where: str
    verb: str
    resource: str
    name: str = ANY


def rights(chart: Chart, account: str = NAME) -> set[Right]:
    """All that roles of the chart give to a service account."""
    found = set()
    for binding in (*chart.of("RoleBinding"), *chart.of("ClusterRoleBinding")):
        if not any(subject["name"] == account for subject in binding["subjects"]):
            continue
        where = binding["metadata"].get("namespace", "the cluster")
        reference = binding["roleRef"]
        given = [role for role in chart.of(reference["kind"]) if role["metadata"]["name"] == reference["name"]]
        if not given:
            found.add(Right(where, "as", f"{reference['kind']} {reference['name']}"))
        for rule in (rule for role in given if role["metadata"].get("namespace", "the cluster") == where for rule in role["rules"]):
            assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])
            assert rule.get("resourceNames", True), "no names would be any name"
            found |= {
                Right(where, verb, f"{resource}{'.' if group else ''}{group}", name)
                for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]
                for name in rule.get("resourceNames", [ANY])
            }  # fmt: skip
    return found


def writing(chart: Chart) -> set[Right]:
    return {right for right in rights(chart) if right.verb not in READING}


def test_the_operator_may_patch_the_scale_of_its_own_deployments_and_nothing_else_of_them() -> None:
    of_deployments = {right for right in writing(render(STORES)) if "deployments" in right.resource}

    assert of_deployments == {
        Right("live", "patch", "deployments/scale.apps", name) for name in DEPLOYMENTS
    }


def test_it_may_write_the_autoscalers_of_these_and_no_others() -> None:
    found = {right for right in writing(render(STORES)) if right.resource.startswith("horizontal")}

    resource = "horizontalpodautoscalers.autoscaling"
    assert found == {Right("live", "create", resource)} | {
        Right("live", verb, resource, name) for verb in ("update", "patch", "delete") for name in DEPLOYMENTS
    }


def test_there_is_nothing_more_that_it_may_write() -> None:
    others = {right for right in writing(render(STORES)) if right.name not in DEPLOYMENTS}

    assert others == {
        Right("live", "patch", "queuescalers/status.workers.kayanlive.com"),
        Right("live", "patch", "fleetbudgets/status.workers.kayanlive.com"),
        Right("live", "patch", "pods"),
        Right("live", "create", "horizontalpodautoscalers.autoscaling"),
        Right("live", "create", "leases.coordination.k8s.io"),
        Right("live", "update", "leases.coordination.k8s.io", NAME),
        *(Right("live", verb, resource) for verb in ("create", "patch") for resource in ("events", "events.events.k8s.io")),
        *(Right("live", verb, "secrets", NAME) for verb in ("update", "patch")),
        *(Right("the cluster", verb, "apiservices.apiregistration.k8s.io", APISERVICE) for verb in ("patch", "update", "delete")),
        Right("the cluster", "as", "ClusterRole system:auth-delegator"),
        Right("kube-system", "as", "Role extension-apiserver-authentication-reader"),
    }


def test_it_reads_what_it_decides_by_and_of_secrets_just_its_own() -> None:
    reading = rights(render(STORES)) - writing(render(STORES))

    everything = {right.resource for right in reading if right.name == ANY}
    assert everything == {
        "queuescalers.workers.kayanlive.com", "fleetbudgets.workers.kayanlive.com", "deployments.apps", "pods",
        "horizontalpodautoscalers.autoscaling",
    }  # fmt: skip
    assert {right for right in reading if right.resource == "secrets"} == {Right("live", "get", "secrets", NAME)}


def test_it_does_with_its_own_namespace_where_the_cluster_gives_nothing() -> None:
    chart = render(NAMESPACED)

    assert {right.where for right in rights(chart)} == {"live"}
    assert not [named(found) for found in chart.objects if found["metadata"].get("namespace") != "live"]
    assert not [right for right in rights(chart) if right.resource == "secrets"]


def test_more_deployments_and_other_namespaces_are_those_of_the_values() -> None:
    found = {right for right in rights(render(merged(EVERYTHING, SCALED))) if right.resource == "deployments/scale.apps"}

    scaled = {name for name in DEPLOYMENTS if not name.endswith(("-asset", "-email"))} | {"reports"}
    assert {right.name for right in found if right.where == "live"} == scaled
    assert {right.name for right in found if right.where == "default"} == {ANY}
    elsewhere = {right.resource for right in writing(render(merged(EVERYTHING, SCALED))) if right.where == "default"}
    assert "leases.coordination.k8s.io" not in elsewhere
    assert "secrets" not in elsewhere


def test_with_nothing_to_scale_it_may_scale_nothing() -> None:
    chart = render(merged(STORES, {"workerDefaults": {"scaling": {"enabled": False}}}))

    assert not chart.of("QueueScaler")
    assert not [right for right in writing(chart) if right.resource.startswith(("deployments", "horizontal")) and right.verb != "create"]


def test_kubernetes_own_controller_may_read_the_numbers_and_no_other_metric() -> None:
    found = rights(render(STORES), "horizontal-pod-autoscaler")

    assert found == {Right("live", verb, "kayan-desired-replicas.external.metrics.k8s.io") for verb in ("get", "list")}


def test_whoever_may_view_or_edit_a_namespace_may_view_or_edit_what_is_scaled_there() -> None:
    label = "rbac.authorization.k8s.io/aggregate-to-"
    roles = {
        key.removeprefix(label): role["rules"]
        for role in render(STORES).of("ClusterRole") for key in role["metadata"]["labels"] if key.startswith(label)
    }  # fmt: skip

    assert roles.keys() == {"view", "edit"}
    for rules in roles.values():
        assert [rule["resources"] for rule in rules] == [["queuescalers", "fleetbudgets"]]
    assert set(roles["view"][0]["verbs"]) == READING


# -- a real cluster --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    kubernetes_with_our_kinds()
    with Namespace.made("kayan-chart") as namespace:
        yield namespace


@pytest.fixture(scope="module")
def granted(namespace: Namespace) -> Namespace:
    """Where the operator has its rights, as far as they lie in the namespace."""
    chart = render(STORES, namespace=namespace.name)
    kinds = ("ServiceAccount", "Role", "RoleBinding")
    namespace.apply(*(found for kind in kinds for found in chart.of(kind) if found["metadata"]["namespace"] == namespace.name))
    return namespace


def may(namespace: Namespace, *what: str) -> bool:
    account = f"--as=system:serviceaccount:{namespace.name}:{NAME}"
    return namespace.kubectl("auth", "can-i", *what, account, check=False).split()[-1] == "yes"


def test_kubernetes_lets_it_do_just_that(granted: Namespace) -> None:
    email = "deployments.apps/kayan-kayan-workers-email"
    assert may(granted, "patch", email, "--subresource=scale")
    assert may(granted, "delete", "hpa/kayan-kayan-workers-email")
    assert may(granted, "list", "pods")
    assert may(granted, "patch", "pods/any")
    assert may(granted, "patch", "queuescalers/any", "--subresource=status")
    assert may(granted, "get", f"secrets/{NAME}")
    assert may(granted, "update", f"leases/{NAME}")
    for what in (
        ("patch", email), ("delete", email), ("patch", "deployments.apps/another", "--subresource=scale"),
        ("patch", f"deployments.apps/{NAME}"), ("delete", "hpa/another"), ("delete", "pods/any"), ("create", "pods"),
        ("create", "pods", "--subresource=exec"), ("list", "secrets"), ("create", "secrets"), ("get", "secrets/kayan-secrets"),
        ("get", "configmaps/any"), ("update", "queuescalers/any"), ("update", "leases/another"), ("create", "rolebindings"),
        ("list", "pods", "--all-namespaces"), ("get", "nodes"),
    ):  # fmt: skip
        assert not may(granted, *what), what


def with_another_api(folder: Path, name: str) -> Path:
    """The chart as it would be if the metrics API were another one."""
    shutil.copytree(CHART, folder)
    for file in (folder / "templates/operator").iterdir():
        file.write_text(file.read_text().replace(APISERVICE, name))
    return folder


@pytest.mark.parametrize("values", [STORES, merged(STORES, SCALED)], ids=["plain", "everything"])
def test_what_is_somebody_elses_is_left_alone_or_refused_with_a_sentence(namespace: Namespace, tmp_path: Path, values: Object) -> None:
    """``v1.apps`` is there in every cluster, and is not ours."""
    folder = with_another_api(tmp_path / "charts", "v1.apps")

    def of_the_cluster(create: object) -> Chart:
        told = merged(values, {"operator": {"metricsApi": {"create": create}}})
        return render(told, "--dry-run=server", namespace=namespace.name, folder=folder)

    assert of_the_cluster("auto").of("APIService") == []
    assert len(of_the_cluster("auto").of("Service")) == 1, "for when the other one goes"
    with pytest.raises(RefusedError, match=r"is somebody else's .*set operator.metricsApi.create=auto, and the operator scales directly"):
        of_the_cluster(True)


def test_what_nobody_has_is_ours(namespace: Namespace, tmp_path: Path) -> None:
    folder = with_another_api(tmp_path / "charts", "v9.nobody.kayanlive.com")

    chart = render(STORES, "--dry-run=server", namespace=namespace.name, folder=folder)

    assert [found["metadata"]["name"] for found in chart.of("APIService")] == ["v9.nobody.kayanlive.com"]


def test_what_this_release_has_made_stays_its_own_over_upgrades(namespace: Namespace, tmp_path: Path) -> None:
    """A ConfigMap takes the APIService's place: no test shall make the cluster's discovery stumble."""
    folder = with_another_api(tmp_path / "charts", "made-by-helm")
    helpers = folder / "templates/operator/_operator.tpl"
    found = 'lookup "apiregistration.k8s.io/v1" "APIService" ""'
    assert found in helpers.read_text()
    helpers.write_text(helpers.read_text().replace(found, 'lookup "v1" "ConfigMap" .Release.Namespace'))
    mine = {"meta.helm.sh/release-name": "kayan", "meta.helm.sh/release-namespace": namespace.name}
    namespace.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made-by-helm", "annotations": mine}})

    for release, ours in (("kayan", True), ("another", False)):
        chart = render(STORES, "--dry-run=server", namespace=namespace.name, folder=folder, release=release)
        assert bool(chart.of("APIService")) is ours
