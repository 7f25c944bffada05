"""``skaffold run`` and ``skaffold dev``, with the real skaffold. KAYAN_TEST_REGISTRY is a registry that we and the nodes reach."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from boxes import VERSION
from cluster import registration, timings
from cluster.kube import CommandError, Namespace, ready, restarts, run, until
from cluster.release import WORKERS, Release
from cluster.scaling import install_definitions
from cluster.stores import real, secret
from servers import PROJECT, missing

PRODUCTION = ("--profile", "prod")
OURS = "app.kubernetes.io/name=kayan-workers"


@pytest.fixture(scope="module")
def registry(cluster: None) -> str:
    if shutil.which("skaffold") is None:
        missing("skaffold is not on PATH")
    named = os.environ.get("KAYAN_TEST_REGISTRY")
    if not named:
        missing("KAYAN_TEST_REGISTRY names no registry that images can be pushed to, localhost:5000, say")
    return named


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what is under version control, to be changed at will."""
    copy = tmp_path / "project"
    for name in run("git", "-C", str(PROJECT), "ls-files", ":!tests").splitlines():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, target)
    return copy


def test_skaffold_run_builds_pushes_installs_and_tests(registry: str, project: Path) -> None:
    with Namespace.made() as namespace, registration.taken(ours=OURS):
        install_definitions()
        began = time.monotonic()
        common = ("--default-repo", registry, "--namespace", namespace.name, "--profile", "ci")
        said = run("skaffold", "run", *common, folder=project, timeout=900)
        timings.note("skaffold run, images built before", time.monotonic() - began)
        assert "Phase:          Succeeded" in said, "the profile ci runs helm test"
        images = {container["image"] for pod in namespace.get("pods") if "demo" not in pod["metadata"]["name"]
                  for container in pod["spec"]["containers"]}
        assert any("operator" in image for image in images)
        assert all(image.startswith(f"{registry}/") for image in images), images
        run("skaffold", "delete", *common, folder=project, timeout=200)
        until(lambda: not namespace.get("deployments"), 60, what="everything is gone")


@pytest.fixture
def commit(project: Path) -> str:
    """Of the copy; how git calls it in short."""
    ada = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    for command in (("init", "--quiet"), ("add", "--all"), (*ada, "commit", "--quiet", "--message", "All of it")):
        run("git", "-C", str(project), *command)
    return run("git", "-C", str(project), "describe", "--always").strip()


def labels(image: str) -> tuple[str, str]:
    """The version and revision that an image knows of itself."""
    found = json.loads(run("docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image))
    return found["org.opencontainers.image.version"], found["org.opencontainers.image.revision"]


def test_skaffold_run_for_production_works_on_the_stores_that_a_file_of_values_names_with_images_of_the_commit(
    registry: str, project: Path, commit: str, stores: Release, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(json.dumps(real(stores)))
    with Namespace.made() as namespace, registration.taken(ours=OURS):
        install_definitions()
        namespace.apply(secret(stores))
        common = (*PRODUCTION, "--default-repo", registry, "--namespace", namespace.name)
        began = time.monotonic()
        run("skaffold", "run", *common, folder=project, timeout=900, KAYAN_VALUES=str(values))
        timings.note("skaffold run --profile prod, images built before", time.monotonic() - began)
        release = Release(namespace)
        pods = [pod for component in (*WORKERS, "operator") for pod in namespace.pods(component)]
        assert len(pods) >= len(WORKERS) + 2
        assert all(map(ready, pods))
        assert [pod["metadata"]["name"] for pod in namespace.get("pods") if "demo" in pod["metadata"]["name"]] == []
        for image in {container["image"] for pod in pods for container in pod["spec"]["containers"]}:
            named = image.partition("@sha256:")[0]
            assert (named.startswith(f"{registry}/kayanlive_workers-"), named.rpartition(":")[2]) == (True, commit), image
            assert labels(named) == (VERSION, commit)
        with stores.redis() as redis:
            assert list(redis.scan_iter("bull:*:demo-*")) == [], "sample jobs"
        assert release.kayan("cleanup", "ping").count("\n") >= len(WORKERS)
        run("skaffold", "delete", *common, folder=project, timeout=200, KAYAN_VALUES=str(values))
        until(lambda: not namespace.get("deployments"), 60, what="everything is gone")


def test_images_for_production_say_when_they_are_not_of_a_commit(registry: str, project: Path, commit: str) -> None:
    (project / "README.md").write_text("Changed.")
    built = json.loads(run("skaffold", "build", *PRODUCTION, "--dry-run", "--quiet", folder=project))["builds"]

    assert {image["tag"].rpartition(":")[2] for image in built} == {f"{commit}-dirty"}


def test_production_without_values_is_refused_with_what_to_set(registry: str, project: Path) -> None:
    with pytest.raises(CommandError, match="KAYAN_VALUES is not set: the file of values that names your Redis, database and bucket"):
        run("skaffold", "render", *PRODUCTION, "--digest-source", "none", folder=project, KAYAN_VALUES="")


@pytest.fixture
def dev(registry: str, project: Path) -> Iterator[tuple[Release, Path]]:
    """``skaffold dev`` at work, and the file in which it says what."""
    log = project.parent / "skaffold.log"
    with Namespace.made() as namespace, log.open("wb") as stream:
        process = subprocess.Popen(
            ["skaffold", "dev", "--default-repo", registry, "--namespace", namespace.name],
            cwd=project, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield Release(namespace), log
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(180)
            except subprocess.TimeoutExpired:
                process.kill()


def test_skaffold_dev_follows_the_workers_and_carries_a_changed_source_into_running_pods(dev: tuple[Release, Path], project: Path) -> None:
    release, log = dev
    until(lambda: "Watching for changes" in log.read_text(), 600, what="skaffold dev is up", trouble=log.read_text)
    until(lambda: "completed in" in log.read_text(), 120, what="lines of jobs are followed, as text", trouble=log.read_text)
    before = {pod["metadata"]["name"] for pod in release.namespace.pods("analytics")}
    source = project / "workers/kayan_workers/logs.py"
    source.write_text(source.read_text().replace("worker started: ", "worker started anew: "))
    began = time.monotonic()
    until(lambda: "worker started anew: " in log.read_text(), 120, what="the change is at work", trouble=lambda: log.read_text()[-4000:])
    timings.note("source saved → worker runs with it", time.monotonic() - began)
    pods = release.namespace.pods("analytics")
    assert {pod["metadata"]["name"] for pod in pods} == before
    assert sum(map(restarts, pods)) == 0
