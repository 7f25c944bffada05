"""What each pod may do, how it is watched, how long it may take to leave, and what it weighs."""

from __future__ import annotations

import pytest
from chart.rendered import EVERYTHING, STORES, UNSCALED, Chart, RefusedError, merged, named, render
from kayan_workers.processors.table import ROLES

FAMILIES = {role.name: role.family for role in ROLES}


# -- what a pod may do -----------------------------------------------------------------------------------------------------------


def test_every_container_runs_as_a_user_without_rights_on_a_root_it_cannot_write(chart: Chart) -> None:
    for pod in chart.pods():
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True, pod.of
        assert security["runAsUser"] >= 100, pod.of
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, pod.of
        for container in pod.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, pod.of


@pytest.mark.parametrize("stores", [STORES, {}], ids=["real stores", "demo"])
def test_where_the_platform_chooses_the_user_no_pod_names_one(stores: dict[str, object]) -> None:
    nobody = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}}
    for pod in render(merged(stores, nobody)).pods():
        assert pod.spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, pod.of


def test_all_pods_run_as_the_user_of_the_values_but_for_postgresql_which_is_whom_its_image_knows() -> None:
    for pod in render({"podSecurityContext": {"runAsUser": 20000, "fsGroup": 30000}}).pods():
        security, own = pod.spec["securityContext"], (999, 999) if "demo-postgres" in pod.of else (20000, 30000)
        assert (security["runAsUser"], security["fsGroup"]) == own, pod.of


def test_no_pod_but_the_operators_has_a_token_for_the_kubernetes_api_and_none_the_addresses_of_services(chart: Chart) -> None:
    for pod in chart.pods():
        assert pod.spec["automountServiceAccountToken"] is (pod.labels["workers.kayanlive.com/family"] == "operator"), pod.of
        assert pod.spec["enableServiceLinks"] is False, pod.of
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(), pod.of
    assert all(account["automountServiceAccountToken"] is False for account in chart.of("ServiceAccount"))


def test_every_container_asks_for_memory_and_cpu_and_has_a_limit_of_memory_only(chart: Chart) -> None:
    for pod in chart.pods():
        for container in pod.containers:
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), pod.of
            assert resources["limits"].keys() == {"memory"}, pod.of


def test_every_volume_that_is_mounted_is_there_and_whatever_is_written_to_is_a_volume(chart: Chart) -> None:
    for pod in chart.pods():
        volumes = [volume["name"] for volume in pod.spec.get("volumes", [])]
        assert len(set(volumes)) == len(volumes), pod.of
        for container in pod.containers:
            mounts = container.get("volumeMounts", [])
            assert {mount["name"] for mount in mounts} <= set(volumes), pod.of
            paths = [mount["mountPath"] for mount in mounts]
            assert len(set(paths)) == len(paths), pod.of
            if "kayanlive/workers" in container["image"] and container in pod.spec["containers"]:
                assert "/tmp" in paths, pod.of


# -- how it is watched and how it leaves -----------------------------------------------------------------------------------------


