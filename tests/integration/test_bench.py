"""The benchmark harness itself, with hardly any jobs: that it measures both sides and says what it saw. No times are judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import servers
from bench import pictures
from bench.peers import SHARP
from bench.results import Row, at_most, at_most_peer, times_peer
from bench.sampler import Sampler
from bench.stage import cpu_seconds, peak_mb
from PIL import Image
from wire import node_packages

BENCH = Path(__file__).parent.parent / "bench"


@pytest.fixture(scope="module")
def bull_installed() -> None:
    try:
        node_packages.install()
    except servers.UnavailableError as error:
        servers.missing(str(error))


@pytest.mark.usefixtures("bull_installed")
def test_a_run_leaves_a_file_per_suite_with_both_sides_numbers(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), "process", "add", "latency", "idle", "--jobs", "60", "--rounds", "1", "--seconds", "0.5"]

    done = subprocess.run([*command, "--profile", "--folder", str(tmp_path)], capture_output=True, text=True, timeout=150, check=False,
                          env=os.environ | {"COLUMNS": "220"})

    assert done.returncode == 0, done.stdout + done.stderr
    for suite in ("process", "add", "latency", "idle"):
        rows = json.loads((tmp_path / f"{suite}.json").read_text())
        assert rows, suite
        assert all(set(row) == {"name", "ours", "peer", "unit", "ratio", "goal", "met"} for row in rows)
        assert any(row["met"] in (True, False) for row in rows), suite
    process = {row["name"]: row for row in json.loads((tmp_path / "process.json").read_text())}
    assert process["process, concurrency 10"]["ours"] > 0
    assert process["process, concurrency 10"]["peer"] > 0
    assert "process, concurrency 50" in done.stdout
    assert "where the time goes" in done.stdout


@pytest.mark.usefixtures("bull_installed", "postgres_url")
def test_the_apps_own_worker_and_ours_leave_the_same_rows_which_the_run_itself_counts(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), "analytics", "notifications", "--jobs", "50", "--rounds", "1", "--folder", str(tmp_path)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, env=os.environ | {"COLUMNS": "220"})

    assert done.returncode == 0, done.stdout + done.stderr
    for suite, role, goal in (("analytics", "analytics", "≥ 20× Bull"), ("notifications", "notification", "≥ 5× Bull")):
        row = json.loads((tmp_path / f"{suite}.json").read_text())[0]
        assert (row["name"], row["goal"]) == (f"{role}: start of the worker → last row", goal)
        assert row["ours"] > 0
        assert row["peer"] > 0


@pytest.fixture(scope="module")
def sharp_installed() -> None:
    try:
        node_packages.install(SHARP)
    except servers.UnavailableError as error:
        servers.missing(str(error))


@pytest.mark.usefixtures("sharp_installed")
async def test_both_sides_of_the_picture_suites_make_the_same_pictures(tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    pictures.photo((800, 600)).save(source, quality=90)
    sizes = {}

    for name in ("ours", "sharp"):
        wanted = pictures.wanted("four variants", name, tmp_path)
        async with pictures.side(name, tmp_path) as peer:
            assert await peer.ask("render", source=str(source), wanted=wanted) > 0
            assert peak_mb(peer.pid) > 10
            assert cpu_seconds(peer.pid) > 0
        sizes[name] = [Image.open(one["to"]).size for one in wanted]

    assert sizes["ours"] == sizes["sharp"] == [(200, 150), (800, 600), (800, 600), (640, 480)]


def test_a_missed_goal_is_told() -> None:
    slow = Row("process", "jobs/s", [100.0, 120.0], [100.0, 100.0], times_peer(2))

    assert slow.as_json() == {"name": "process", "ours": 110.0, "peer": 100.0, "unit": "jobs/s", "ratio": 1.1, "goal": "≥ 2× Bull",
                              "met": False}


def test_a_row_of_a_percentile_tells_that_and_not_the_median() -> None:
    waits = Row("added → written, p95", "ms", [1.0] * 90 + [8.0] * 10, [16.0], at_most(5, "ms", 0.95), share=0.95)

    assert (waits.as_json()["ours"], waits.ratio, waits.met) == (8.0, 0.5, False)


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("", "", [3.0], [1.0], times_peer(3)), True),
        (Row("", "", [2.9], [1.0], times_peer(3)), False),
        (Row("", "", [1.0], [1.0], at_most_peer()), True),
        (Row("", "", [1.1], [1.0], at_most_peer()), False),
        (Row("", "", [46.0], (), at_most(45, "MB")), False),
        (Row("", "", [46.0], (46.0,)), None),
        (Row("", "", [1.0] * 95 + [9.0] * 5, (), at_most(5, "ms", 0.95)), False),
        (Row("", "", [1.0] * 96 + [9.0] * 4, (), at_most(5, "ms", 0.95)), True),
    ],
)
def test_a_goal_compares_medians_or_a_percentile_with_bull_or_with_a_limit(row: Row, met: bool | None) -> None:
    assert row.met is met


def test_the_sampler_finds_the_function_that_burns_the_time() -> None:
    def burn() -> int:
        return sum(n * n for n in range(3_000_000))

    sampler = Sampler()
    sampler.start()
    burn()
    told = sampler.stop()

    assert "burn" in told
    assert sampler.own.total() > 5


def test_no_suite_named_means_all_and_a_wrong_name_is_refused() -> None:
    from bench.command import SUITES, suites_of

    assert suites_of([]) == list(SUITES)
    assert suites_of(["idle"]) == ["idle"]
    with pytest.raises(SystemExit):
        suites_of(["idel"])


def test_the_suite_that_needs_a_cluster_runs_only_by_name_and_says_what_it_lacks(tmp_path: Path) -> None:
    from bench.command import SUITES, suites_of

    assert "operator" not in SUITES
    assert suites_of(["operator"]) == ["operator"]
    (tmp_path / "kubectl").touch(mode=0o755)
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}

    done = subprocess.run([sys.executable, str(BENCH), "operator", "--folder", str(tmp_path)], capture_output=True, text=True, timeout=60,
                          check=False, env=environment | {"PATH": str(tmp_path)})

    assert done.returncode == 1
    assert done.stdout.startswith("Nothing to measure on: KUBECONFIG names no cluster")
    assert not list(tmp_path.glob("*.json"))
