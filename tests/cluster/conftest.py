"""A real cluster, the one that KUBECONFIG names, with this commit's images in it. Without one the tests are skipped, in CI they fail."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis_process
from boxes import VERSION
from chart.rendered import CHART
from cluster import timings
from cluster.jobs import Jobs
from cluster.kube import Namespace, run
from cluster.release import Release, only
from cluster.scaling import Stage
from redis_process import RedisProcess
from servers import PROJECT, missing, once_a_run

FAMILIES = ("media", "messaging", "analytics", "maintenance", "operator")
LOAD = "KAYAN_TEST_CLUSTER_LOAD"
STORES = ("redis:7", "postgres:17", "versity/versitygw:v1.8.0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def answering() -> None:
    """The cluster answers, with whatever images. That is enough where no pod is to run."""
    if shutil.which("kubectl") is None:
        missing("kubectl is not on PATH: install kubectl")
    if not os.environ.get("KUBECONFIG"):
        missing("KUBECONFIG names no cluster: `make test-cluster` makes one where kind is installed")
    answer = subprocess.run(["kubectl", "get", "nodes"], capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode:
        missing(f"the cluster of KUBECONFIG does not answer: {answer.stderr.strip()[-300:]}")


@pytest.fixture(scope="session")
def cluster(answering: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The cluster answers, and has the images: KAYAN_TEST_CLUSTER_LOAD is the command that brings local images into it."""
    for tool, remedy in (("helm", "install helm"), ("docker", "install Docker")):
        if shutil.which(tool) is None:
            missing(f"{tool} is not on PATH: {remedy}")
    if not os.environ.get(LOAD):
        missing(f"{LOAD} is not set: the command that brings local images into the cluster, `kind load docker-image`, say")
    once_a_run("cluster-images", tmp_path_factory, _bring_images)


def _bring_images() -> None:
    run("make", "--directory", str(PROJECT), "images", timeout=1500)
    images = _images(VERSION)
    for image in images:
        timings.note_size(image, int(run("docker", "image", "inspect", "--format", "{{.Size}}", image)))
    # the stores' images can be pulled where there is a network
    here = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}").split()
    stores = [image for image in STORES if image in here]
    run(*shlex.split(os.environ[LOAD]), *images, *stores, timeout=900)


@pytest.fixture(scope="session")
def next_chart(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart of the version after this one, whose images are in the cluster. But for its number it is this one."""
    number = f"{VERSION}-next"
    for image, following in zip(_images(VERSION), _images(number), strict=True):
        run("docker", "tag", image, following)
    run(*shlex.split(os.environ[LOAD]), *_images(number), timeout=900)
    chart = tmp_path_factory.mktemp("next") / CHART.name
    shutil.copytree(CHART, chart)
    described = chart / "Chart.yaml"
    described.write_text(described.read_text().replace(VERSION, number))
    return chart


@pytest.fixture
def new_release(cluster: None) -> Iterator[Callable[..., Release]]:
    """Makes releases, each in a namespace of its own that is deleted after the test; nothing is installed yet."""
    with ExitStack() as stack:
        yield lambda name="kayan-workers", **fields: Release(stack.enter_context(Namespace.made()), name, **fields)


@pytest.fixture(scope="module")
def stage(cluster: None) -> Iterator[Stage]:
    """A namespace in which scalers and their Deployments come and go."""
    with Stage.made() as stage:
        yield stage


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    """A Redis of this machine, for an operator that is a process of it too."""
    with redis_process.running() as server:
        yield server


@pytest.fixture(scope="module")
def jobs(server: RedisProcess) -> Jobs:
    return Jobs(server)


@pytest.fixture(scope="module")
def stores(cluster: None) -> Iterator[Release]:
    """A demo release whose Redis, PostgreSQL and S3 serve as somebody's real ones."""
    with Namespace.made() as namespace:
        yield Release(namespace).install(only("cleanup"), {"demo": {"seed": False}})


def _images(number: str) -> list[str]:
    return [f"kayanlive/workers-{family}:{number}" for family in FAMILIES]
