"""The chart as the real Helm renders it, for several sets of values, each of them once per run."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import servers
import yaml

CHART = servers.PROJECT / "charts"
KUBERNETES = "1.34.4"
"""Said to Helm, which otherwise takes the version that it was compiled with for the cluster's."""

Object = dict[str, Any]

def merged(*layers: Mapping[str, Any]) -> Object:
    """Values on top of values, as Helm lays files over each other: maps are merged, all else is replaced."""
    result: Object = {}
    for layer in layers:
        for key, value in layer.items():
            below = result.get(key)
            result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return result


STORES: Object = {
    "redis": {"host": "redis.internal"},
    "storage": {"bucket": "kayanlive-assets"},
    "secret": {"existingSecret": "kayan-secrets"},
}
"""The least that a real installation names."""

PLAIN: Object = {
    "redis": {"host": "redis.internal", "port": 6380, "username": "kayan", "password": "redis-secret", "db": 3},
    "database": {"url": "postgresql://kayan:database-secret@db.internal:6432/kayanlive?schema=public"},
    "storage": {
        "bucket": "kayanlive-assets", "endpoint": "https://objects.internal:9000", "publicUrl": "https://assets.example.com/kayanlive-assets",
    },
    "aws": {"accessKeyId": "AKIAEXAMPLE", "secretAccessKey": "aws-secret"},
    "appUrl": "https://kayanlive.example.com",
}  # fmt: skip
SECRETS = ("redis-secret", "database-secret", "sentinel-secret", "aws-secret", "AKIAEXAMPLE")
"""What must stand in nothing but a Secret."""

EXTERNAL: Object = {
    "redis": {"urlInSecret": True},
    "storage": {"bucket": "kayanlive-assets"},
    "secret": {"externalSecret": {"enabled": True, "storeName": "vault", "extract": "kayan/workers"}},
}

EVERYTHING: Object = {
    "commonLabels": {"team": "media", "cost-centre": "4711"},
    "commonAnnotations": {"contact": "platform@example.com"},
    "images": {"registry": "registry.example.com", "pullSecrets": ["registry-key", "mirror-key"]},
    "redis": {
        "sentinel": {"hosts": ["sentinel-0:26380", "sentinel-1"], "master": "kayan", "password": "sentinel-secret"},
        "password": "redis-secret",
        "tls": {"enabled": True, "secretName": "redis-tls", "clientCertificate": True},
    },
    "database": {"url": "postgresql://kayan:database-secret@db.internal/kayanlive"},
    "storage": {"bucket": "kayanlive-assets"},
    "aws": {"accessKeyId": "AKIAEXAMPLE", "secretAccessKey": "aws-secret"},
    "mail": {"endpoint": "https://mail.internal:8443", "region": "eu-west-1", "suppression": "check"},
    "appUrl": "https://kayanlive.example.com",
    "workerDefaults": {
        "replicas": 2,
        "podLabels": {"tier": "background"},
        "podAnnotations": {"example.com/scrape": "true"},
        "extraEnv": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "LOCK_RENEW_MS", "value": "10000"}],
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "system-cluster-critical",
    },
    "workers": {
        "thumbnail": {"concurrency": {"thumbnail": 8}, "timeoutSeconds": {"thumbnail": 0}, "rateLimit": {"thumbnail": "100/1000"}},
        "email": {"rateLimit": {"email": "14/1000"}},
    },
    "cleanups": {
        "types": {"orphaned-objects": {"enabled": True}, "stuck-assets": {"enabled": True}},
        "retentionDays": {"assetActivities": 365, "notifications": 90, "searchHistory": 30, "shareLinkAccess": 365},
        "podLabels": {"tier": "background"},
        "podAnnotations": {"example.com/scrape": "false"},
        "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
    },
    "monitoring": {"podMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}, "dashboard": {"enabled": True}},
    "development": {"syncSources": True},
}

UNSCALED: Object = {"operator": {"enabled": False}}
"""Each worker has the number of pods that the values say."""

NAMESPACED: Object = {**STORES, "operator": {"mode": "direct", "clusterRoles": False}}
"""What needs no rights beyond the release's namespace."""

