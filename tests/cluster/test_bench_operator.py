"""The bench of the operator, with hardly any scalers: that it measures what it says, and leaves nothing. No times are judged here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.operated import cluster as of_the_bench
from bench.operated.parts import measured
from bench.results import Row
from bench.stage import stage
from cluster.kube import run, until
from servers import UnavailableError, missing
from wire import node_packages

BENCH = Path(__file__).parent.parent / "bench"
TINY = ["--jobs", "30", "--rounds", "1", "--seconds", "1", "--scalers", "12"]


@pytest.fixture(scope="module", autouse=True)
def possible() -> None:
    if trouble := of_the_bench.hindrance():
        missing(trouble)
    try:
        node_packages.install()
    except UnavailableError as error:
        missing(str(error))


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Afterwards there are no more namespaces of benches than before."""
    before = rooms()
    yield
    until(lambda: rooms() <= before, 30, what="the namespaces are on their way out", trouble=lambda: str(rooms() - before))


def rooms() -> set[str]:
    found = json.loads(run("kubectl", "get", "namespaces", "--output=json"))["items"]
    return {name for one in found if (name := one["metadata"]["name"]).startswith("kayan-bench") and one["status"]["phase"] == "Active"}


@pytest.mark.usefixtures("nothing_left")
def test_a_tiny_run_leaves_one_file_with_every_row_and_nothing_in_the_cluster(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), "operator", *TINY, "--profile", "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=850, check=False, env=os.environ | {"COLUMNS": "250"})

    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["name"]: row for row in json.loads((tmp_path / "operator.json").read_text())}
    assert all(set(row) == {"name", "ours", "peer", "unit", "ratio", "goal", "met"} for row in rows.values())
    by_start = {start: [row for name, row in rows.items() if name.startswith(start)] for start in (
        "one scaler: job added", "30 jobs at 0 replicas → 3 requested", "12 scalers: from creating", "12 scalers at rest",
        "one of 12 scalers", "flood of", "bursts on", "load average",
    )}
    assert all(by_start.values()), by_start
    assert rows["30 jobs at 0 replicas → 3 requested: writes of the number"]["ours"] == 1
    assert rows["jobs interrupted by all that"]["ours"] == 0
    assert rows["12 scalers at rest: memory (RSS)"]["ours"] > 20
    assert rows["12 scalers at rest: connections to Redis (KEDA: 100 ScaledObjects)"]["ours"] >= 2
    assert rows["12 scalers at rest: Redis commands"]["ours"] > 0
    waited = next(row for name, row in rows.items() if name.startswith("one scaler: job added") and name.endswith("p95"))
    assert (waited["goal"], waited["peer"], waited["unit"]) == ("≤ 500 ms", 28_300, "ms")
    assert any(name.startswith("external metric") for name in rows) or "external metrics: not measured" in done.stdout
    assert "where the time goes: the operator with 12 scalers at rest" in done.stdout
    samples = json.loads((tmp_path / "samples" / "operator.json").read_text())
    assert {one["name"] for one in samples} == set(rows)
    assert len(next(one for one in samples if one["name"].startswith("one of 12 scalers"))["ours"]) > 5


async def test_a_part_that_does_not_come_to_pass_is_a_note_and_takes_no_other_part_with_it() -> None:
    async def hopeless() -> list[Row]:
        raise TimeoutError("not within 30 s: every queue with a job has a pod")

    async def fine() -> list[Row]:
        return [Row("fine", "ms", [1.0])]

    with stage(jobs=1, rounds=1, seconds=1, profile=False) as place:
        rows = [*await measured(place, "wakes", hopeless()), *await measured(place, "flood", fine())]

    assert [row.name for row in rows] == ["fine"]
    assert place.notes == ["wakes: not measured: not within 30 s: every queue with a job has a pod"]


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_cut_short_leaves_nothing_in_the_cluster(tmp_path: Path, end: signal.Signals) -> None:
    before = rooms()
    command = [sys.executable, str(BENCH), "operator", *TINY, "--folder", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: rooms() - before, 120, what="it has a namespace")
        process.send_signal(end)
        assert process.wait(60)
