"""What the chart tells the operator of each worker, and the operator of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from chart.definitions import LEAST
from chart.rendered import EVERYTHING, NAMESPACED, SCALED, STORES, UNSCALED, Chart, Object, Pod, RefusedError, merged, named, render
from kayan_operator.cluster.fleet import SCALING
from kayan_operator.decision.policy import DrainBy, Failure, Fallback, JobsPerReplica, MaxWait, Pace, Policy, Protection, Queue, Window
from kayan_operator.decision.spec import read_budget, read_scaler
from kayan_operator.settings import Settings
from kayan_workers import mounted
from kayan_workers.processors.table import ROLES
from kayan_workers.settings import Settings as WorkerSettings

API_VERSION = "workers.kayanlive.com/v1alpha1"
OURS = "kayan-kayan-workers-"
OF_SCALING = {"QueueScaler", "FleetBudget", "APIService", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


def scalers(chart: Chart) -> dict[str, Object]:
    """The spec of each QueueScaler by its worker."""
    return {found["metadata"]["labels"]["app.kubernetes.io/component"]: found["spec"] for found in chart.of("QueueScaler")}


def policy(values: Object, worker: str) -> Policy:
    return read_scaler(scalers(render(values))[worker])


# -- the QueueScalers ------------------------------------------------------------------------------------------------------------


def test_every_worker_has_one_that_names_its_deployment_and_the_queues_that_it_works_on_with_their_concurrency() -> None:
    chart = render(STORES)

    found = scalers(chart)
    assert found.keys() == chart.workers().keys()
    for role in ROLES:
        target = found[role.name]["scaleTargetRef"]["name"]
        assert chart.workers()[role.name]["metadata"]["name"] == target
        [queue] = read_scaler(found[role.name]).queues
        assert (queue.name, queue.concurrency) == (role.queue, role.concurrency * role.batch)


def test_a_worker_of_several_queues_has_one_scaler_for_all_of_them() -> None:
    assert policy(merged(STORES, SCALED), "notification").queues == (
        Queue(name="notification", concurrency=2 * 250), Queue(name="email", weight=0.5, concurrency=10),
    )  # fmt: skip


def test_a_demos_workers_have_few_pods_and_never_fewer_than_they_must() -> None:
    values = {"demo": {"maxReplicas": 3}, "workers": {"email": {"scaling": {"minReplicas": 4}}}}

    most = {name: spec["maxReplicas"] for name, spec in scalers(render(values)).items()}
    assert most == {role.name: 3 for role in ROLES} | {"email": 4, "cleanup": 1}
    assert {spec["maxReplicas"] for spec in scalers(render(merged(STORES, values))).values()} == {1, 5, 10, 20}


def test_what_nobody_says_is_what_the_definition_would_fill_in() -> None:
    counters = {"family": "analytics", "roles": ["analytics"]}
    plain = LEAST | {"queues": [{"name": "analytics", "concurrency": 2500}]}

    assert policy(merged(STORES, {"workers": {"analytics": None, "counters": counters}}), "counters") == read_scaler(plain)


def test_what_the_values_say_is_what_the_operator_understands() -> None:
    values = merged(EVERYTHING, SCALED)

    assert policy(values, "thumbnail") == Policy(
        queues=(Queue(name="thumbnail-generation", concurrency=8),), target=MaxWait(30), min_replicas=1, max_replicas=20, mode="hpa",
        look_ahead=30, cooldown=600, scale_up=Pace(pods=4, percent=50), scale_down=Pace(stabilization=300, pods=1), busy="drain",
        schedule=(
            Window(name="office", replicas=3, start=450, end=1080, zone=ZoneInfo("Europe/Berlin"), days=frozenset([0])),
            Window(name="1e3", replicas=2, start=1320, end=120, zone=ZoneInfo("UTC")),
        ),
        failure=Failure(error_percent=None), fallback=Fallback(replicas=2, after=120), protection=Protection(enabled=False),
        budget=OURS + "media", priority=10,
    )  # fmt: skip
    variant = policy(values, "variant")
    assert (variant.target, variant.paused, variant.mode) == (DrainBy(minute_of_day=360, zone=ZoneInfo("Europe/Berlin")), True, "advisory")
    assert (policy(values, "notification").target, policy(values, "notification").budget) == (JobsPerReplica(12.5), OURS + "other")


def test_each_workers_own_target_takes_the_place_of_the_one_that_all_have() -> None:
    everybody = merged(STORES, {"workerDefaults": {"scaling": {"target": {"maxWait": "1m"}}}})
    assert {name: read_scaler(spec).target for name, spec in scalers(render(everybody)).items()} == {
        role.name: MaxWait(60) for role in ROLES
    }
    both = {"target": {"jobsPerReplica": 7, "maxWait": "1m", "drainBy": "2h"}}
    assert policy(merged(STORES, {"workers": {"email": {"scaling": both}}}), "email").target == DrainBy(seconds=7200)


def test_as_many_pods_as_there_are_slots_for_are_enough_for_heavy_jobs_and_light_ones_take_several_rounds() -> None:
    for role in ROLES:
        target = policy(STORES, role.name).target
        assert isinstance(target, JobsPerReplica)
        rounds = target.jobs / (role.concurrency * role.batch)
        assert (rounds == 1) if role.timeout_seconds > 300 else (1 <= rounds <= 5), role.name
    assert policy(STORES, "cleanup").max_replicas == 1


def test_large_and_broken_numbers_stay_what_they_are() -> None:
    scaling = {"target": {"jobsPerReplica": 10_000_000}, "maxReplicas": 10_000, "minReplicas": 10_000, "priority": -1_000_000,
               "scaleUp": {"percent": 0.5}, "failure": {"errorPercent": 12.5, "minJobs": 10_000}, "weights": {"email": 0.001}}
    found = policy(merged(STORES, {"workers": {"email": {"concurrency": {"email": 1000}, "scaling": scaling}}}), "email")

    assert (found.target, found.max_replicas, found.min_replicas, found.priority) == (JobsPerReplica(1e7), 10_000, 10_000, -1_000_000)
    assert (found.scale_up.percent, found.failure.error_percent, found.failure.min_jobs) == (0.5, 12.5, 10_000)
    assert found.queues == (Queue(name="email", weight=0.001, concurrency=1000),)


def test_a_worker_that_is_not_to_be_scaled_keeps_its_number() -> None:
    chart = render(merged(EVERYTHING, SCALED))

    assert scalers(chart).keys() == {"thumbnail", "variant", "notification", "analytics", "cleanup"}
    numbers = {name: worker["spec"].get("replicas") for name, worker in chart.workers().items()}
    assert numbers == {"asset": 2} | dict.fromkeys(scalers(chart))


def test_budgets_are_those_of_the_values_and_are_found_by_the_scalers_that_share_them() -> None:
    chart = render(merged(STORES, SCALED))

    caps = {found["metadata"]["name"]: read_budget(found["spec"]) for found in chart.of("FleetBudget")}
    assert caps == {OURS + "media": (30, "replicas"), OURS + "other": (1.5, "cpu"), OURS + "third": (8, "cpu")}
    assert {spec["budgetRef"]["name"] for spec in scalers(chart).values() if "budgetRef" in spec} <= caps.keys()


def test_an_upgrade_where_nobody_brought_the_definitions_says_what_to_type_first() -> None:
    with pytest.raises(RefusedError, match=r"(?s)does not know QueueScalers.*kubectl apply --server-side --filename charts/crds"):
        render(STORES, "--is-upgrade")
    for enough in (render(STORES, "--is-upgrade", "--api-versions", API_VERSION), render(merged(STORES, UNSCALED), "--is-upgrade")):
        assert enough.workers()


@pytest.mark.parametrize(("enabled", "says_numbers"), [(False, True), ("false", True), ("external", False)])
def test_without_the_operator_there_is_nothing_of_it_and_with_another_scaler_no_number_either(enabled: Any, says_numbers: bool) -> None:
    chart = render(merged(STORES, SCALED, {"operator": {"enabled": enabled}}))

    assert not [named(found) for found in chart.objects if found["kind"] in OF_SCALING or "operator" in found["metadata"]["name"]]
    assert {"replicas" in worker["spec"] for worker in chart.workers().values()} == {says_numbers}
    said = {worker["metadata"].get("annotations", {}).get(SCALING) for worker in chart.workers().values()}
    assert said == {"off" if says_numbers else None}, "an operator that an upgrade takes away may still be about"


# -- the operator ----------------------------------------------------------------------------------------------------------------


def operator(chart: Chart) -> Pod:
    [pod] = [pod for pod in chart.pods() if pod.of == f"Deployment {OURS}operator"]
    return pod


SECRETS: dict[str, dict[str, str]] = {
    "kayan-secrets": {"REDIS_PASSWORD": "redis-secret", "DATABASE_URL": "postgresql://nobody"},
    "redis-eu": {"url": "rediss://kayan:eu-secret@redis.eu:6380/1", "REDIS_URL": "not this one"},
    "redis-us": {"REDIS_HOST": "redis.us", "REDIS_PORT": "6390", "REDIS_PASSWORD": "us-secret"},
    "redis-eu-tls": {"ca.crt": "certificate"},
    "redis-tls": {"ca.crt": "certificate", "tls.crt": "certificate", "tls.key": "key"},
}
"""As somebody has them in his namespace."""


def told(chart: Chart, pod: Pod, machine: Path) -> dict[str, str]:
    """What the pod's process finds in its environment, with ``machine`` in place of the root of its files."""
    here = {"metadata.name": "operator-0", "metadata.namespace": "live"}
    paths = {mount["name"]: mount["mountPath"] for mount in pod.spec["containers"][0]["volumeMounts"]}
    for volume in pod.spec["volumes"]:
        folder = machine / paths[volume["name"]].lstrip("/")
        folder.mkdir(parents=True)
        if "secret" in volume:
            held = SECRETS[volume["secret"]["secretName"]]
            for item in volume["secret"].get("items", [{"key": key, "path": key} for key in held]):
                if item["key"] in held:
                    (folder / item["path"]).write_text(held[item["key"]])
    variables = dict(chart.settings()) if "envFrom" in pod.spec["containers"][0] else {}
    variables |= {
        name: here[entry["valueFrom"]["fieldRef"]["fieldPath"]] if "valueFrom" in entry else entry["value"]
        for name, entry in pod.variables.items()
    }
    variables = {name: value.replace("/run/kayan/", f"{machine}/run/kayan/") for name, value in variables.items()}
    mounted.adopt(variables)
    return variables


