"""A real cluster takes all of it: by the schemas of its own OpenAPI, by its admission, and without a warning."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from chart import schemas
from chart.clusters import kubernetes_with_our_kinds
from chart.rendered import CHART, SETS, STORES, UNSCALED, Chart, Object, merged, render
from cluster.kube import Namespace

OF_OTHERS = {"PodMonitor", "PrometheusRule", "ExternalSecret"}
"""Kinds that operators bring, which a cluster need not have."""
THE_CLUSTERS = OF_OTHERS | {"APIService"}
"""And one of which the cluster may have somebody else's."""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the schemas of the cluster's kinds."""
    kubernetes_with_our_kinds()
    if not shutil.which("kubeconform"):
        servers.missing("no kubeconform on PATH: go install github.com/yannh/kubeconform/cmd/kubeconform@latest")
    folder = tmp_path_factory.mktemp("schemas")
    schemas.write(folder)
    return folder


@pytest.fixture(scope="module")
def restricted() -> Iterator[Namespace]:
    """A namespace whose pods must keep to the strictest of Kubernetes' standards."""
    kubernetes_with_our_kinds()
    with Namespace.made("kayan-chart") as namespace:
        yield namespace


def kubeconform(known: Path, text: str) -> tuple[Object, str]:
    """What kubeconform counted, and what it found wrong."""
    command = ["kubeconform", "-strict", "-summary", "-output", "json", "-skip", ",".join(sorted(OF_OTHERS))]
    command += ["-schema-location", f"{known}/{schemas.LOCATION}", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False)
    answer = json.loads(done.stdout)
    wrong = (found for found in answer.get("resources", []) if found["status"] != "statusSkipped")
    return answer["summary"], "\n".join(f"{found['kind']} {found['name']}: {found['msg']}" for found in wrong)


def test_every_object_fits_the_schema_of_its_kind(known: Path, chart: Chart) -> None:
    counted, wrong = kubeconform(known, chart.text)

    assert wrong == ""
    assert (counted["invalid"], counted["errors"]) == (0, 0)
    assert counted["valid"] == sum(found["kind"] not in OF_OTHERS for found in chart.objects) > 20


@pytest.mark.parametrize(("right", "wrong"), [
    ("terminationGracePeriodSeconds:", "terminationGracePeriodSecond:"), ("concurrencyPolicy: Forbid", "concurrencyPolicy: 7"),
    ("replicas: 1", "replicas: one"), ("maxUnavailable: 1", "maxUnavailable: []"), ("podSelector:", "podSelectors:"),
])  # fmt: skip
def test_a_misspelled_field_would_be_found(known: Path, right: str, wrong: str) -> None:
    text = render(merged(STORES, UNSCALED)).text
    assert right in text

    counted, found = kubeconform(known, text.replace(right, wrong, 1))

    assert counted["invalid"] == 1, found


def tried(namespace: Namespace, verb: str, objects: list[Object], *arguments: str) -> str:
    """What kubectl says against making them, in a dry run on the server; empty is nothing at all."""
    there = [merged({"metadata": {"namespace": namespace.name}}, one) for one in objects]
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": there})
    command = ["kubectl", verb, "--dry-run=server", *arguments, "--filename", "-"]
    done = subprocess.run(command, input=items, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 or done.stderr
    return done.stderr


@pytest.mark.parametrize("which", SETS)
def test_a_namespace_for_restricted_pods_admits_every_object_and_every_pod_without_a_warning(restricted: Namespace, which: str) -> None:
    chart = render(SETS[which], namespace=restricted.name)
    objects = [found for found in chart.objects if found["kind"] not in THE_CLUSTERS]
    restricted.apply(*chart.of("ServiceAccount"))

    assert tried(restricted, "apply", objects) == ""
    assert tried(restricted, "apply", objects, "--server-side", "--field-manager=helm") == "", "as Helm 4 does"
    # of a Deployment whose pods are not admitted, admission only warns, and not of a CronJob's
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{number}", "labels": pod.labels}, "spec": pod.spec}
            for number, pod in enumerate(chart.pods())]
    assert tried(restricted, "create", pods) == ""


def test_a_release_of_an_odd_name_is_taken_as_well(restricted: Namespace) -> None:
    odd = {"workers": {"on": {"family": "analytics", "roles": ["analytics"]}, "analytics": None}, "commonLabels": {"number": "1e3"}}
    chart = render(merged(STORES, UNSCALED, odd), namespace=restricted.name, release="1e3")
    restricted.apply(*chart.of("ServiceAccount"))

    assert tried(restricted, "apply", list(chart.objects)) == ""


def test_a_pod_with_more_rights_would_not_be_admitted(restricted: Namespace) -> None:
    chart = render(STORES, namespace=restricted.name)
    restricted.apply(*chart.of("ServiceAccount"))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": merged(chart.worker("email").spec, {"hostNetwork": True})}

    assert "violates PodSecurity" in tried(restricted, "create", [pod])


