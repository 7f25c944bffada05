"""A run that several workers share: what stays together, what begins, and that nothing of what it says is lost on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import scheduling
from servers import PROJECT

TESTS = PROJECT / "tests"

WITNESS = """
import os, pathlib, pytest

def note(*what):
    with pathlib.Path(__file__).with_name("seen").open("a") as seen:
        print(*what, file=seen)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    note("began", os.environ.get("PYTEST_XDIST_WORKER"), item.nodeid)
    yield
    note("ended", os.environ.get("PYTEST_XDIST_WORKER"), item.nodeid)
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def seen(folder: Path) -> list[list[str]]:
    """``began`` or ``ended``, the worker, and the test."""
    return [line.split(" ") for line in (folder / "seen").read_text().splitlines()]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Writes test files, by name, and runs all of them with pytest and its plugins from here."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "conftest.py").write_text(WITNESS)

    def ran(files: dict[str, str], *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "KAYAN_TEST_"))}
        command = [sys.executable, "-m", "pytest", "-p", "figures", "-p", "scheduling", *arguments]
        environment |= {"PYTHONPATH": str(TESTS), **variables}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False)

    return ran


PASS = "def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass\n"


def test_what_shares_one_thing_runs_in_one_worker_and_the_longest_begin(run: Run, tmp_path: Path) -> None:
    files = ("tests/chart/test_cluster_takes_it.py", "tests/chart/test_pods.py", "tests/cluster/test_a.py", "tests/cluster/test_trouble.py",
             "tests/cluster/test_install.py", "tests/images/test_a.py", "tests/images/test_b.py", "tests/unit/test_a.py")  # fmt: skip
    done = run(dict.fromkeys(files, PASS), "-n", "2")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "24 passed" in done.stdout
    runs = [[test for what, who, test in seen(tmp_path) if (what, who) == ("began", worker)] for worker in ("gw0", "gw1")]
    for group in {scheduling.group_of(file) for file in files}:
        whole = [f"{file}::test_{name}" for file in files if scheduling.group_of(file) == group for name in ("one", "two", "three")]
        assert [run[run.index(whole[0]) :][: len(whole)] for run in runs if whole[0] in run] == [whole]
    assert {scheduling.group_of(run[0]) for run in runs} == {"the cluster", "the images"}


def test_what_is_there_for_all_workers_is_done_by_one_of_them_and_again_after_a_failure(run: Run, tmp_path: Path) -> None:
    text = """
import pathlib, servers
folder = pathlib.Path(__file__).parent.parent

def act():
    with (folder / "acts").open("a") as acts:
        acts.write("+")
    assert (folder / "acts").read_text() != "+", "fails the first time"

def test_it(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(servers, "BUILD", folder)
    servers.once_a_run("act", tmp_path_factory, act)
"""
    outcomes = [run({f"tests/unit/test_{name}.py": text for name in "abcd"}, *arguments).stdout.splitlines()[-1]
                for arguments in (("-n", "2"), ("-n", "2"), ())]  # fmt: skip
    assert " 1 failed, 3 passed in " in outcomes[0]
    assert [" 4 passed in " in outcome for outcome in outcomes[1:]] == [True, True]
    assert (tmp_path / "tests/acts").read_text() == "++" + "+" + "+"


ALONE = "tests/wire/test_limiter.py"
THE_LAST = [(what, f"{ALONE}::test_{name}") for name in ("one", "two", "three") for what in ("began", "ended")]


@pytest.mark.parametrize("others", [1, 5])
def test_what_needs_the_machine_for_itself_waits_for_all_others_and_is_still_run(run: Run, tmp_path: Path, others: int) -> None:
    files = {f"tests/unit/test_{number}.py": f"import time\ndef test_it(): time.sleep({number % 3 / 4})\n" for number in range(others)}
    done = run({ALONE: PASS, **files}, "-n", "3")

    assert done.returncode == 0, done.stdout + done.stderr
    assert f" {others + 3} passed in " in done.stdout.splitlines()[-1]
    assert [(what, test) for what, _, test in seen(tmp_path)][-6:] == THE_LAST


def test_what_a_worker_that_died_had_left_runs_as_well_and_still_before_what_runs_alone(run: Run, tmp_path: Path) -> None:
    dies = """
import os, pathlib
once = pathlib.Path(__file__).with_name("once")
def test_it():
    if not once.exists():
        once.touch()
        os._exit(9)
"""
    done = run({ALONE: PASS, "tests/unit/test_a.py": dies + PASS, "tests/unit/test_b.py": PASS}, "-n", "2")

    assert done.returncode == 1, "the test in which it died has failed"
    assert "crashed while running 'tests/unit/test_a.py::test_it'" in done.stdout
    assert len({test for what, _, test in seen(tmp_path) if what == "ended"}) == 10
    assert [(what, test) for what, _, test in seen(tmp_path)][-6:] == THE_LAST


def test_figures_that_workers_noted_are_printed_once_by_the_run_and_its_last_line_is_pytests(run: Run) -> None:
    noting = "import figures\ndef test_it(): figures.note('how long', {what!r}, '1.0 s')\n"
    files = {f"tests/unit/test_{what}.py": noting.format(what=what) for what in ("install", "removal")}
    for arguments in (("-n", "2"), ()):
        done = run(files, "--durations=2", *arguments)

        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("install  1.0 s\n") == done.stdout.count("removal  1.0 s\n") == done.stdout.count(" how long ") == 1
        assert "slowest 2 durations" in done.stdout
        assert " 2 passed in " in done.stdout.splitlines()[-1]


def test_a_test_of_a_worker_fails_when_its_time_is_up(run: Run) -> None:
    done = run({"tests/unit/test_a.py": "import time\ndef test_it(): time.sleep(60)\n"}, "-n", "2", "--timeout", "0.5")

    assert done.returncode == 1
    assert "Timeout (>0.5s)" in done.stdout
    assert " 1 failed in " in done.stdout.splitlines()[-1]


def test_workers_that_would_run_different_tests_run_none(run: Run) -> None:
    differing = "import os, pytest\n@pytest.mark.parametrize('which', [os.getpid()])\ndef test_it(which): pass\n"
    done = run({"tests/unit/test_a.py": differing}, "-n", "2")

    assert done.returncode == 1
    assert "Different tests were collected" in done.stdout


def test_several_workers_do_not_empty_one_redis_over_each_other(run: Run) -> None:
    files = {"tests/unit/test_a.py": PASS}
    several, one = (run(files, "-n", number, KAYAN_TEST_REDIS_URL="redis://127.0.0.1:1") for number in ("2", "0"))

    assert (several.returncode, one.returncode) == (4, 0)
    assert "KAYAN_TEST_REDIS_URL" in several.stderr


NAMED = [*scheduling.TOGETHER, *scheduling.TO_THE_MILLISECOND, *scheduling.LONGEST, *scheduling.LAST_OF_THEIR_GROUP]


@pytest.mark.parametrize("named", dict.fromkeys(NAMED))
def test_groups_are_named_after_what_there_is(named: str) -> None:
    file, _, function = named.partition("::")
    assert file in scheduling.TOGETHER.values() or list(PROJECT.glob(f"{file.rstrip('/')}*"))
    assert not function or f"def {function}(" in (PROJECT / file).read_text()