@pytest.mark.parametrize("values", [STORES, NAMESPACED, merged(STORES, SCALED)], ids=["plain", "namespaced", "everything"])
def test_the_operator_reads_what_it_is_told_and_finds_nothing_odd(tmp_path: Path, values: Object) -> None:
    chart = render(values)
    settings = Settings.from_environment(told(chart, operator(chart), tmp_path))

    assert settings.warnings == ()
    assert (settings.namespace, settings.identity, settings.name) == ("live", "operator-0", OURS + "operator")
    assert settings.health_port == 8080
    assert settings.metrics_api is (values is not NAMESPACED)
    assert settings.redis["default"].host == "redis.internal"
    assert settings.redis["default"].password == "redis-secret"


def test_what_the_values_say_of_the_operator_is_what_it_understands(tmp_path: Path) -> None:
    chart = render(merged(STORES, SCALED))
    settings = Settings.from_environment(told(chart, operator(chart), tmp_path))

    assert (settings.namespaces, settings.metrics_port) == (("live", "default"), 8443)
    assert (settings.log_level, settings.log_format) == ("debug", "text")
    assert settings.redis.keys() == {"default", "eu-2", "us"}
    europe, america = settings.redis["eu-2"], settings.redis["us"]
    assert (europe.url, europe.ca_file) == ("rediss://kayan:eu-secret@redis.eu:6380/1", f"{tmp_path}/run/kayan/redis-eu-2-tls/ca.crt")
    assert (america.host, america.port, america.password) == ("redis.us", 6390, "us-secret")