@pytest.mark.parametrize("change", [
    {"demo": {"resources": {"limits": {"memory": "1Gi"}}}}, {"commonLabels": {"team": "media"}}, {"images": {"pullSecrets": ["key"]}},
    {"images": {"media": {"tag": "9"}}}, {"settings": {"logLevel": "warn"}}, {"workerDefaults": {"podLabels": {"a": "b"}}},
])  # fmt: skip
def test_a_release_can_be_changed_without_touching_what_kubernetes_lets_nobody_change(restricted: Namespace, change: Object) -> None:
    """The template of a Job, and selectors."""
    before, after = (render(values, namespace=restricted.name, release="change") for values in ({}, change))
    restricted.apply(*without_pods(before))

    assert tried(restricted, "apply", without_pods(after)) == ""


def without_pods(chart: Chart) -> list[Object]:
    """The objects that make pods for themselves, told to make none."""
    none = {"Job": {"spec": {"suspend": True}}, "Deployment": {"spec": {"replicas": 0}}}
    return [merged(found, none[found["kind"]]) for found in chart.objects if found["kind"] in none]


def test_the_demos_password_is_kept_over_upgrades(restricted: Namespace) -> None:
    first = render(UNSCALED, namespace=restricted.name, release="kept")
    [secret] = first.of("Secret")
    installed = {"meta.helm.sh/release-name": "kept", "meta.helm.sh/release-namespace": restricted.name}
    restricted.apply(merged(secret, {"metadata": {"annotations": installed}}))

    upgraded = render(UNSCALED, "--dry-run=server", namespace=restricted.name, release="kept")

    assert upgraded.of("Secret") == [secret]
    assert {pod.of: pod for pod in upgraded.pods()} == {pod.of: pod for pod in first.pods()}, "so that the stores keep what they hold"


# -- the commands that are named after an installation ---------------------------------------------------------------------------


def notes(values: Object, folder: Path, namespace: str) -> str:
    """NOTES.txt as it is printed, out of a copy of the chart where it is an object: `helm template` leaves it out."""
    shutil.copytree(CHART, folder)
    text = (folder / "templates/NOTES.txt").rename(folder / "templates/_notes.tpl")
    text.write_text('{{- define "notes" -}}\n' + text.read_text() + "\n{{- end }}")
    (folder / "templates/notes.yaml").write_text(
        'apiVersion: v1\nkind: Notes\nmetadata: {name: notes}\ntext: {{ include "notes" . | quote }}\n'
    )
    return str(render(values, namespace=namespace, folder=folder).one("Notes", "notes")["text"])


def commands(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if re.match(r" *(kubectl|helm) ", line)]


@pytest.mark.parametrize("values", [UNSCALED, merged(STORES, UNSCALED)], ids=["demo", "real stores"])
def test_the_notes_name_commands_that_work_and_look_at_the_workers_of_this_release(tmp_path: Path, values: Object) -> None:
    text = notes(values, tmp_path / "charts", "live")

    [pods, logs, test] = map(shlex.split, commands(text))
    assert pods[:5] == ["kubectl", "--namespace", "live", "get", "pods"]
    assert logs[:4] == ["kubectl", "--namespace", "live", "logs"]
    assert test == ["helm", "--namespace", "live", "test", "kayan"]
    chart = render(values)
    shown = {pod.of for pod in chart.pods() if selected(logs[logs.index("--selector") + 1], pod.labels)}
    assert shown == {f"Deployment kayan-kayan-workers-{name}" for name in chart.workers()}
    assert all(selected(pods[pods.index("--selector") + 1], pod.labels) for pod in chart.pods())


def test_with_the_operator_the_notes_say_what_it_scales_and_how_to_see_it(tmp_path: Path) -> None:
    text = notes(STORES, tmp_path / "scaling", "live")
    assert "The operator scales analytics, asset, cleanup, email, notification, thumbnail, variant, by their backlog." in text
    assert "kubectl --namespace live get queuescalers" in commands(text)
    [described] = [shlex.split(command)[-1] for command in commands(text) if "describe" in command]
    assert described in {found["metadata"]["name"] for found in render(STORES).of("QueueScaler")}
    assert "only says how it would scale" in notes(merged(STORES, {"operator": {"mode": "advisory"}}), tmp_path / "advisory", "live")


@pytest.mark.parametrize("values", [UNSCALED, {}], ids=["without the operator", "demo"])
def test_kubectl_understands_the_commands_of_the_notes(tmp_path: Path, restricted: Namespace, values: Object) -> None:
    for command in commands(notes(values, tmp_path / "charts", restricted.name)):
        if command.startswith("kubectl") and "describe" not in command:
            done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=False)
            assert (done.returncode, done.stderr.partition(" in ")[0].strip()) == (0, "No resources found"), command


def selected(selector: str, labels: dict[str, str]) -> bool:
    """Whether kubectl would select a pod, for ``key=value`` and ``key in (a,b)``."""
    for term in re.split(r",(?![^(]*\))", selector):
        key, values = re.fullmatch(r"([^= ]+)(?:=| in )\(?([^)]*)\)?", term).groups()  # type: ignore[union-attr]
        if labels.get(key) not in values.split(","):
            return False
    return True


