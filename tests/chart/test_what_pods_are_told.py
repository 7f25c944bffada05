"""Every variable that the chart sets is one that the worker reads, with a value that it takes; secrets stand in a Secret alone."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from chart.rendered import CHART, EVERYTHING, PLAIN, SECRETS, STORES, UNSCALED, Chart, Object, Pod, merged, named, render
from kayan_workers import mounted
from kayan_workers.cli.app import app
from kayan_workers.processors.cleaning.policy import RETENTIONS, SWITCHES
from kayan_workers.processors.table import ROLES, STORAGE
from kayan_workers.settings import Settings
from typer.main import get_command

READ_ELSEWHERE = {mounted.FOLDERS, mounted.ADOPTED, "PYTHONPATH"}
"""By the process before it reads its settings, and by Python."""

HELD_BY_OTHERS = {
    "REDIS_URL": "rediss://kayan:redis-secret@redis.internal:6379/0",
    "DATABASE_URL": "postgresql://kayan:database-secret@db.internal:5432/kayanlive?schema=public",
    "REDIS_PASSWORD": "redis-secret",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
}
"""What a Secret that the chart does not make holds, as its documentation asks."""


class Watched(dict[str, str]):
    """An environment that remembers what was asked of it."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables)
        self.asked: set[str] = set()

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)


def secret_files(chart: Chart, pod: Pod) -> dict[str, str]:
    """What stands in the files of the pod's Secret, by variable: of our own Secret, else of one as users have it."""
    [volume] = [volume["secret"] for volume in pod.spec["volumes"] if volume["name"] == "secrets"]
    own = {secret["metadata"]["name"]: secret.get("data", {}) for secret in chart.of("Secret")}.get(volume["secretName"])
    held = HELD_BY_OTHERS if own is None else {key: base64.b64decode(value).decode() for key, value in own.items()}
    return {item["path"]: held[item["key"]] for item in volume["items"] if item["key"] in held}