def test_every_probe_asks_a_port_that_the_container_has(chart: Chart) -> None:
    for pod in chart.pods():
        for container in pod.spec["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                for how in ("httpGet", "tcpSocket"):
                    if how in container.get(probe, {}):
                        assert container[probe][how]["port"] in ports, (pod.of, probe)


def test_a_worker_is_alive_as_long_as_its_loop_turns_and_ready_when_its_systems_answer(chart: Chart) -> None:
    for name in chart.workers():
        worker = chart.worker(name).spec["containers"][0]
        assert worker["startupProbe"]["httpGet"]["path"] == worker["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert worker["readinessProbe"]["httpGet"]["path"] == "/readyz"
        [port] = worker["ports"]
        assert str(port["containerPort"]) == chart.settings()["HEALTH_PORT"]


def test_the_pod_lives_longer_than_its_worker_takes_to_leave(chart: Chart) -> None:
    for name in chart.workers():
        pod = chart.worker(name)
        own = int(pod.variables["KAYAN_GRACE_SECONDS"]["value"])
        assert pod.spec["terminationGracePeriodSeconds"] >= own + 5, name


def test_no_rollout_ends_a_job_that_keeps_to_its_time() -> None:
    chart = render(STORES)
    for role in ROLES:
        assert int(chart.worker(role.name).variables["KAYAN_GRACE_SECONDS"]["value"]) >= role.timeout_seconds, role.name


def test_a_drain_takes_pods_of_a_worker_one_after_the_other_and_is_never_stopped(chart: Chart) -> None:
    budgets = {budget["metadata"]["labels"]["app.kubernetes.io/component"]: budget["spec"] for budget in chart.of("PodDisruptionBudget")}
    budgets.pop("operator", None)
    assert budgets.keys() == chart.workers().keys()
    for name, budget in budgets.items():
        assert "minAvailable" not in budget
        assert budget["maxUnavailable"] == 1
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        assert budget["selector"] == chart.workers()[name]["spec"]["selector"]


# -- how many, and which image ---------------------------------------------------------------------------------------------------


def test_where_something_scales_the_workers_the_chart_says_no_number() -> None:
    for name, worker in render(merged(STORES, {"workerDefaults": {"replicas": 3}})).workers().items():
        assert "replicas" not in worker["spec"], name


def test_where_nothing_scales_them_each_has_the_number_it_was_given() -> None:
    numbers = {"workerDefaults": {"replicas": 3}, "workers": {"email": {"replicas": 0}, "asset": {"replicas": 7}}}
    chart = render(merged(STORES, UNSCALED, numbers))

    replicas = {name: worker["spec"]["replicas"] for name, worker in chart.workers().items()}
    assert replicas == dict.fromkeys(FAMILIES, 3) | {"email": 0, "asset": 7}


def test_every_queue_has_one_worker_with_the_image_of_its_family() -> None:
    chart = render(STORES)

    served = {}
    for name in chart.workers():
        pod = chart.worker(name)
        [container] = pod.spec["containers"]
        command, *roles = container["args"]
        assert command == "worker"
        for role in roles:
            assert role not in served
            served[role] = container["image"].partition(":")[0]
            assert pod.labels["workers.kayanlive.com/family"] == FAMILIES[role]
    assert served == {role: f"kayanlive/workers-{family}" for role, family in FAMILIES.items()}


def test_a_worker_may_serve_several_queues_of_its_family() -> None:
    both = {"family": "messaging", "roles": ["email", "notification"], "concurrency": {"email": 4}}
    chart = render(merged(STORES, {"workers": {"email": None, "notification": None, "post": both}}))

    pod = chart.worker("post")
    assert pod.spec["containers"][0]["args"] == ["worker", "email", "notification"]
    assert pod.variables["CONCURRENCY_EMAIL"]["value"] == "4"
    assert chart.workers().keys() == FAMILIES.keys() - {"email", "notification"} | {"post"}
    [ping] = [pod for pod in chart.pods() if pod.of.endswith("-test-ping")]
    assert {"email", "notification"} <= set(ping.spec["containers"][0]["args"])


@pytest.mark.parametrize("how", ["--set=workers.email=null", "--set=workers.email.enabled=false"])
def test_a_worker_can_be_left_out(how: str) -> None:
    chart = render(STORES, how)

    assert chart.workers().keys() == FAMILIES.keys() - {"email"}
    assert not any(found["metadata"]["name"].endswith("-email") for found in chart.objects)
    [ping] = [pod for pod in chart.pods() if pod.of.endswith("-test-ping")]
    assert "email" not in ping.spec["containers"][0]["args"]


def test_a_digest_pins_a_tag_and_without_either_it_is_the_charts_version() -> None:
    digest = "sha256:" + "a1" * 32
    chart = render(merged(STORES, {"images": {"media": {"tag": "1.2", "digest": digest}, "messaging": {"tag": "20261130"}}}))

    images = {name: chart.worker(name).spec["containers"][0]["image"] for name in chart.workers()}
    assert images["thumbnail"] == f"kayanlive/workers-media:1.2@{digest}"
    assert images["email"] == "kayanlive/workers-messaging:20261130"
    assert images["analytics"] == "kayanlive/workers-analytics:0.1.0"


@pytest.mark.parametrize("registry", ["registry.example.com/mirror", "registry.example.com/mirror/"])
def test_a_registry_is_put_before_every_image_of_ours(registry: str) -> None:
    for pod in render(merged(EVERYTHING, {"images": {"registry": registry}})).pods():
        for container in pod.containers:
            assert container["image"].startswith("registry.example.com/mirror/kayanlive/workers-"), pod.of


def test_the_registry_is_put_before_the_demos_images_as_well_unless_they_name_one() -> None:
    mirror = {"registry": "registry.example.com/mirror"}
    chart = render({"images": mirror, "demo": {"redisImage": "quay.io/other/redis:7", "s3Image": "localhost:5000/s3"}})

    images = {pod.of.rpartition("-")[2]: pod.spec["containers"][0]["image"] for pod in chart.pods() if "-demo-" in pod.of}
    assert images["postgres"] == "registry.example.com/mirror/postgres:17"
    assert (images["redis"], images["s3"]) == ("quay.io/other/redis:7", "localhost:5000/s3")


@pytest.mark.parametrize("stores", [STORES, {}], ids=["real stores", "demo"])
def test_every_pod_may_read_the_private_registry(stores: dict[str, object]) -> None:
    for pod in render(merged(stores, {"images": {"pullSecrets": ["one", "1e3"]}})).pods():
        assert pod.spec["imagePullSecrets"] == [{"name": "one"}, {"name": "1e3"}], pod.of


# -- memory ----------------------------------------------------------------------------------------------------------------------


def mebibytes(processes: int, memory_mb: int) -> str:
    """The README's bound, and a tenth for the kernel's share."""
    return f"{(120 + processes * 2 * (80 + memory_mb)) * 11 // 10}Mi"


def test_a_media_worker_may_take_the_memory_that_its_codec_processes_may_ask_for() -> None:
    chart = render(merged(STORES, {"workers": {"variant": {"codec": {"processes": 4, "memoryMb": 2048}}}}))

    limits = {name: chart.worker(name).spec["containers"][0]["resources"]["limits"]["memory"] for name in chart.workers()}
    assert limits["asset"] == limits["thumbnail"] == mebibytes(1, 1024) == "2560Mi"
    assert limits["variant"] == mebibytes(4, 2048)
    assert limits["analytics"] == limits["cleanup"] == "256Mi"
    variables = chart.worker("variant").variables
    assert (variables["KAYAN_CODEC_PROCESSES"]["value"], variables["KAYAN_CODEC_MEMORY_MB"]["value"]) == ("4", "2048")


def test_a_media_worker_of_ones_own_has_that_limit_as_well() -> None:
    films = {"family": "media", "roles": ["variant"], "codec": {"processes": 2, "memoryMb": 1536}}
    chart = render(merged(STORES, {"workers": {"variant": None, "films": films}}), "--set", "workers.asset.resources=null")

    for name, processes, memory_mb in (("films", 2, 1536), ("asset", 1, 1024)):
        assert chart.worker(name).spec["containers"][0]["resources"]["limits"] == {"memory": mebibytes(processes, memory_mb)}


def test_a_limit_of_ones_own_stays_as_it_is() -> None:
    chart = render(merged(STORES, {"workers": {"variant": {"resources": {"limits": {"memory": "9Gi", "cpu": 4}}}}}))

    assert chart.worker("variant").spec["containers"][0]["resources"]["limits"] == {"memory": "9Gi", "cpu": 4}


# -- what whoever installs it may add --------------------------------------------------------------------------------------------

EXTRAS = {
    "extraEnv": [{"name": "FFMPEG_BIN", "value": "/opt/ffmpeg"}],
    "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    "extraVolumes": [{"name": "fonts", "configMap": {"name": "fonts"}}],
    "extraVolumeMounts": [{"name": "fonts", "mountPath": "/usr/share/fonts/own"}],
    "extraInitContainers": [{"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}],
    "podAnnotations": {"example.com/colour": "blue"},
    "podLabels": {"colour": "blue"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "1e3",
    "runtimeClassName": "gvisor",
    "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["redis.internal"]}],
    "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}],
}


@pytest.mark.parametrize("entry", EXTRAS)
def test_what_is_added_reaches_the_pods_of_all_workers_or_of_one(entry: str) -> None:
    def has(chart: Chart, name: str) -> bool:
        pod = chart.worker(name)
        container = pod.spec["containers"][0]
        holder = {
            "extraEnv": container["env"], "extraEnvFrom": container["envFrom"], "extraVolumes": pod.spec["volumes"],
            "extraVolumeMounts": container["volumeMounts"], "podAnnotations": pod.metadata["annotations"].items(),
            "podLabels": pod.labels.items(), "extraInitContainers": pod.spec.get("initContainers", []),
        }  # fmt: skip
        value = EXTRAS[entry]
        if entry == "topologySpreadConstraints":
            [constraint] = pod.spec.get(entry) if len(pod.spec.get(entry, [])) == 1 else [{}]
            return constraint.items() >= value[0].items() and constraint["labelSelector"] == chart.workers()[name]["spec"]["selector"]
        if entry in holder:
            wanted = value.items() if isinstance(value, dict) else value
            return all(piece in holder[entry] for piece in wanted)
        return pod.spec.get(entry) == value

    everywhere = render(merged(STORES, {"workerDefaults": {entry: EXTRAS[entry]}}))
    assert {name for name in everywhere.workers() if has(everywhere, name)} == FAMILIES.keys()
    for_one = render(merged(STORES, {"workers": {"email": {entry: EXTRAS[entry]}}}))
    assert {name for name in for_one.workers() if has(for_one, name)} == {"email"}


@pytest.mark.parametrize("entry", [
    "podAnnotations", "podLabels", "nodeSelector", "tolerations", "affinity", "priorityClassName", "hostAliases", "dnsConfig",
])  # fmt: skip
def test_what_is_added_to_the_cleanups_reaches_their_pods_and_where_they_run_the_pod_of_helm_test(entry: str) -> None:
    for pod in render(merged(STORES, {"cleanups": {entry: EXTRAS[entry]}})).pods():
        if pod.of.startswith("CronJob") or (pod.of.startswith("Pod") and not entry.startswith("pod")):
            value = {"podAnnotations": pod.metadata.get("annotations"), "podLabels": pod.labels}.get(entry, pod.spec.get(entry))
            assert value == EXTRAS[entry] or (isinstance(value, dict) and value.items() >= EXTRAS[entry].items()), pod.of


def test_containers_that_run_before_the_worker_do_so_beside_the_one_that_brings_sources_as_well() -> None:
    proxy = EXTRAS["extraInitContainers"]
    chart = render(merged(STORES, {"development": {"syncSources": True}, "workerDefaults": {"extraInitContainers": proxy}}))

    assert [container["name"] for container in chart.worker("email").spec["initContainers"]] == ["proxy", "sources"]


def test_a_workers_own_entry_is_merged_with_what_all_have_and_its_lists_and_values_replace_theirs() -> None:
    chart = render(merged(STORES, {
        "workerDefaults": {
            "podLabels": {"a": "all", "b": "all"}, "nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "spot"}],
            "priorityClassName": "low", "resources": {"requests": {"cpu": "1"}}, "livenessProbe": {"periodSeconds": 20},
        },
        "workers": {"email": {
            "podLabels": {"b": "mine"}, "nodeSelector": {"zone": "z1"}, "tolerations": [], "priorityClassName": "",
            "resources": {"limits": {"memory": "1Gi"}}, "livenessProbe": {"failureThreshold": 9}, "podDisruptionBudget": {"enabled": False},
        }},
    }))  # fmt: skip

    email, analytics = chart.worker("email"), chart.worker("analytics")
    assert (email.labels["a"], email.labels["b"], analytics.labels["b"]) == ("all", "mine", "all")
    assert email.spec["nodeSelector"] == {"disk": "fast", "zone": "z1"}
    assert (analytics.spec["tolerations"], analytics.spec["priorityClassName"]) == ([{"key": "spot"}], "low")
    assert not {"tolerations", "priorityClassName"} & email.spec.keys()
    container = email.spec["containers"][0]
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}
    assert (container["livenessProbe"]["periodSeconds"], container["livenessProbe"]["failureThreshold"]) == (20, 9)
    assert not any(named(budget).endswith("-email") for budget in chart.of("PodDisruptionBudget"))


def test_a_variable_of_extra_env_takes_the_place_of_the_charts_own() -> None:
    given = [{"name": "POD_NAME", "value": "mine"}, {"name": "B", "value": "2"}, {"name": "A", "value": "$(B)"}]
    pod = render(merged(STORES, {"workerDefaults": {"extraEnv": given}})).worker("cleanup")

    assert pod.variables["POD_NAME"] == {"name": "POD_NAME", "value": "mine"}
    assert pod.spec["containers"][0]["env"][-3:] == given, "a variable may use those before it, so their order stays"


def test_another_volume_for_files_in_work_takes_the_place_of_the_nodes_disk() -> None:
    claim = {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}}
    chart = render(merged(STORES, {"workers": {"variant": {"tempVolume": claim}}}))

    assert {"name": "tmp", **claim} in chart.worker("variant").spec["volumes"]
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "20Gi"}} in chart.worker("asset").spec["volumes"]


def test_a_worker_that_is_recreated_has_no_settings_of_a_rolling_update() -> None:
    chart = render(merged(STORES, {"workers": {"cleanup": {"strategy": {"type": "Recreate"}}}}))

    assert chart.workers()["cleanup"]["spec"]["strategy"] == {"type": "Recreate"}
    assert chart.workers()["email"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": 0}


def test_a_spread_with_a_selector_of_ones_own_keeps_it() -> None:
    own = {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"team": "a"}}}
    chart = render(merged(STORES, {"workerDefaults": {"topologySpreadConstraints": [own]}}))

    assert chart.worker("email").spec["topologySpreadConstraints"] == [own]