@pytest.mark.parametrize("redis", [
    {"host": "redis", "port": 6380, "username": "kayan", "db": 3, "queuePrefix": "live"},
    {"sentinel": {"hosts": ["a:26380", "b"], "master": "kayan"}, "tls": {"enabled": True, "secretName": "redis-tls"}},
    {"host": "redis", "tls": {"enabled": True, "secretName": "redis-tls", "clientCertificate": True}},
    {"host": "redis", "cluster": True, "queuePrefix": "{bull}"},
])  # fmt: skip
def test_the_operator_looks_at_the_redis_of_the_workers(tmp_path: Path, redis: Object) -> None:
    chart = render({**STORES, "redis": redis})
    sees, works = (
        read(told(chart, pod, tmp_path / folder))
        for read, pod, folder in (
            (Settings.from_environment, operator(chart), "one"),
            (lambda variables: WorkerSettings.as_far_as_readable(variables, [])[0], chart.worker("analytics"), "two"),
        )
    )

    assert str(sees.redis["default"]).replace("/one/", "/two/") == str(works.redis)
    assert sees.prefix == works.prefix == redis.get("queuePrefix", "bull")


def test_nothing_that_is_not_its_business_reaches_the_operator() -> None:
    chart = render(merged(EVERYTHING, SCALED))
    pod = operator(chart)

    assert "envFrom" not in pod.spec["containers"][0]
    assert not [name for name in pod.variables if name.startswith(("DATABASE", "AWS", "EMAIL", "NEXTAUTH"))]
    [secrets] = [volume["secret"] for volume in pod.spec["volumes"] if volume["name"] == "secrets"]
    assert {item["path"].partition("_")[0] for item in secrets["items"]} == {"REDIS"}


