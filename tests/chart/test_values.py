"""What the chart accepts: every value is explained and has a place in the schema, and whatever is wrong is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from chart.rendered import CHART, EXTERNAL, NAMESPACED, PLAIN, SCALED, STORES, Object, RefusedError, helm, merged, render
from kayan_workers.processors.cleaning.policy import KINDS, RETENTIONS, as_typed
from kayan_workers.processors.table import ROLES

VALUES: Object = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
ROLE_NAMES = {role.name for role in ROLES}
FAMILIES = {role.family for role in ROLES}


def refusal(values: Mapping[str, Any], *arguments: str) -> str:
    with pytest.raises(RefusedError) as refused:
        render(values, *arguments)
    return " ".join(str(refused.value).split())


# -- the schema and the values are one -------------------------------------------------------------------------------------------


def resolved(node: Object) -> Object:
    """A node of the schema, without its reference."""
    return SCHEMA["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def places(node: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Object]]:
    """Every named value that the schema knows, with its node; entries of `workers` under ``*``."""
    node = resolved(node)
    for key, child in node.get("properties", {}).items():
        yield (*path, key), resolved(child)
        yield from places(child, (*path, key))
    if path == ("workers",):
        yield from places(node["additionalProperties"], ("workers", "*"))


PLACES = dict(places(SCHEMA))


def closed(path: tuple[str, ...]) -> bool:
    node = PLACES.get(path, SCHEMA if not path else {})
    return node.get("additionalProperties") is False


def values(node: Object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of values.yaml down to where the chart passes things on as they are."""
    for key, value in node.items():
        here = (*path, key)
        yield here, value
        inside = ("workers", "*", *here[2:]) if here[0] == "workers" and len(here) > 1 else here
        if isinstance(value, dict) and (closed(inside) or inside == ("workers",)):
            yield from values(value, here)


def test_every_value_has_a_place_in_the_schema() -> None:
    for path, _ in values(VALUES):
        wildcard = ("workers", "*", *path[2:]) if path[0] == "workers" and len(path) > 1 else path
        assert wildcard in PLACES or wildcard == ("workers", "*"), ".".join(path)


def test_the_schema_has_no_place_that_the_values_do_not_show() -> None:
    shown = {path for path, _ in values(VALUES)}
    of_workers = {path[2:] for path in shown if path[0] == "workers"} | {path[1:] for path in shown if path[0] == "workerDefaults"}
    by_role = {"concurrency", "timeoutSeconds", "rateLimit", "weights"}
    for path in PLACES:
        if path[0] == "global" or path[-1] in ("successThreshold", "initialDelaySeconds", "requests", "limits", "memory"):
            continue  # Helm's own, and what a probe and resources have in any pod
        if path[:-1] and path[-2] in by_role:
            assert path[-1] in ROLE_NAMES
        elif path[:2] == ("secret", "keys") and path[2:]:
            assert path[2] in files_of_secrets()
        elif path[:2] == ("workers", "*"):
            assert path[2:] in of_workers | {("family",), ("roles",)}, ".".join(path)
        elif path[-1] != "tag":
            assert path in shown, ".".join(path)


def files_of_secrets() -> set[str]:
    """The variables that a pod reads from its Secret."""
    return {
        item["path"]
        for pod in render(STORES).pods()
        for volume in pod.spec["volumes"]
        for item in volume.get("secret", {}).get("items", [])
    }


def test_whatever_has_a_default_is_required_so_that_an_older_release_s_values_are_refused_by_name() -> None:
    """`helm upgrade --reuse-values` brings the values of the chart that was installed, which knows nothing of newer ones."""
    for path, value in [((), VALUES), *values(VALUES)]:
        if isinstance(value, dict) and closed(path) and path[:1] != ("workers",):
            node = PLACES[path] if path else SCHEMA
            needed = {key for key, default in value.items() if default not in ("", {}, None) and not isinstance(default, list)}
            if path[-1:] not in (("resources",), ("livenessProbe",), ("readinessProbe",), ("startupProbe",), ("podSecurityContext",)):
                assert set(node.get("required", [])) - {"create"} == needed - {"create"}, ".".join(path)


def test_a_value_that_an_older_release_does_not_have_is_named() -> None:
    assert "missing property 'monitoring'" in refusal(STORES, "--set", "monitoring=null")
    assert "missing property 'eksPodIdentity'" in refusal(STORES, "--set", "networkPolicy.eksPodIdentity=null")