def test_a_family_runs_as_its_own_account_or_as_one_that_is_there_already() -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/kayan-media"}
    accounts = {
        "media": {"annotations": role},
        "messaging": {"name": "mailers"},
        "analytics": {"create": False, "name": "counters"},
        "maintenance": {"create": False},
    }
    chart = render(merged(STORES, UNSCALED, {"serviceAccounts": accounts, "commonAnnotations": {"contact": "platform"}}))

    made = {account["metadata"]["name"]: account["metadata"].get("annotations") for account in chart.of("ServiceAccount")}
    assert made == {"kayan-kayan-workers-media": {"contact": "platform", **role}, "mailers": {"contact": "platform"}}
    used = {name: chart.worker(name).spec["serviceAccountName"] for name in ("thumbnail", "email", "analytics", "cleanup")}
    assert used == {"thumbnail": "kayan-kayan-workers-media", "email": "mailers", "analytics": "counters", "cleanup": "default"}


def test_every_account_that_a_pod_of_ours_runs_as_is_there(chart: Chart) -> None:
    made = {account["metadata"]["name"] for account in chart.of("ServiceAccount")}
    assert {pod.spec["serviceAccountName"] for pod in chart.pods() if "serviceAccountName" in pod.spec} <= made


def test_objects_of_ones_own_come_along_and_may_use_templates() -> None:
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-own"}, "data": {"number": "1e3"}}

    assert render(merged(STORES, {"extraObjects": [own]})).one("ConfigMap", "kayan-own")["data"] == {"number": "1e3"}
    with pytest.raises(RefusedError, match="extraObjects"):
        render(merged(STORES, {"extraObjects": {"a": own}}))
