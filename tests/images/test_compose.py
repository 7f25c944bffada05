"""``images/compose.yaml`` names what there is: the images that are built here, the app's tables, and settings that the workers know."""

from __future__ import annotations

from typing import Any

import pytest
import servers
import yaml
from boxes import QUEUES, VERSION
from kayan_workers.processors.table import ROLES
from kayan_workers.settings import Settings
from servers import PROJECT

COMPOSE = yaml.safe_load((PROJECT / "images/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


@pytest.mark.parametrize("family", QUEUES)
def test_a_family_runs_its_own_image_as_locked_down_as_in_the_cluster(family: str) -> None:
    service = SERVICES[family]

    assert service["image"] == f"kayanlive/workers-{family}:{VERSION}"
    assert service["build"] == {"context": "..", "dockerfile": f"images/{family}/Dockerfile"}
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