def test_whatever_is_empty_may_be_left_out_as_well() -> None:
    """People write `nodeSelector:` with nothing behind it."""
    nothing: Object = {}
    for path, value in values(VALUES):
        if value in ("", [], {}) or isinstance(value, list):
            holder = nothing
            for key in path[:-1]:
                holder = holder.setdefault(key, {})
            if path[:1] != ("workers",):
                holder[path[-1]] = None

    everywhere = {**nothing, "workerDefaults": nothing["workerDefaults"]}
    assert render(merged(everywhere, STORES)).workers().keys() == ROLE_NAMES
    assert render(everywhere).workers().keys() == ROLE_NAMES
    nobody = {**nothing["operator"], "enabled": True}
    assert len(render(merged(everywhere, STORES, {"operator": nobody})).of("QueueScaler")) == len(ROLE_NAMES)


def test_a_misspelled_value_is_refused_wherever_it_stands() -> None:
    typo = "mispeled"
    wrong: Object = {}
    expected = []
    for path in [(), *(path for path, value in values(VALUES) if isinstance(value, dict))]:
        wildcard = ("workers", "*", *path[2:]) if path[:1] == ("workers",) and len(path) > 1 else path
        if wildcard == ("workers", "*") or closed(wildcard):
            holder = wrong
            for key in path:
                holder = holder.setdefault(key, {})
            holder[typo] = 1
            expected.append("/".join(path))

    said = refusal(wrong)

    assert len(expected) > 60
    assert said.count(typo) == len(expected)
    for path in expected:
        assert f"at '{path and '/' + path}': additional properties '{typo}' not allowed" in said


FREE_FORM = {
    "commonLabels", "commonAnnotations", "extract", "concurrency", "timeoutSeconds", "rateLimit", "keys", "podAnnotations", "podLabels",
    "nodeSelector", "affinity", "weights", "moreRedis", "fleetBudgets",
    "dnsConfig", "tempVolume", "rollingUpdate", "annotations", "labels", "requests", "limits", "workers",
}  # fmt: skip
"""Maps whose keys are the user's, or Kubernetes' own."""


def test_every_map_is_closed_but_for_those_whose_keys_are_the_users() -> None:
    for path, value in values(VALUES):
        wildcard = ("workers", "*", *path[2:]) if path[0] == "workers" and len(path) > 1 else path
        if isinstance(value, dict) and wildcard != ("workers", "*"):
            assert closed(wildcard) or path[-1] in FREE_FORM, ".".join(path)


# -- the documentation in values.yaml --------------------------------------------------------------------------------------------


def test_every_value_is_explained_above_beside_or_with_its_neighbours_above() -> None:
    explained: dict[int, bool] = {}
    comment = False
    unexplained = []
    for number, line in enumerate((CHART / "values.yaml").read_text().splitlines(), 1):
        indent = len(line) - len(line.lstrip())
        if not line.strip():
            comment, explained = False, {deep: said for deep, said in explained.items() if deep < indent}
        elif line.lstrip().startswith("#"):
            comment = comment or not line.startswith("# ---")
        elif found := re.match(r" *([A-Za-z][A-Za-z0-9-]*):", line):
            section = any(said for deep, said in explained.items() if deep < indent)
            said = comment or "  # " in line or section or explained.get(indent, False)
            if not said and not line.rstrip().endswith(":"):
                unexplained.append(f"{number}: {found[1]}")
            explained = {deep: before for deep, before in explained.items() if deep < indent} | {indent: said}
            comment = False
    assert unexplained == []


# -- what belongs together -------------------------------------------------------------------------------------------------------


def test_roles_and_families_of_the_chart_are_those_of_the_table() -> None:
    worker = SCHEMA["properties"]["workers"]["additionalProperties"]["properties"]
    assert set(worker["roles"]["items"]["enum"]) == ROLE_NAMES
    assert set(worker["family"]["enum"]) == FAMILIES
    for setting in (("concurrency",), ("timeoutSeconds",), ("rateLimit",), ("scaling", "weights")):
        for place in (("workerDefaults", *setting), ("workers", "*", *setting)):
            assert PLACES[place]["properties"].keys() == ROLE_NAMES
    assert {name: entry["roles"] for name, entry in VALUES["workers"].items()} == {role.name: [role.name] for role in ROLES}
    assert {name: entry["family"] for name, entry in VALUES["workers"].items()} == {role.name: role.family for role in ROLES}
    images = VALUES["images"].keys() - {"registry", "pullPolicy", "pullSecrets"}
    assert images == VALUES["serviceAccounts"].keys() == FAMILIES | {"operator"}
    for role in ROLES:
        for family in FAMILIES - {role.family}:
            said = refusal({"workers": {role.name: {"family": family}}})
            assert f"workers.{role.name} serves {role.name} with the image of family {family}, which cannot" in said
            assert f"{role.name} belongs to family {role.family}" in said


