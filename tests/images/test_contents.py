"""What is in an image, and what is not."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import figures
import pytest
from boxes import DEVICE, FAMILIES, FILE, LINK, QUEUES, REGISTRY, VERSION, build, docker, file_system, require_docker, run, weighed
from servers import PROJECT

BASE = re.search("^ARG PYTHON_IMAGE=(.*)$", (PROJECT / "images/media/Dockerfile").read_text(), re.MULTILINE)[1]  # type: ignore[index]
PUBLIC_BASE_MB = 47
"""What the public base weighs, 43, and its standard modules when compiled. The base at hand may be another one that goes by its name."""
MOST_MB = {"media": 220} | dict.fromkeys(("messaging", "analytics", "maintenance", "operator"), 80)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_knows_its_version_and_says_whose_it_is(family: str, image: Callable[[str], str]) -> None:
    config = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", image(family)))
    labels = {name.rpartition(".")[2]: text for name, text in config["Labels"].items() if name.startswith("org.opencontainers.image.")}
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip()

    assert run(image(family), "--version", entrypoint="kayan") == f"kayan {VERSION}\n"
    assert (labels["title"], labels["version"], labels["revision"]) == (f"Kayan Live workers: {family}", VERSION, revision)
    assert labels["description"]
    ports = ["6443/tcp", "8080/tcp"] if family == "operator" else ["8080/tcp"]
    assert (config["User"], config["StopSignal"], sorted(config["ExposedPorts"])) == ("10001:10001", "SIGTERM", ports)
    assert config["Entrypoint"] == (["kayan-operator"] if family == "operator" else ["kayan"])


@pytest.mark.parametrize("family", FAMILIES)
def test_its_user_owns_nothing_and_may_write_to_nothing_but_temporary_folders(family: str, image: Callable[[str], str]) -> None:
    files = file_system(image(family))

    writable = {path for path, file in files.items() if file.mode & 0o002 and file.kind not in (LINK, DEVICE)}
    assert writable <= {"tmp", "var/tmp", "run/lock", "dev/shm"}
    assert {file.owner for path, file in files.items() if path.startswith("venv")} == {(0, 0)}
    assert all(10001 not in file.owner for file in files.values())


@pytest.mark.parametrize("family", FAMILIES)
def test_there_is_no_compiler_no_pip_and_nothing_of_the_build(family: str, image: Callable[[str], str]) -> None:
    files = file_system(image(family))

    assert not [path for path in files if re.search(r"bin/([a-z0-9_-]*-)?(gcc|cc|g\+\+|clang|as|make|pip|hatch|uv)[0-9.-]*$", path)]
    assert not [path for path in files if re.search(r"/(pip|ensurepip|setuptools|hatchling)/", path)]
    assert not [path for path in files if path.startswith(("src/", "tools/", "wheels/", "pins/", "project/", "root/.cache/"))]
    assert not [path for path in files if re.search(r"^venv/.*(/tests?/|\.whl$|direct_url\.json$)", path)]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_module_of_the_venv_and_what_a_start_imports_is_compiled(family: str, image: Callable[[str], str]) -> None:
    files = file_system(image(family))
    modules = [Path(path) for path in files if path.startswith("venv/lib/") and path.endswith(".py")]
    compiled = run(image(family), "-", entrypoint="python", stdin="""
