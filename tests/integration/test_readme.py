"""The README keeps its word: its example runs as printed, and its tables name what there is."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from app import App, owner_of
from kayan import kayan, worker
from kayan_workers.cli import added
from kayan_workers.cli.app import app as command_line
from kayan_workers.metrics import STATES, Metrics
from kayan_workers.processors.table import ROLES
from kayan_workers.settings import Settings
from servers import PROJECT

README = (PROJECT / "README.md").read_text()
ROOMS = [path for room in ("workers", "operator", "images", "charts", "tests") for path in (PROJECT / room).rglob("README.md")
         if "node_modules" not in path.parts]


def block(starting_with: str) -> str:
    """The code block whose first line is the comment ``# starting_with``, without that line."""
    [found] = re.findall(rf"```python\n# {re.escape(starting_with)}\n(.*?)```", README, flags=re.DOTALL)
    return str(found)


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table below ``heading``, without its head."""
    section = README.split(f"\n{heading}\n", 1)[1]
    lines = re.search(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)
    assert lines
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[0].splitlines()[2:]]


@pytest.fixture
def project_with_the_example(tmp_path: Path) -> Path:
    """A copy of the package to which somebody has done what the README says."""
    package = tmp_path / "kayan_workers"
    shutil.copytree(PROJECT / "workers/kayan_workers", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "processors/checksum.py").write_text(block("workers/kayan_workers/processors/checksum.py"))
    table = package / "processors/table.py"
    before, separator, after = table.read_text().partition("ROLES: tuple[Role, ...] = (\n")
    assert separator
    table.write_text(before + separator + block("workers/kayan_workers/processors/table.py") + after)
    return tmp_path


def test_the_queue_that_the_readme_adds_in_three_steps_works(
    project_with_the_example: Path, redis_url: str, database_url: str, tmp_path: Path
) -> None:
    objects = tmp_path / "objects"
    (objects / "assets").mkdir(parents=True)
    (objects / "assets/stand.png").write_bytes(b"the bytes of a picture")
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        asset_id = App(connection).asset(fileKey="assets/stand.png")
    variables = {
        "PYTHONPATH": str(project_with_the_example), "REDIS_URL": redis_url, "DATABASE_URL": database_url,
        "KAYAN_STORAGE": f"folder:{objects}",
    }

    key = "assets/stand.png"
    for payload in ({"assetId": asset_id, "fileKey": key}, {"assetId": "nobody", "fileKey": key}, {"assetId": 7, "fileKey": key}):
        added = kayan("add", "checksum", "--unchecked", json.dumps(payload), variables=variables)
        assert added.returncode == 0, added.stderr
    with worker("checksum", variables=variables) as running:
        running.wait_for("job.completed", queue="checksum-generation")
        running.wait_for("job.failed", count=2, queue="checksum-generation", permanent=True)
        assert 'kayan_jobs_completed_total{queue="checksum-generation"} 1.0' in running.get("/metrics")[1]

    unknown, malformed = sorted(event["error"] for event in running.events("job.failed"))
    assert unknown == "checksum of asset nobody: there is no such asset"
    assert "$.assetId" in malformed
    with psycopg.connect(owner_of(database_url)) as connection:
        [(checksum,)] = connection.execute("SELECT checksum FROM assets WHERE id = %s", (asset_id,)).fetchall()
    assert checksum == hashlib.md5(b"the bytes of a picture").hexdigest()


def test_the_example_of_the_library_runs_as_printed(redis_url: str) -> None:
    page = (PROJECT / "workers/kayan_workers/bull/README.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert "redis://localhost:6379/0" in program

    command = [sys.executable, "-c", program.replace("redis://localhost:6379/0", redis_url)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "hello Mona\n"), done.stderr


class Recording(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_the_configuration_table_names_every_variable_that_is_read_and_no_other() -> None:
    environment = Recording()
    Settings.from_environment(environment)
    read = {re.sub(r"^(CONCURRENCY|JOB_TIMEOUT_SECONDS|RATE_LIMIT)_[A-Z]+$", r"\1_<ROLE>", name) for name in environment.asked}

    documented = {name for row in rows("## Configuration") for name in re.findall(r"`([A-Z][A-Z0-9_]+(?:<ROLE>)?)`", row[0])}

    assert documented == read


def test_the_table_of_roles_is_the_fleets_own() -> None:
    for row, role in zip(rows("## What this is"), ROLES, strict=True):
        assert row[:3] == [f"`{role.name}`", f"`{role.queue}`", role.family]
        assert row[3].startswith(str(role.concurrency))
        assert (f"batches of up to {role.batch}" in row[3]) == (role.batch > 1)


def test_the_table_of_commands_names_every_command() -> None:
    cells = " ".join(row[0] for row in rows("### Commands"))
    named = set(re.findall(r"`(?:kayan )?([a-z]+)", cells))

    there = {command.name or command.callback.__name__ for command in command_line.registered_commands if command.callback}
    assert named == there | {group.name for group in command_line.registered_groups} | set(added.names())


@pytest.mark.parametrize("page", [PROJECT / "README.md", *ROOMS], ids=lambda page: str(page.relative_to(PROJECT)))
def test_what_a_readme_points_to_is_there(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()) if "://" not in link]
    files = re.findall(r"`((?:workers|operator|tests|images|charts)/[\w./-]+)`", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []
    assert [file for file in files if not (PROJECT / file).exists()] == []


def test_every_metric_that_the_readme_names_is_there() -> None:
    metrics = Metrics()
    metrics.of("email", slots=1)
    metrics.set_depth("email", dict.fromkeys((*STATES, "is_paused"), 0))
    there = metrics.exposition().decode()
    named = set(re.findall(r"\bkayan_(?:jobs?|queue|redis|worker)_\w+", README))

    assert len(named) > 15
    assert [name for name in sorted(named) if name not in there] == []
