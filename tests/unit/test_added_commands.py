"""Commands of other packages come into ``kayan``, and cost nothing where they are not called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from kayan import environment, kayan


def test_a_workers_own_commands_load_nothing_of_the_operator() -> None:
    program = (
        "import sys; sys.argv = ['kayan', 'worker', '--help']\n"
        "from kayan_workers.__main__ import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('kayan_operator', 'kopf', 'kubernetes')])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment())
    assert result.stdout.splitlines()[-1] == "[]"


class TestACommandOfAnotherPackage:
    @pytest.fixture
    def installed(self, tmp_path: Path) -> dict[str, str]:
        """The variables of a process that finds two more packages: one whose commands work, one that is broken."""
        for name, points in {
            "guests": "greet = guests:greet\nfamily = guests:family\nqueues = guests:greet\n", "broken": "broken = broken:nothing\n",
        }.items():
            folder = tmp_path / f"{name}-1.0.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            (folder / "entry_points.txt").write_text(f"[kayan.commands]\n{points}")
        (tmp_path / "guests.py").write_text(
            "import typer\n"
            "def greet(name: str = 'you') -> None:\n    'Say hello.'\n    print('hello', name)\n"
            "family = typer.Typer(help='A family of commands.')\n"
            "@family.command()\ndef one() -> None:\n    print('one')\n"
            "@family.command()\ndef two() -> None:\n    print('two')\n"
        )
        (tmp_path / "broken.py").write_text("raise RuntimeError('out of order')\n")
        return {"PYTHONPATH": str(tmp_path), "COLUMNS": "200"}

    def test_is_called_by_its_name_with_its_options(self, installed: dict[str, str]) -> None:
        assert kayan("greet", "--name", "Ada", variables=installed).stdout == "hello Ada\n"
        assert kayan("family", "two", variables=installed).stdout == "two\n"

    def test_stands_in_the_list_and_in_its_own_help(self, installed: dict[str, str]) -> None:
        assert "Say hello." in kayan("--help", variables=installed).stdout
        assert "Usage: kayan greet" in kayan("greet", "--help", variables=installed).stdout

    def test_never_takes_the_place_of_one_of_ours(self, installed: dict[str, str]) -> None:
        assert "hello" not in kayan("queues", "--help", variables=installed).stdout
        assert kayan("--help", variables=installed).stdout.count("│ queues ") == 1

    def test_that_is_broken_says_so_and_spoils_nothing_else(self, installed: dict[str, str]) -> None:
        result = kayan("broken", "--any", "thing", variables=installed)
        assert result.returncode == 1
        assert result.stderr == "kayan: the command broken cannot be loaded from broken:nothing: RuntimeError: out of order\n"
        assert "Cannot be loaded; call it to learn why." in kayan("--help", variables=installed).stdout

    def test_that_nobody_has_is_refused_as_ever(self, installed: dict[str, str]) -> None:
        result = kayan("nobody", variables=installed)
        assert result.returncode == 2
        assert "No such command" in result.stderr
