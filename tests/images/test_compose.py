"""``images/compose.yaml`` names what there is: the images that are built here, the app's tables, and settings that the workers know.
And ``docker compose`` makes of it a fleet that works, stops and goes."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boxes
import psycopg
import pytest
import servers
import yaml
from boxes import QUEUES, VERSION
from kayan_workers.processors.table import ROLES
from kayan_workers.settings import Settings
from redis_process import free_port
from servers import PROJECT

FILE = PROJECT / "images/compose.yaml"
COMPOSE = yaml.safe_load(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", FILE.read_text()))
"""As it is where nobody sets a variable."""
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("family", QUEUES)
def test_a_family_runs_its_own_image_as_locked_down_as_in_the_cluster(family: str) -> None:
    service = SERVICES[family]

    assert service["image"] == f"kayanlive/workers-{family}:{VERSION}"
    assert service["build"] == {"context": "..", "dockerfile": f"images/{family}/Dockerfile", "args": {"VERSION": VERSION}}
    assert (service["user"], service["read_only"], service["tmpfs"], service["cap_drop"]) == ("10001:10001", True, ["/tmp"], ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "command" not in service


@pytest.mark.parametrize("family", QUEUES)
def test_its_environment_is_complete_and_names_nothing_unknown(family: str) -> None:
    settings, problems = Settings.as_far_as_readable(SERVICES[family]["environment"], [role for role in ROLES if role.family == family])

    assert problems == []
    assert settings.warnings == ()


def test_it_stops_a_worker_no_sooner_than_the_worker_stops_itself() -> None:
    assert {SERVICES[family]["stop_grace_period"] for family in QUEUES} == {f"{Settings().grace_seconds + 5:.0f}s"}


def test_servers_are_those_of_the_tests_and_the_database_has_the_apps_tables() -> None:
    images = [SERVICES[name]["image"] for name in ("redis", "postgres", "s3")]
    assert images == [servers.REDIS_IMAGE, servers.POSTGRES_IMAGE, servers.S3_IMAGE]
    tables = SERVICES["postgres"]["volumes"][1].split(":")
    assert (PROJECT / "images" / tables[0]).is_file()
    assert tables[1].startswith("/docker-entrypoint-initdb.d/")


def test_every_volume_is_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}

    assert {name for name in used if not name.startswith(".")} == set(COMPOSE["volumes"])


# -- docker compose up -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Project:
    """``docker compose`` for a project of this test's own."""

    name: str
    variables: Mapping[str, str]

    def __call__(self, *arguments: str, timeout: float = 120) -> str:
        project = ("compose", "--file", str(FILE), "--project-name", self.name)
        return boxes.docker(*project, *arguments, variables=self.variables, timeout=timeout)

    def up(self) -> None:
        self("up", "--build", "--detach", "--wait", timeout=1800)

    def containers(self) -> dict[str, dict[str, Any]]:
        """By service, also those that have ended."""
        return {box["Service"]: box for box in map(json.loads, self("ps", "--all", "--format", "json").splitlines())}

    def version_of(self, service: str) -> Any:
        """What its image says of itself."""
        labels = boxes.docker("image", "inspect", "--format", "{{json .Config.Labels}}", self.containers()[service]["Image"])
        return json.loads(labels)["org.opencontainers.image.version"]

    def events(self, name: str) -> list[dict[str, Any]]:
        """Of all workers."""
        lines = self("logs", "--no-log-prefix", "--no-color", *QUEUES).splitlines()
        return [event for line in lines if line.startswith("{") and (event := json.loads(line))["event"] == name]

    def left(self) -> list[str]:
        """The containers, volumes and networks that there are."""
        mine = ("--quiet", "--filter", f"label=com.docker.compose.project={self.name}")
        return [found for kind in (("ps", "--all"), ("volume", "ls"), ("network", "ls")) for found in boxes.docker(*kind, *mine).split()]


@pytest.fixture
def project() -> Iterator[Project]:
    """Up, on ports of its own, with images that are nobody's."""
    boxes.require_compose()
    ports = {name: str(free_port()) for name in ("KAYAN_REDIS_PORT", "KAYAN_POSTGRES_PORT", "KAYAN_S3_PORT")}
    project = Project(f"kayan-test-{secrets.token_hex(4)}", ports | {"IMAGES_REGISTRY": f"{boxes.REGISTRY}compose/"})
    try:
        project.up()
        yield project
    finally:
        project("down", "--volumes", "--timeout", "1")


@pytest.mark.timeout(600)
def test_a_fleet_that_is_stopped_at_work_ends_in_order_does_the_rest_when_up_again_and_leaves_nothing_behind(
    project: Project, tmp_path: Path
) -> None:
    assert {project.version_of(family) for family in QUEUES} == {VERSION}
    project("run", "--rm", "media", "demo", "seed")
    project("stop")
    ended = {service: (box["State"], box["ExitCode"]) for service, box in project.containers().items()}
    assert {service: ended[service] for service in (*QUEUES, "prepare")} == dict.fromkeys((*QUEUES, "prepare"), ("exited", 0))
    assert sum(event["running"] for event in project.events("worker.draining")) > 0
    assert [event["exit_code"] for event in project.events("worker.stopped")] == [0] * len(QUEUES)

    project.up()
    assert "Everything is as it should be" in project("run", "--rm", "media", "demo", "verify", timeout=400)
    assert project.events("job.stalled") == []
    project("cp", "messaging:/outbox", str(tmp_path / "mails"))
    with psycopg.connect(f"postgresql://kayan:kayan@127.0.0.1:{project.variables['KAYAN_POSTGRES_PORT']}/kayanlive") as database:
        recorded = database.execute("SELECT count(*) FROM kayan_workers.mails").fetchone()
    assert recorded == (len(list((tmp_path / "mails").glob("*.eml"))),)
    assert "queued" in project("run", "--rm", "maintenance", "cleanup", "temp-files")
    assert all(queue.queue in project("run", "--rm", "messaging", "queues") for queue in ROLES)

    project("down", "--volumes")
    assert project.left() == []
