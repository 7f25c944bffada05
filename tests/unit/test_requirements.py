"""The pinned dependencies: one file a family, all of one mind."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from kayan_workers.processors.table import ROLES
from servers import PROJECT

FOLDER = PROJECT / "workers/requirements"
EXTRAS = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
FAMILIES = sorted({role.family for role in ROLES} | {"operator"})


def pins(name: str) -> dict[str, str]:
    """Package to ``==version`` and marker, of one file."""
    lines = re.findall(r"^([a-z0-9-]+)(==[^\\\n]+)", (FOLDER / f"{name}.txt").read_text(), flags=re.MULTILINE)
    return {package: pin.strip().split(" ;")[0] for package, pin in lines}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_installs_the_versions_that_were_tested_and_all_that_its_extra_names(family: str) -> None:
    tested, own = pins("development"), pins(family)

    assert own.items() <= tested.items()
    assert {re.split(r"[\[<>=;]", wanted)[0] for wanted in EXTRAS[family]} <= own.keys()


def test_images_are_built_with_the_tools_that_were_tested_and_little_else() -> None:
    tools = pins("build")

    assert tools.items() <= pins("development").items()
    assert {"hatchling", "setuptools"} <= tools.keys()
    assert not tools.keys() & pins("analytics").keys()


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.txt")), ids=lambda file: file.stem)
def test_every_pin_has_a_hash_and_no_address(file: Path) -> None:
    text = file.read_text()

    assert len(re.findall(r"^[a-z0-9-]+==", text, flags=re.MULTILINE)) == len(re.findall(r"==[^\n]*\\\n +--hash=sha256:", text)) > 5
    assert "://" not in text