def test_cleanups_and_retentions_of_the_chart_are_those_of_the_workers() -> None:
    assert VALUES["cleanups"]["types"].keys() == {as_typed(kind) for kind in KINDS}
    snake = {re.sub("[A-Z]", lambda found: "_" + found[0], name).upper() for name in VALUES["cleanups"]["retentionDays"]}
    assert snake == set(RETENTIONS)


SIX_IN_THE_MORNING: Object = {"name": "x", "minReplicas": 6, "start": "08:00", "end": "09:00"}
WRONG: list[tuple[Object, str]] = [
    ({"redis": {"host": "redis"}}, "a Redis (redis.*) is named, but not: database.url"),
    ({"storage": {"bucket": "b"}, "database": {"url": "postgres://h/d"}},
     "and a bucket (storage.bucket) is named, but not: redis.host (or redis.url"),
    ({"secret": {"existingSecret": "s"}, "redis": {"host": "redis"}}, "but not: storage.bucket. Real stores and the demo's do not mix"),
    ({"demo": {"enabled": False}}, "demo.enabled is false, but not: redis.host"),
    (merged(STORES, {"demo": {"enabled": True}}), "The demo's stores are for trying out alone: set demo.enabled=false, or name none"),
    ({"redis": {"password": "p"}}, "redis.password is set, but no Redis, database or bucket is named"),
    ({"fullnameOverride": "1e3"}, "The demo's Services would be called 1e3-demo-…, and a Service's name begins with a letter"),
    ({"storage": {"endpoint": "https://minio"}}, "storage.endpoint is set, but no Redis"),
    (merged(EXTERNAL, {"secret": {"existingSecret": "s"}}), "a Secret is yours or the External Secrets operator's. Choose one"),
    (merged(STORES, {"redis": {"password": "p"}}), "redis.password is set, and a Secret that the chart does not make"),
    (merged(EXTERNAL, {"database": {"url": "postgres://h/d"}}), "database.url is set, and a Secret that the chart does not make"),
    (merged(PLAIN, {"secret": {"keys": {"DATABASE_URL": "uri"}}}), "secret.keys renames keys of secret.existingSecret, which is not set"),
    (merged(EXTERNAL, {"secret": {"externalSecret": {"storeName": ""}}}), "set secret.externalSecret.storeName"),
    (merged(EXTERNAL, {"secret": {"externalSecret": {"extract": ""}}}), "set secret.externalSecret.extract, or data"),
    (merged(PLAIN, {"redis": {"urlInSecret": True}}), "redis.urlInSecret is true, but there is no Secret of yours"),
    (merged(STORES, {"redis": {"cluster": True}}), "in Redis Cluster it needs a hash tag, {bull}"),
    (merged(STORES, {"redis": {"cluster": True, "queuePrefix": "{bull}", "sentinel": {"hosts": ["a:1"]}}}), "a Redis is one or the other"),
    (merged(STORES, {"redis": {"tls": {"clientCertificate": True}}}), "redis.tls.secretName is empty"),
    (merged(PLAIN, {"aws": {"secretAccessKey": ""}}), "aws.accessKeyId and aws.secretAccessKey belong together"),
    (merged(STORES, {"workers": {"asset": {"codec": {"processes": 0}}}}), "a media worker opens files in at least 1"),
    (merged(STORES, {"workers": {"email": {"concurrency": {"asset": 2}}}}),
     "workers.email.concurrency names asset, which that worker does not serve"),
    (merged(STORES, {"workerDefaults": {"rateLimit": {"email": "1/1"}}}), "rateLimit names email, which that worker does not serve"),
    (merged(STORES, {"workerDefaults": {"enabled": False}}), "No worker is enabled"),
    (merged(STORES, {"workers": {"demo-redis": {"family": "messaging", "roles": ["email"]}}}), "the chart has something else of that name"),
    (merged(STORES, {"workers": {"cleanup-temp-files": {"family": "messaging", "roles": ["email"]}}}), "something else of that name"),
    (merged(STORES, {"commonLabels": {"app.kubernetes.io/name": "x"}}),
     "commonLabels sets app.kubernetes.io/name, by which the chart finds"),
    (merged(STORES, {"workers": {"email": {"podLabels": {"workers.kayanlive.com/family": "x"}}}}), "workers.email.podLabels"),
    (merged(STORES, {"cleanups": {"podLabels": {"app.kubernetes.io/instance": "x"}}}),
     "cleanups.podLabels sets app.kubernetes.io/instance"),
    (merged(STORES, {"serviceAccounts": {"media": {"name": "a"}, "messaging": {"name": "a"}}}), "is to create a, as another family is"),
    (merged(STORES, {"workerDefaults": {"extraEnv": [{"name": "A"}, {"name": "A"}]}}), "names A twice"),
    (merged(STORES, {"workerDefaults": {"extraEnv": [{"name": "KAYAN_GRACE_SECONDS", "value": "9"}]}}), "set graceSeconds"),
    (merged(STORES, {"workerDefaults": {"extraEnv": [{"name": "KAYAN_CODEC_MEMORY_MB", "value": "9"}]}}), "set codec.memoryMb"),
    (merged(STORES, {"workerDefaults": {"extraEnv": [{"name": "HEALTH_PORT", "value": "9"}]}}), "network policies use port 8080"),
    (merged(STORES, {"workers": {"email": {"scaling": {"weights": {"asset": 2}}}}}),
     "workers.email.scaling.weights names asset, which that worker does not serve"),
    (merged(STORES, {"workers": {"email": {"scaling": {"minReplicas": 6}}}}),
     "workers.email.scaling.minReplicas is 6, more than its maxReplicas, 5: lower the one or raise the other"),
    (merged(STORES, {"workers": {"email": {"scaling": {"schedule": [SIX_IN_THE_MORNING]}}}}),
     "workers.email.scaling.schedule: minReplicas of x is 6, more than maxReplicas, 5: lower the one or raise the other"),
    (merged(STORES, {"workers": {"email": {"scaling": {"budget": "fleet"}}}}),
     "workers.email.scaling.budget is fleet, which is none of fleetBudgets. Say there what it is"),
    (merged(STORES, {"operator": {"clusterRoles": False}}),
     "analytics is to be scaled in mode hpa, whose metrics belong to the whole cluster. Set operator.mode=direct"),
    (merged(NAMESPACED, {"workers": {"email": {"scaling": {"mode": "hpa"}}}}), "operator.clusterRoles is false, and email is to be scaled"),
    (merged(STORES, {"fleetBudgets": {"a": {"maxReplicas": 1, "cpu": 1}}}), "fleetBudgets.a has one of maxReplicas and cpu"),
    (merged(STORES, {"fleetBudgets": {"a": {}}}), "fleetBudgets.a has one of maxReplicas and cpu. Set just one"),
    (merged(STORES, {"fullnameOverride": "1e3"}), "The operator's Service would be called 1e3-operator, and a Service's name begins"),
    (merged(STORES, {"operator": {"metricsApi": {"port": 8080}}}), "operator.metricsApi.port is 8080, where its probes and metrics are"),
    (merged(STORES, {"operator": {"moreRedis": {"default": {"secretName": "a"}}}}), "operator.moreRedis.default: default is what the"),
    (merged(STORES, {"operator": {"extraEnv": [{"name": "A"}, {"name": "A"}]}}), "operator.extraEnv names A twice. Once is enough"),
    (merged(STORES, {"operator": {"extraEnv": [{"name": "KAYAN_OPERATOR_NAME", "value": "a"}]}}),
     "operator.extraEnv sets KAYAN_OPERATOR_NAME, on which more than the pod depends: rights and the Service go by it"),
    (merged(STORES, {"operator": {"podLabels": {"app.kubernetes.io/name": "x"}}}), "operator.podLabels sets app.kubernetes.io/name"),
]