@pytest.mark.parametrize(("change", "is_new"), [
    ({"redis": {"host": "another"}}, True), ({"settings": {"logLevel": "warn"}}, True), ({"redis": {"queuePrefix": "live"}}, True),
    ({"storage": {"bucket": "another"}}, False), ({"settings": {"lockDurationMs": 60000}}, False),
    ({"workers": {"email": {"scaling": {"maxReplicas": 9}}}}, False), ({"fleetBudgets": {"media": {"cpu": 4}}}, False),
])  # fmt: skip
def test_the_operator_begins_anew_for_what_it_is_told_at_its_start_and_for_nothing_else(change: Object, is_new: bool) -> None:
    before, after = (operator(render(values)) for values in (STORES, merged(STORES, change)))

    assert (before.spec != after.spec or before.metadata != after.metadata) is is_new


def test_lease_service_secret_rights_and_the_operator_itself_go_by_one_name() -> None:
    chart = render(STORES)
    name = operator(chart).variables["KAYAN_OPERATOR_NAME"]["value"]

    assert chart.one("Deployment", name)["spec"]["replicas"] == 2
    assert chart.one("Secret", name).get("data") is None, "so that no upgrade takes the certificate away"
    [api] = chart.of("APIService")
    assert (api["spec"]["service"]["namespace"], api["spec"]["service"]["name"]) == ("live", name)
    service = chart.one("Service", name)["spec"]
    [port] = service["ports"]
    assert port["port"] == api["spec"]["service"]["port"]
    ports = {port["name"]: port["containerPort"] for port in operator(chart).spec["containers"][0]["ports"]}
    assert str(ports[port["targetPort"]]) == operator(chart).variables["KAYAN_OPERATOR_METRICS_PORT"]["value"]
    assert service["selector"] == chart.one("Deployment", name)["spec"]["selector"]["matchLabels"]
    assert "caBundle" not in api["spec"], "which is the operator's to say"


def test_the_metrics_api_is_registered_unless_the_values_say_not_to() -> None:
    for create, there in (("auto", True), (True, True), ("true", True), (False, False), ("false", False)):
        chart = render(merged(STORES, {"operator": {"metricsApi": {"create": create}}}))
        assert bool(chart.of("APIService")) is there
        assert operator(chart).variables["KAYAN_OPERATOR_METRICS_API"]["value"] == "true", "whoever registers it"


def test_its_rollout_never_leaves_horizontal_pod_autoscalers_without_an_answer() -> None:
    chart = render(STORES)

    assert chart.one("Deployment", OURS + "operator")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    [budget] = [found["spec"] for found in chart.of("PodDisruptionBudget") if named(found).endswith("-operator")]
    assert (budget["maxUnavailable"], budget["unhealthyPodEvictionPolicy"]) == (1, "AlwaysAllow")
    assert budget["selector"] == chart.one("Deployment", OURS + "operator")["spec"]["selector"]
    container = operator(chart).spec["containers"][0]
    paths = [container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert paths == ["/livez", "/livez", "/readyz"]


@pytest.mark.parametrize(("entry", "value"), [
    ("nodeSelector", {"disk": "fast"}), ("tolerations", [{"key": "spot", "operator": "Exists"}]), ("priorityClassName", "1e3"),
    ("affinity", {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}), ("runtimeClassName", "gvisor"),
    ("hostAliases", [{"ip": "10.0.0.9", "hostnames": ["redis.internal"]}]), ("dnsConfig", {"options": [{"name": "ndots", "value": "2"}]}),
    ("podLabels", {"colour": "blue"}), ("podAnnotations", {"example.com/colour": "blue"}),
    ("extraEnv", [{"name": "POD_NAME", "value": "mine"}]),
    ("topologySpreadConstraints", [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]),
])  # fmt: skip
def test_what_is_added_reaches_the_operators_pods_and_no_others(entry: str, value: Any) -> None:
    def there(pod: Pod) -> bool:
        if entry in ("podLabels", "podAnnotations"):
            return bool(pod.metadata.get(entry.removeprefix("pod").lower(), {}).items() >= value.items())
        if entry == "extraEnv":
            return value[0] in pod.spec["containers"][0].get("env", [])
        if entry == "topologySpreadConstraints":
            return [constraint | value[0] for constraint in pod.spec.get(entry, [])] == pod.spec.get(entry) and len(pod.spec[entry]) == 1
        return bool(pod.spec.get(entry) == value)

    chart = render(merged(STORES, {"operator": {entry: value}}))
    assert [pod.of for pod in chart.pods() if there(pod)] == [f"Deployment {OURS}operator"]


def test_prometheus_reads_the_operators_metrics_where_it_reads_the_workers() -> None:
    for values, read in ((STORES, True), (merged(STORES, UNSCALED), False)):
        chart = render(merged(values, {"monitoring": {"podMonitor": {"enabled": True}}}))
        [monitor] = chart.of("PodMonitor")
        [expression] = monitor["spec"]["selector"]["matchExpressions"]
        assert ("operator" in expression["values"]) is read
    ports = {port["name"] for port in operator(render(STORES)).spec["containers"][0]["ports"]}
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in ports