import asyncio, importlib.util, logging, pathlib, typing
print(all(pathlib.Path(importlib.util.cache_from_source(module.__file__)).is_file() for module in (asyncio, logging, typing)))
""")  # fmt: skip

    assert compiled == "True\n"
    assert len(modules) > 500
    assert [str(path) for path in modules if str(path.parent / f"__pycache__/{path.stem}.cpython-313.pyc") not in files] == []


def test_a_family_carries_what_its_own_queues_need_and_nothing_of_the_others(image: Callable[[str], str]) -> None:
    heavy = {"PIL", "numpy", "pyvips", "imageio_ffmpeg", "boto3", "jinja2", "psycopg", "kopf", "kubernetes"}

    def of(family: str) -> set[str]:
        return heavy & {path.split("/")[4] for path in file_system(image(family)) if re.match("venv/lib/[^/]+/site-packages/.", path)}

    assert {family: of(family) for family in FAMILIES} == {
        "media": {"PIL", "numpy", "pyvips", "imageio_ffmpeg", "boto3", "psycopg"},
        "messaging": {"boto3", "jinja2", "psycopg"},
        "analytics": {"psycopg"},
        "maintenance": {"boto3", "psycopg"},
        "operator": {"kopf", "kubernetes"},
    }


@pytest.mark.parametrize("family", ["media", "messaging", "maintenance"])
def test_credentials_come_from_every_place_that_a_cluster_has_for_them(family: str, image: Callable[[str], str]) -> None:
    services = ("s3", "ses", "sesv2", "sts", "sso", "sso-oidc", "signin")
    script = Path(__file__).parent.joinpath("credentials.py").read_text()

    said = run(image(family), "-", *services, entrypoint="python", stdin=script).splitlines()

    assert said[:3] == ["of the service account", "of the pod", "of the machine"]
    assert [("eu-central-1" in url or service in url) for service, url in zip(services, said[3:], strict=True)] == [True] * len(services)


def test_the_media_image_brings_the_letters_in_which_pages_are_set(image: Callable[[str], str]) -> None:
    assert "usr/share/fonts/truetype/dejavu/DejaVuSans.ttf" in file_system(image("media"))


def test_the_fonts_come_with_the_debian_before_as_well() -> None:
    require_docker()
    dockerfile, argument = str(PROJECT / "images/media/Dockerfile"), "PYTHON_IMAGE=python:3.11-slim-bookworm"
    tag = f"{REGISTRY}fonts-of-debian-12"
    docker("build", "--file", dockerfile, "--target", "fonts", "--build-arg", argument, "--tag", tag, str(PROJECT), timeout=600)

    files = file_system(tag)
    assert {f"usr/share/fonts/truetype/dejavu/DejaVuSans{style}.ttf" for style in ("", "-Bold", "Mono", "Mono-Bold")} <= files.keys()


def test_the_operators_image_runs_the_operator_which_says_what_it_misses(image: Callable[[str], str]) -> None:
    with pytest.raises(AssertionError, match="KAYAN_OPERATOR_NAMESPACE"):
        run(image("operator"))
    assert "Usage: kayan-operator" in run(image("operator"), "--help")


def test_the_operators_user_has_a_name_whoever_the_platform_makes_it(image: Callable[[str], str]) -> None:
    """kopf does not begin without one."""
    script = "from kopf._core.engines.peering import detect_own_id; print(detect_own_id(manual=False))"

    assert run(image("operator"), "-", entrypoint="python", stdin=script).startswith("kayan@")


def test_what_is_left_of_kubernetes_client_is_all_that_the_operator_needs_of_it(image: Callable[[str], str]) -> None:
    script = Path(__file__).parent.joinpath("operators_imports.py").read_text()

    modules, names, outside, answer, refusal = run(image("operator"), "-", entrypoint="python", stdin=script).splitlines()

    assert int(modules.removeprefix("modules ")) > 30
    assert names == "kopf kopf ApiException Configuration kubernetes.aio.config"
    assert "Service host/port is not set" in outside
    assert json.loads(answer) == {
        "method": "PATCH", "type": "application/merge-patch+json", "body": {"metadata": {"annotations": None}}, "token": "Bearer secret",
    }  # fmt: skip
    assert "there is no such pod" in refusal
    left = [path for path in file_system(image("operator")) if re.search(r"kubernetes/(aio/)?client/(models|api)/[a-z].*\.py$", path)]
    assert {Path(path).stem for path in left} == {"v1_object_meta", "v1_owner_reference", "v1_managed_fields_entry"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.timeout(900)
def test_two_builds_of_one_commit_have_the_same_files(family: str, image: Callable[[str], str]) -> None:
    again = build(family, "DOCKER_BUILD=docker build --no-cache", registry=f"{REGISTRY}again/")

    one, other = file_system(image(family)), file_system(again)

    assert {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)} == set()


@pytest.mark.timeout(600)
def test_the_images_are_as_small_as_promised(image: Callable[[str], str]) -> None:
    """At the end of the run the table of ``images/README.md`` is printed."""
    sizes = dict(zip(FAMILIES, weighed([image(family) for family in FAMILIES], BASE), strict=True))
    lines = [f"| {family} | {PUBLIC_BASE_MB + each.own / 1e6:.0f} MB | {each.own / 1e6:.0f} MB | {_filled(each.holds.most_common(6))} |"
             for family, each in sizes.items()]  # fmt: skip
    head = "| family | with the public base | own layers | what fills them, unpacked, in MB |"
    for line in (head, "|---|---|---|---|", *lines, f"The base at hand, {BASE}, weighs {sizes['media'].base / 1e6:.0f} MB."):
        figures.note("what the images weigh", line)

    assert {family: each.own / 1e6 for family, each in sizes.items() if PUBLIC_BASE_MB + each.own / 1e6 > MOST_MB[family]} == {}


def _filled(packages: list[tuple[str, int]]) -> str:
    return ", ".join(f"{package} {count / 1e6:.0f}" for package, count in packages)


def test_a_build_is_sent_the_packages_and_their_pins_and_nothing_else(image: Callable[[str], str]) -> None:
    image(QUEUES[0])  # Docker is there
    name = f"{REGISTRY}context"
    docker("build", "--tag", name, "--file", "-", str(PROJECT), stdin="FROM scratch\nCOPY . /sent\n")

    sent = {path.removeprefix("sent/") for path, file in file_system(name).items() if path.startswith("sent/") and file.kind == FILE}
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]

    assert sent <= set(subprocess.run(listing, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split())
    assert {path.split("/")[0] for path in sent} == {"README.md", "pyproject.toml", "images", "workers", "operator"}
