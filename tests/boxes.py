"""The images as an operator meets them: built by ``make images``, run as locked down as in the cluster, looked at from outside."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import IO, Any

import servers
from kayan import WorkerProcess, worker
from servers import PROJECT

FAMILIES = ("media", "messaging", "analytics", "maintenance", "operator")
QUEUES = FAMILIES[:-1]
"""The families that have queues."""
VERSION = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
REGISTRY = "kayan-test/"
"""So that a test run builds over nobody's own images."""

LOCKED_DOWN = ("--read-only", "--cap-drop", "ALL", "--user", "10001", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")


def require_docker() -> None:
    """Skips, or in CI fails, where nothing can be built."""
    if shutil.which("docker") is None:
        servers.missing("no docker on PATH: install Docker with BuildKit")
    answer = _ended("docker", "version")
    if answer.returncode:
        servers.missing(f"Docker does not answer: {answer.stderr.strip()}")
    # an older Docker builds with BuildKit by itself, a newer one needs its plug-in and says so even when asked for help
    if _ended("docker", "build", "--help", variables={"DOCKER_BUILDKIT": "1"}).returncode:
        servers.missing("Docker is without BuildKit: install docker-buildx-plugin, or its binary as ~/.docker/cli-plugins/docker-buildx")


def require_compose() -> None:
    """Skips, or in CI fails, where there is no ``docker compose``."""
    require_docker()
    if _ended("docker", "compose", "version").returncode:
        servers.missing("no docker compose: install docker-compose-plugin, or its binary as ~/.docker/cli-plugins/docker-compose")


def build(family: str, *more: str, registry: str = REGISTRY) -> str:
    """``make images`` for one family; returns the image's name. ``more`` are variables of make."""
    made = _ended("make", "images", f"FAMILIES={family}", f"IMAGES_REGISTRY={registry}", *more, timeout=1800)
    assert made.returncode == 0, f"make images FAMILIES={family}: {made.stdout[-2000:]}{made.stderr[-4000:]}"
    return f"{registry}kayanlive/workers-{family}:{VERSION}"


def docker(*arguments: str, stdin: str | None = None, timeout: float = 120, variables: Mapping[str, str] | None = None) -> str:
    """What ``docker`` says, with ``variables`` in its environment. An error of its own, or of what it runs, is an AssertionError."""
    done = _ended("docker", *arguments, stdin=stdin, timeout=timeout, variables=variables)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout


def run(image: str, *arguments: str, entrypoint: str = "", options: Sequence[str] = (), stdin: str | None = None) -> str:
    """Run a command in a locked-down container; returns what it printed."""
    return docker(*_run(image, arguments, entrypoint, options), stdin=stdin)


def run_to_its_end(image: str, *arguments: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command in a locked-down container, however it ends."""
    return _ended("docker", *_run(image, arguments, "", options))


def _run(image: str, arguments: Sequence[str], entrypoint: str, options: Sequence[str]) -> list[str]:
    entry = ("--entrypoint", entrypoint) if entrypoint else ()
    return ["run", "--rm", "--interactive", *LOCKED_DOWN, *entry, *options, image, *arguments]


def _ended(
    *command: str, stdin: str | None = None, timeout: float = 120, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | (variables or {})
    return subprocess.run(
        command, cwd=PROJECT, env=environment, input=stdin or "", capture_output=True, text=True, timeout=timeout, check=False
    )


@dataclass(frozen=True)
class Surroundings:
    """The network in which a worker finds its servers, and the environment that names them."""

    network: str
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def options(self) -> list[str]:
        return ["--network", self.network, *(f"--env={name}={value}" for name, value in self.variables.items())]


@contextlib.contextmanager
def at_work(image: str, surroundings: Surroundings, *arguments: str) -> Iterator[tuple[WorkerProcess, str]]:
    """The image's worker, and the name of its container; its lines are events. ``arguments`` replace the image's own."""
    name = f"kayan-test-{secrets.token_hex(4)}"
    command = ["docker", "run", "--rm", "--name", name, *LOCKED_DOWN, *surroundings.options, image, *arguments]
    try:
        with worker(variables={}, command=command) as running:
            yield running, name
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


# -- what is in an image ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _output(*command: str) -> Iterator[IO[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield process.stdout
        process.stdout.read()


FILE, LINK, DEVICE = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE


@dataclass(frozen=True)
class File:
    """One entry of an image's file system, without its times."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    content: str
    """A hash, or where a link leads."""


@cache
def file_system(image: str) -> dict[str, File]:
    """Everything in the image, by path, as a container of it would see it."""
    box = docker("create", image, "nothing").strip()
    try:
        with _output("docker", "export", box) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            return {entry.name: _file(archive, entry) for entry in archive}
    finally:
        docker("rm", box)


def _file(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> File:
    held = archive.extractfile(entry) if entry.isreg() else None
    content = hashlib.file_digest(held, "sha256").hexdigest() if held else entry.linkname  # type: ignore[arg-type]
    return File(entry.type, entry.mode, (entry.uid, entry.gid), content)


@dataclass(frozen=True)
class Size:
    """What one image weighs, in bytes: ``base`` and ``own`` as they are pulled, with each layer packed; ``holds`` unpacked, by package."""

    base: int
    own: int
    holds: Counter[str]


def weighed(images: Sequence[str], base: str) -> list[Size]:
    """The sizes of ``images``, which stand on ``base``."""
    below = len(_layers(base))
    assert all(_layers(image)[:below] == _layers(base) for image in images)
    with tempfile.TemporaryFile() as saved:
        subprocess.run(["docker", "save", *images], stdout=saved, check=True, timeout=600)
        saved.seek(0)
        with tarfile.open(fileobj=saved) as archive:
            by_name = {tag: image["Layers"] for image in json.load(_held(archive, "manifest.json")) for tag in image["RepoTags"]}
            packed = {name: _packed(_held(archive, name)) for name in {name for names in by_name.values() for name in names}}
            return [
                Size(
                    sum(packed[name] for name in by_name[image][:below]),
                    sum(packed[name] for name in by_name[image][below:]),
                    sum((_holds(_held(archive, name)) for name in by_name[image][below:]), Counter[str]()),
                )
                for image in images
            ]


def _held(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    found = archive.extractfile(name)
    assert found
    return found


def _packed(layer: IO[bytes]) -> int:
    packing = zlib.compressobj(6)
    return sum(len(packing.compress(chunk)) for chunk in iter(lambda: layer.read(1 << 20), b"")) + len(packing.flush())


def _holds(layer: IO[bytes]) -> Counter[str]:
    holds = Counter[str]()
    with tarfile.open(fileobj=layer) as entries:
        for entry in entries:
            holds[_package(entry.name)] += entry.size
    return holds


def _layers(image: str) -> list[Any]:
    found: list[Any] = json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image))
    return found


def _package(path: str) -> str:
    parts = path.split("/")
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".libs").partition("-")[0] if parts[-1] != "site-packages" else "other"
    return "standard library, compiled" if "__pycache__" in parts else "fonts" if "fonts" in parts else "other"