SCALED: Object = {
    "operator": {
        "mode": "advisory", "replicas": 3, "namespaces": ["default"], "extraTargets": ["reports"], "logLevel": "debug",
        "metricsApi": {"port": 8443},
        "moreRedis": {
            "eu-2": {"secretName": "redis-eu", "keys": {"REDIS_URL": "url"}, "tlsSecretName": "redis-eu-tls", "ports": [6380, 26379]},
            "us": {"secretName": "redis-us", "to": [{"ipBlock": {"cidr": "10.7.0.0/16"}}]},
        },
        "extraEnv": [{"name": "LOG_FORMAT", "value": "text"}], "podLabels": {"tier": "control"},
        "podAnnotations": {"example.com/scrape": "true"}, "nodeSelector": {"disk": "fast"}, "priorityClassName": "system-cluster-critical",
        "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
    },
    "workerDefaults": {"scaling": {"lookAhead": "30s", "budget": "media", "failure": {"errorPercent": 0}}},
    "workers": {
        "asset": {"scaling": {"enabled": False, "budget": ""}, "replicas": 2},
        "thumbnail": {
            "concurrency": {"thumbnail": 8},
            "scaling": {
                "mode": "hpa", "minReplicas": 1, "target": {"maxWait": "30s"}, "cooldown": "10m", "priority": 10,
                "scaleUp": {"pods": 4, "percent": 50}, "scaleDown": {"stabilization": "5m", "pods": 1, "busy": "drain"},
                "schedule": [
                    {"name": "office", "minReplicas": 3, "start": "07:30", "end": "18:00", "timeZone": "Europe/Berlin", "days": ["Mon"]},
                    {"name": "1e3", "minReplicas": 2, "start": "22:00", "end": "02:00"},
                ],
                "fallback": {"replicas": 2, "after": "2m"}, "disruptionProtection": {"enabled": False},
            },
        },
        "variant": {"scaling": {"target": {"drainBy": "06:00 Europe/Berlin"}, "paused": True}},
        "email": None,
        "notification": {
            "roles": ["notification", "email"], "concurrency": {"notification": 2},
            "scaling": {"target": {"jobsPerReplica": 12.5}, "weights": {"email": 0.5}, "budget": "other"},
        },
    },
    "fleetBudgets": {"media": {"maxReplicas": 30}, "other": {"cpu": "1500m"}, "third": {"cpu": 8}},
}  # fmt: skip
"""Every value that scaling has."""

SETS: Mapping[str, Object] = {
    "no values": {},
    "no values, without the operator": UNSCALED,
    "plain values": PLAIN,
    "a Secret of one's own": STORES,
    "External Secrets": merged(EXTERNAL, UNSCALED),
    "everything, without the operator": merged(EVERYTHING, UNSCALED),
    "operator in its namespace alone": NAMESPACED,
    "operator and everything": merged(EVERYTHING, SCALED),
}


class RefusedError(Exception):
    """Helm would not render it; the text is what whoever installs it reads."""


@dataclass(frozen=True)
class Pod:
    """A pod that the chart makes, or the template of one."""

    of: str
    """Kind and name of the object it stands in."""
    metadata: Object
    spec: Object

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.metadata["labels"])

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]

    @property
    def variables(self) -> dict[str, Object]:
        """The variables of its first container by name; one that stands there twice is an error."""
        entries = self.spec["containers"][0].get("env", [])
        assert len({entry["name"] for entry in entries}) == len(entries), f"{self.of} names a variable twice"
        return {entry["name"]: entry for entry in entries}


@dataclass(frozen=True)
class Chart:
    """All objects of one rendering."""

    objects: tuple[Object, ...]
    text: str
    """As Helm wrote them."""

    def of(self, kind: str) -> list[Object]:
        return [found for found in self.objects if found["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        [found] = [found for found in self.of(kind) if found["metadata"]["name"] == name]
        return found

    def workers(self) -> dict[str, Object]:
        """The Deployments of workers, by component."""
        return {
            found["metadata"]["labels"]["app.kubernetes.io/component"]: found
            for found in self.of("Deployment")
            if found["spec"]["template"]["spec"]["containers"][0]["name"] == "worker"
        }

    def worker(self, name: str) -> Pod:
        return _pod(self.workers()[name])

    def pods(self) -> Iterator[Pod]:
        for found in self.objects:
            if found["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod"):
                yield _pod(found)

    def settings(self) -> dict[str, str]:
        """What stands in the ConfigMap that all pods read."""
        [found] = [found for found in self.of("ConfigMap") if found["metadata"]["name"].endswith("-settings")]
        return dict(found["data"])


def named(found: Object) -> str:
    return f"{found['kind']} {found['metadata']['name']}"


def _pod(found: Object) -> Pod:
    template = found
    if found["kind"] == "CronJob":
        template = found["spec"]["jobTemplate"]
    if found["kind"] != "Pod":
        template = template["spec"]["template"]
    return Pod(named(found), template["metadata"], template["spec"])


class _StrictLoader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Refuses a key that stands twice in a mapping, as kustomize and kubeconform do."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key) for key, _ in node.value]
        assert len(set(keys)) == len(keys), f"a key stands twice among {keys}"
        return super().construct_mapping(node, deep)


def helm(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Run Helm with ``values`` as a file; what it says is in the answer, whatever becomes of it."""
    if not shutil.which("helm"):
        servers.missing("no helm on PATH: install Helm 3.14 or newer")
    given = json.dumps(values or {})
    command = ["helm", *arguments, *(() if values is None else ("--values", "-"))]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)


def render(
    values: Mapping[str, Any] | None = None, *arguments: str, release: str = "kayan", namespace: str = "live", folder: Path = CHART
) -> Chart:
    """The objects of a release. ``arguments`` go to Helm as they are (``--set`` …). Raises RefusedError with Helm's own words."""
    answer = _rendered(json.dumps(values or {}, sort_keys=True), arguments, release, namespace, folder)
    if isinstance(answer, str):
        raise RefusedError(answer)
    return answer


@functools.cache
def _rendered(values: str, arguments: tuple[str, ...], release: str, namespace: str, folder: Path) -> Chart | str:
    """The objects, or why there are none."""
    command = ("template", release, str(folder), "--namespace", namespace, "--kube-version", KUBERNETES, *arguments)
    done = helm(*command, values=json.loads(values))
    if done.returncode:
        return done.stderr
    return Chart(tuple(found for found in yaml.load_all(done.stdout, _StrictLoader) if found), done.stdout)
