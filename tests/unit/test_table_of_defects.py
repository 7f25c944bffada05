"""The table of what the Node workers got wrong has a row for each defect, and every test it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
HEADING = "## What the Node workers got wrong"
PAGE = (TESTS.parent / "workers/README.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \| ?(.*?) ?\|$", PAGE.split(f"{HEADING}\n", 1)[1], flags=re.MULTILINE)
NO_TEST = ("the web app's own", "not taken over")
"""How a row begins that says why there is nothing to test here."""


def test_every_defect_of_the_list_has_its_row() -> None:
    assert [int(number) for number, *_ in ROWS] == list(range(1, 67))


@pytest.mark.parametrize(("what_we_do", "tests"), [pytest.param(row[2], row[3], id=f"defect {row[0]}") for row in ROWS])
def test_a_row_names_tests_that_are_there(what_we_do: str, tests: str) -> None:
    named = re.findall(r"`([^`]+)::(test_\w+)`", tests)

    assert named or what_we_do.startswith(NO_TEST)
    for path, name in named:
        moved = [str(file.relative_to(TESTS)) for file in TESTS.rglob("test_*.py") if f"def {name}(" in file.read_text()]
        assert path in moved, f"{name} is not in {path} but in {', '.join(moved) or 'no file'}"
