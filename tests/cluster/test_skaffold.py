"""``skaffold run`` and ``skaffold dev``, with the real skaffold. KAYAN_TEST_REGISTRY is a registry that we and the nodes reach."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import timings
from cluster.kube import Namespace, restarts, run, until
from cluster.release import Release
from servers import PROJECT, missing


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
    with Namespace.made() as namespace:
        began = time.monotonic()
        file = str(project / "skaffold.yaml")
        common = ("--default-repo", registry, "--namespace", namespace.name, "--filename", file, "--profile", "ci")
        said = run("skaffold", "run", *common, timeout=900)
        timings.note("skaffold run, images built before", time.monotonic() - began)
        assert "Phase:          Succeeded" in said, "the profile ci runs helm test"
        images = {container["image"] for pod in namespace.pods("thumbnail") for container in pod["spec"]["containers"]}
        assert all(image.startswith(f"{registry}/") for image in images), images
        run("skaffold", "delete", *common, timeout=200)
        until(lambda: not namespace.get("deployments"), 60, what="everything is gone")


@pytest.fixture
def dev(registry: str, project: Path) -> Iterator[tuple[Release, Path]]:
    """``skaffold dev`` at work, and the file in which it says what."""
    log = project.parent / "skaffold.log"
    with Namespace.made() as namespace, log.open("wb") as stream:
        process = subprocess.Popen(
            ["skaffold", "dev", "--default-repo", registry, "--namespace", namespace.name, "--filename", "skaffold.yaml"],
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