def environment(chart: Chart, pod: Pod, machine: Path) -> Watched:
    """Everything that the first container is told, in the environment and in files, with ``machine`` in place of the root of its files."""
    variables = dict(chart.settings())
    variables |= {name: entry.get("value", "kayan-0") for name, entry in pod.variables.items()}
    files = {f"/run/kayan/secrets/{name}": value for name, value in secret_files(chart, pod).items()}
    for mount in pod.spec["containers"][0]["volumeMounts"]:
        (machine / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
        if mount["name"] == "redis-tls":
            files |= {f"{mount['mountPath']}/{name}": "certificate" for name in ("ca.crt", "tls.crt", "tls.key")}
    for path, text in files.items():
        (machine / path.lstrip("/")).write_text(text)
    variables = {name: str(machine) + value if value.startswith("/run/kayan/") else value for name, value in variables.items()}
    mounted.adopt(variables)
    return Watched(variables)


def ours(chart: Chart) -> Iterator[Pod]:
    """The pods that run `kayan` for good or for a moment."""
    return (pod for pod in chart.pods() if re.search("kayanlive/workers-(?!operator)", pod.spec["containers"][0]["image"]))


def test_every_variable_is_one_that_the_worker_reads_and_takes_without_a_word(chart: Chart, tmp_path: Path) -> None:
    for number, pod in enumerate(ours(chart)):
        roles = [role for role in ROLES if pod.of.startswith("Deployment") and role.name in pod.spec["containers"][0]["args"]]
        told = environment(chart, pod, tmp_path / str(number))

        settings, problems = Settings.as_far_as_readable(told, roles)

        assert problems == [], pod.of
        assert settings.warnings == (), pod.of
        assert told.keys() - told.asked <= READ_ELSEWHERE, pod.of


def test_what_the_values_say_is_what_the_worker_understands(tmp_path: Path) -> None:
    chart = render(merged(EVERYTHING, {"database": {"poolSize": 3}, "settings": {"lockDurationMs": 60000, "backoff": "bull"}}))

    def settings(worker: str) -> Settings:
        return Settings.as_far_as_readable(environment(chart, chart.worker(worker), tmp_path / worker), [])[0]

    thumbnail = settings("thumbnail")
    assert thumbnail.redis.sentinels == (("sentinel-0", 26380), ("sentinel-1", 26379))
    assert (thumbnail.redis.sentinel_master, thumbnail.redis.sentinel_password) == ("kayan", "sentinel-secret")
    assert (thumbnail.redis.tls, thumbnail.redis.password) == (True, "redis-secret")
    assert thumbnail.redis.ca_file == str(tmp_path / "thumbnail/run/kayan/redis-tls/ca.crt")
    assert thumbnail.concurrency == {"thumbnail": 8}
    assert thumbnail.timeout_seconds == {"thumbnail": 0}
    assert (thumbnail.rates["thumbnail"].jobs, thumbnail.rates["thumbnail"].per_ms) == (100, 1000)
    assert (thumbnail.grace_seconds, thumbnail.codec_processes, thumbnail.codec_memory_mb) == (300, 1, 1024)
    assert (thumbnail.database_pool_size, thumbnail.lock_duration_ms, thumbnail.backoff) == (3, 60000, "bull")
    assert (thumbnail.log_level, thumbnail.bucket) == ("debug", "kayanlive-assets")
    assert settings("email").ses_region == "eu-west-1"
    policy = settings("cleanup").cleanup
    assert policy.on == SWITCHES.keys()
    assert policy.retention_days == dict(zip(RETENTIONS, (365, 90, 30, 365), strict=True))


def test_mails_of_the_demo_go_to_a_folder_and_those_of_a_real_installation_to_ses_unless_asked(tmp_path: Path) -> None:
    def outbox(values: Object) -> Path | None:
        chart = render(values)
        return Settings.as_far_as_readable(environment(chart, chart.worker("email"), tmp_path), [])[0].outbox

    assert outbox({}) == outbox(merged(STORES, {"mail": {"transport": "outbox"}})) == Path("/tmp/outbox")
    assert outbox(STORES) is None


def test_every_command_that_a_pod_runs_is_one_that_kayan_knows(chart: Chart) -> None:
    kayan = get_command(app)
    for pod in chart.pods():
        for container in pod.containers:
            if re.search("kayanlive/workers-(?!operator)", container["image"]) and "command" not in container:
                parsed, context = kayan, click.Context(kayan)
                arguments = list(container["args"])
                while isinstance(parsed, click.Group) and arguments:
                    _, parsed, arguments = parsed.resolve_command(context, arguments)
                assert parsed.make_context("kayan", arguments, parent=context), pod.of


# -- secrets ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [PLAIN, EVERYTHING], ids=["plain values", "everything"])
def test_what_is_secret_stands_in_the_secret_and_nowhere_else(values: Object) -> None:
    chart = render(values)
    for found in chart.objects:
        if found["kind"] != "Secret":
            written = json.dumps(found)
            assert not [secret for secret in SECRETS if secret in written], named(found)


def test_the_demos_password_stands_in_its_secret_and_nowhere_else() -> None:
    chart = render(UNSCALED)
    [secret] = chart.of("Secret")
    password = base64.b64decode(secret["data"]["DEMO_PASSWORD"]).decode()

    assert len(password) == 24
    assert not [named(found) for found in chart.objects if found["kind"] != "Secret" and password in json.dumps(found)]


@pytest.mark.parametrize("values", [STORES, {**STORES, "secret": {"externalSecret": {"enabled": True, "storeName": "s", "extract": "e"}}}])
def test_with_a_secret_from_elsewhere_the_chart_makes_none(values: Object) -> None:
    assert render(merged(values, UNSCALED)).of("Secret") == []


def test_an_external_secret_fills_the_secret_that_the_pods_read() -> None:
    remote = {"secretKey": "DATABASE_URL", "remoteRef": {"key": "kayan/database", "property": "url"}}
    chart = render({
        "redis": {"host": "redis"}, "storage": {"bucket": "kayanlive-assets"},
        "secret": {"externalSecret": {"enabled": True, "storeName": "1e3", "storeKind": "SecretStore", "data": [remote]}},
    })  # fmt: skip

    [external] = chart.of("ExternalSecret")
    assert external["spec"]["secretStoreRef"] == {"name": "1e3", "kind": "SecretStore"}
    assert external["spec"]["data"] == [remote]
    [volume] = [volume["secret"] for volume in chart.worker("email").spec["volumes"] if volume["name"] == "secrets"]
    assert volume["secretName"] == external["spec"]["target"]["name"]


def test_a_pod_sees_the_secrets_of_what_its_family_needs_and_no_others(chart: Chart) -> None:
    redis = {"REDIS_URL", "REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD"}
    database = {"DATABASE_URL"}
    aws = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    wanted = {"media": redis | database | aws, "messaging": redis | database | aws, "maintenance": redis | database | aws}
    wanted |= {"analytics": redis | database, "commands": redis}
    for pod in ours(chart):
        [volume] = [volume["secret"] for volume in pod.spec["volumes"] if volume["name"] == "secrets"]
        assert {item["path"] for item in volume["items"]} == wanted[pod.labels["workers.kayanlive.com/family"]], pod.of
        [mount] = [mount for mount in pod.spec["containers"][0]["volumeMounts"] if mount["name"] == "secrets"]
        assert (mount["mountPath"], mount["readOnly"]) == (pod.variables["KAYAN_SETTINGS_DIR"]["value"], True)


def test_keys_that_are_called_otherwise_are_read_under_the_variables_name() -> None:
    pod = render(merged(STORES, {"secret": {"keys": {"DATABASE_URL": "uri"}}})).worker("analytics")

    [volume] = [volume["secret"] for volume in pod.spec["volumes"] if volume["name"] == "secrets"]
    assert {"key": "uri", "path": "DATABASE_URL"} in volume["items"]
    assert {"key": "REDIS_PASSWORD", "path": "REDIS_PASSWORD"} in volume["items"]


# -- what makes new pods ---------------------------------------------------------------------------------------------------------


def templates(values: Object, *arguments: str) -> dict[str, Object]:
    chart = render(values, *arguments)
    return {name: worker["spec"]["template"] for name, worker in chart.workers().items()}


@pytest.mark.parametrize("change", [
    {"settings": {"logLevel": "warn"}}, {"redis": {"host": "another"}}, {"storage": {"publicUrl": "https://cdn.example.com"}},
    {"appUrl": "https://kayanlive.example.com"}, {"mail": {"suppression": "off"}},
])  # fmt: skip
def test_a_changed_setting_makes_new_pods_of_every_worker(change: Object) -> None:
    before, after = templates(STORES), templates(merged(STORES, change))

    assert before.keys() == after.keys()
    for name in before:
        key = "checksum/settings"
        assert before[name]["metadata"]["annotations"][key] != after[name]["metadata"]["annotations"][key], name


@pytest.mark.parametrize("change", [
    {"commonAnnotations": {"contact": "platform"}}, {"cleanups": {"timeZone": "Asia/Riyadh"}}, {"networkPolicy": {"enabled": False}},
    {"monitoring": {"podMonitor": {"enabled": True}}},
])  # fmt: skip
def test_what_concerns_no_worker_leaves_its_pods_alone(change: Object) -> None:
    assert templates(STORES) == templates(merged(STORES, change))


def test_a_new_version_of_the_chart_alone_leaves_the_pods_alone(tmp_path: Path) -> None:
    newer = tmp_path / "charts"
    shutil.copytree(CHART, newer)
    about = newer / "Chart.yaml"
    about.write_text(re.sub(r"(?m)^version: .*", "version: 9.8.7", about.read_text()))
    chart = render(STORES, folder=newer)

    assert {found["metadata"]["labels"]["helm.sh/chart"] for found in chart.objects} == {"kayan-workers-9.8.7"}
    assert {name: worker["spec"]["template"] for name, worker in chart.workers().items()} == templates(STORES)


def test_the_demos_stores_and_its_work_begin_anew_with_a_new_password() -> None:
    """As for whoever pipes ``helm template`` into ``kubectl apply``, where each rendering draws one."""
    first, second = render({}), render({}, "--set", "tests.timeoutSeconds=119")

    def stores(chart: Chart) -> dict[str, str]:
        return {
            pod.of: pod.metadata["annotations"]["checksum/password"]
            for pod in chart.pods()
            if pod.of.startswith("Deployment") and "-demo-" in pod.of
        }

    def seed(chart: Chart) -> str:
        [job] = chart.of("Job")
        return str(job["metadata"]["name"])

    assert len(stores(first)) == 3
    assert len(set(stores(first).values())) == 1
    assert stores(first).keys() == stores(second).keys()
    assert not set(stores(first).values()) & set(stores(second).values())
    assert seed(first) != seed(second)


def test_only_media_maintenance_and_messaging_pods_hold_keys_of_aws() -> None:
    needing = {role.family for role in ROLES if STORAGE in role.needs} | {"messaging"}
    for pod in ours(render(PLAIN)):
        holds = any(item["path"].startswith("AWS_") for volume in pod.spec["volumes"] for item in volume.get("secret", {}).get("items", []))
        assert holds is (pod.labels["workers.kayanlive.com/family"] in needing), pod.of


def test_when_the_tables_may_be_others_all_stores_of_the_demo_begin_anew_together() -> None:
    def stores(tag: str) -> dict[str, Object]:
        pods = [pod for pod in render({"images": {"media": {"tag": tag}}}).pods() if pod.of.startswith("Deployment") and "demo-" in pod.of]
        return {pod.of: pod.metadata["annotations"]["checksum/tables"] for pod in pods}

    one, other = stores("1.0.0"), stores("1.0.1")
    assert len(one) == 3
    assert len(set(one.values())) == 1
    assert set(one.values()).isdisjoint(other.values())
