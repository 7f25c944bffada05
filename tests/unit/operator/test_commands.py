"""The command ``kayan simulate`` with real files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kayan import kayan

TRACE = "takes: 2s\ntraffic: [{burst: 200, at: 1m}]\n"
SCALER = "kind: QueueScaler\nmetadata: {name: thumbnail}\nspec: {scaleTargetRef: {name: x}, queues: [{name: thumbnail-generation}]}\n"

Simulate = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def simulate(tmp_path: Path) -> Simulate:
    """``kayan simulate`` with a small trace and policy, and what else is said."""
    (tmp_path / "trace.yaml").write_text(TRACE)
    (tmp_path / "scaler.yaml").write_text(SCALER)

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return kayan("simulate", "--trace", str(tmp_path / "trace.yaml"), "--policy", str(tmp_path / "scaler.yaml"), *more, variables={})

    return run


def test_a_trace_and_a_policy_give_charts_and_a_table(simulate: Simulate) -> None:
    result = simulate("--against", "keda", "--against", "hpa")
    assert (result.returncode, result.stderr) == (0, "")
    assert "trace: 200 jobs" in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines() if line.startswith(("thumbnail  ", "keda  ", "hpa  "))] == \
           ["thumbnail", "keda", "hpa"]
    assert "█" in result.stdout


def test_the_same_command_prints_the_same_twice(simulate: Simulate) -> None:
    options = ("--against", "keda", "--startup", "lognormal 5s 0.5", "--seed", "3", "--decisions")
    assert simulate(*options).stdout == simulate(*options).stdout


def test_two_traces_and_two_versions_of_a_policy_are_told_apart(simulate: Simulate, tmp_path: Path) -> None:
    (tmp_path / "new.json").write_text(json.dumps({"kind": "QueueScaler", "metadata": {"name": "thumbnail"}, "spec": {
        "scaleTargetRef": {"name": "x"}, "queues": [{"name": "thumbnail-generation"}], "maxReplicas": 2}}))
    (tmp_path / "jobs.csv").write_text("at,seconds,queue\n0,1,thumbnail-generation\n1,1,email\n")
    result = simulate("--policy", str(tmp_path / "new.json"), "--trace", str(tmp_path / "jobs.csv"), "--json")
    burst, recorded = json.loads(result.stdout)
    assert [outcome["name"] for outcome in burst["outcomes"]] == ["thumbnail (1)", "thumbnail (2)"]
    assert [outcome["peak_replicas"] for outcome in burst["outcomes"]] == [10, 2]
    assert [outcome["jobs"] for outcome in recorded["outcomes"]] == [1, 1]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--trace", "nowhere.yaml"], "kayan: nowhere.yaml cannot be read: no such file or directory"),
        (["--against", "knative"], "kayan: --against is 'knative', and there are keda and hpa"),
        (["--startup", "soon"], "kayan: --startup is 'soon', which is no duration"),
        (["--look", "0s"], "kayan: --look is 0s: write 50ms at least"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_2(simulate: Simulate, options: list[str], complaint: str) -> None:
    result = simulate(*options)
    assert result.returncode == 2
    assert result.stderr.startswith(complaint)
    assert len(result.stderr.splitlines()) == 1


def test_it_needs_no_environment_and_says_how_to_use_it() -> None:
    result = kayan("simulate", "--help", variables={"COLUMNS": "200"})
    assert result.returncode == 0
    assert "Replay traffic and see what policies make of it" in result.stdout
    listed = kayan("--help", variables={"COLUMNS": "200"})
    assert "simulate" in listed.stdout.split("Scale", 1)[1]