@pytest.mark.parametrize(("wrong", "sentence"), WRONG, ids=[sentence[:60] for _, sentence in WRONG])
def test_what_does_not_go_together_is_refused_with_a_remedy(wrong: Object, sentence: str) -> None:
    said = refusal(wrong)

    assert sentence in said
    assert said.rstrip().endswith((".", "debug flag to render out invalid YAML"))


def test_every_refusal_of_the_chart_is_tried_above() -> None:
    """Each sentence of validate.yaml, as far as its first blank to fill in."""
    source = (CHART / "templates/validate.yaml").read_text()
    heard = [*(refusal(wrong) for wrong, _ in WRONG), refusal({"workers": {"email": {"family": "analytics"}}}), refusal({}, "--is-upgrade")]
    for sentence in re.findall(r'fail \(?(?:printf )?"\\n\\n(.*?)\\n"', source):
        pieces = [piece.strip() for piece in re.split(r"%[svqd]", sentence)]
        longest = max(pieces, key=len)
        if sentence.startswith("workers.%s.roles is empty"):
            continue  # the schema is faster
        assert any(longest in said for said in heard), sentence


@pytest.mark.parametrize(("arguments", "named"), [
    (("--set-string", "workerDefaults.replicas=3"), "/workerDefaults/replicas"),
    (("--set", "redis.host=redis:6379"), "/redis/host"),
    (("--set", "redis.host=redis://redis"), "/redis/host"),
    (("--set", "database.url=mysql://h/d"), "/database/url"),
    (("--set", "images.media.digest=sha256:abc"), "/images/media/digest"),
    (("--set", "images.media.tag=20261130"), "/images/media/tag"),
    (("--set", "commonLabels.a=true"), "/commonLabels/a"),
    (("--set", "workerDefaults.extraEnv[0].name=A,workerDefaults.extraEnv[0].value=5"), "/workerDefaults/extraEnv/0/value"),
    (("--set", "workerDefaults.extraEnv[0].name=A,workerDefaults.extraEnv[0].vaule=a"), "/workerDefaults/extraEnv/0"),
    (("--set", "workers.email.roles={emial}"), "/workers/email/roles/0"),
    (("--set-json", "workers.email.roles=[]"), "/workers/email/roles"),
    (("--set", "workers.email.rateLimit.email=14"), "/workers/email/rateLimit/email"),
    (("--set", "cleanups.types.temp-files.schedule=hourly"), "/cleanups/types/temp-files/schedule"),
    (("--set", "cleanups.resources.limits.memory=auto"), "/cleanups/resources/limits/memory"),
    (("--set", "workerDefaults.resources.limits.cpu=auto"), "/workerDefaults/resources/limits/cpu"),
    (("--set", "workerDefaults.podDisruptionBudget.maxUnavailable=0%"), "/workerDefaults/podDisruptionBudget/maxUnavailable"),
    (("--set", "secret.keys.DATABSE_URL=uri"), "/secret/keys"),
    (("--set", "networkPolicy.redis.ports={70000}"), "/networkPolicy/redis/ports/0"),
    (("--set", "operator.enabled=yes"), "/operator/enabled"),
    (("--set", "operator.mode=HPA"), "/operator/mode"),
    (("--set", "operator.replicas=0"), "/operator/replicas"),
    (("--set", "operator.moreRedis.eu.ports={6380}"), "/operator/moreRedis/eu"),
    (("--set", "operator.moreRedis.eu.secretName=a,operator.moreRedis.eu.keys.URL=b"), "/operator/moreRedis/eu/keys"),
    (("--set", "workerDefaults.scaling.cooldown=2 minutes"), "/workerDefaults/scaling/cooldown"),
    (("--set", "workerDefaults.scaling.scaleUp.stabilization=auto"), "/workerDefaults/scaling/scaleUp/stabilization"),
    (("--set", "workers.email.scaling.scaleDown.stabilization=soon"), "/workers/email/scaling/scaleDown/stabilization"),
    (("--set", "workers.email.scaling.target.maxWait=soon"), "/workers/email/scaling/target/maxWait"),
    (("--set", "workers.email.scaling.target.drainBy=25:00"), "/workers/email/scaling/target/drainBy"),
    (("--set", "workers.email.scaling.target.jobsPerReplica=0"), "/workers/email/scaling/target/jobsPerReplica"),
    (("--set", "workers.email.scaling.schedule[0].name=x"), "/workers/email/scaling/schedule/0"),
    (("--set", "workers.email.scaling.scaleDown.busy=kill"), "/workers/email/scaling/scaleDown/busy"),
    (("--set", "fleetBudgets.media.cpu=lots"), "/fleetBudgets/media/cpu"),
])  # fmt: skip
def test_a_value_of_the_wrong_kind_is_refused_by_its_name(arguments: tuple[str, ...], named: str) -> None:
    assert f"at '{named}':" in refusal(STORES, *arguments)


def test_a_worker_is_called_by_what_can_stand_in_names_of_objects() -> None:
    for name in ("Email", "e_mail", "1st", "w" * 23):
        assert f"'{name}' does not match pattern" in refusal({"workers": {name: {"family": "messaging", "roles": ["email"]}}})


def test_helm_finds_nothing_to_say_about_the_chart() -> None:
    for given in ({}, PLAIN, STORES, EXTERNAL, STORES, NAMESPACED, merged(STORES, SCALED)):
        done = helm("lint", "--strict", str(CHART), values=given)
        assert done.returncode == 0, done.stdout
        assert "[WARNING]" not in done.stdout
        assert "[ERROR]" not in done.stdout
