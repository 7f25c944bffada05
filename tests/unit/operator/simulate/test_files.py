"""Traces and policies, read from files as people write them; what is wrong is a sentence that names the file and the place."""

from __future__ import annotations

import builtins
import json
import re
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kayan_operator.decision.policy import DrainBy, JobsPerReplica, MaxWait
from kayan_operator.simulate.policies import read_policies
from kayan_operator.simulate.traces import read_trace
from kayan_operator.simulate.traffic import START, Job, Trace
from kayan_operator.simulate.trouble import SimulationError


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


class TestRecordings:
    def test_a_line_of_json_a_job(self, write: Any) -> None:
        trace = read_trace(write("monday.jsonl", '{"at": 5, "seconds": 2}\n\n{"at": 1, "seconds": 0.5, "queue": "email", "delay": 30}\n'))
        assert trace == Trace(name="monday", jobs=(Job(1, 0.5, "email", 30), Job(5, 2)), start=START, length=5)

    def test_a_table(self, write: Any) -> None:
        trace = read_trace(write("monday.csv", "at, seconds, queue, delay\n1,0.5,email,30\n5,2s,,\n"))
        assert trace.jobs == (Job(1, 0.5, "email", 30), Job(5, 2))

    @pytest.mark.parametrize(
        "moments", [(1_767_614_400, 1_767_614_410.5), (1_767_614_400_000, 1_767_614_410_500),
                    ("2026-01-05T12:00:00Z", "2026-01-05T13:00:10.5+01:00"), ("1767614400000", "2026-01-05T12:00:10.500")],
    )  # fmt: skip
    def test_moments_are_unix_seconds_or_milliseconds_or_iso_and_tell_the_time_of_day(self, write: Any, moments: tuple[Any, Any]) -> None:
        lines = "\n".join(json.dumps({"at": at, "seconds": 1}) for at in moments)
        trace = read_trace(write("monday.jsonl", lines))
        assert trace.start == datetime(2026, 1, 5, 12, tzinfo=UTC).timestamp()
        assert [job.at for job in trace.jobs] == [0, 10.5]

    def test_what_kayan_jobs_prints_as_json_and_jobs_that_never_ran_are_left_out(self, write: Any) -> None:
        printed = [
            {"queue": "email", "id": "2", "added": "2026-01-05T12:00:01.000Z", "started": "2026-01-05T12:00:03.000Z",
             "finished": "2026-01-05T12:00:03.250Z", "failed_reason": None},
            {"queue": "email", "id": "1", "added": "2026-01-05T12:00:00.000Z", "started": None, "finished": None, "failed_reason": None},
        ]  # fmt: skip
        assert read_trace(write("email.json", json.dumps(printed))).jobs == (Job(0, 0.25, "email"),)

    @pytest.mark.parametrize(
        ("name", "text", "complaint"),
        [
            ("a.jsonl", '{"at": 1, "seconds": 2}\n{"at": 1', "a.jsonl, line 2 is no JSON: "),
            ("a.jsonl", "[1, 2]", "a.jsonl, job 1 is no job: write one as"),
            ("a.jsonl", '{"seconds": 2}', "a.jsonl, line 1 does not say when its job was added: give at"),
            ("a.jsonl", '{"at": "noon", "seconds": 2}', "a.jsonl, line 1: at is 'noon', which is no time"),
            ("a.jsonl", '{"at": -1, "seconds": 2}', "a.jsonl, line 1: at is -1, which is no time"),
            ("a.jsonl", '{"at": 1}', "a.jsonl, line 1 does not say how long its job runs: give seconds"),
            ("a.csv", "at,seconds\n1,2\n2,soon\n", "a.csv, line 3: seconds is 'soon', which is no duration"),
            ("a.csv", "at,seconds\n1,2\n1767614400,2\n", "a.csv has jobs added at moments"),
            ("a.csv", "at,seconds\n", "a.csv has no job"),
            ("a.json", '[{"added": 1, "started": null, "finished": null}]', "a.json has no job that says how long it runs"),
            ("a.json", "[", "a.json is no JSON"),
        ],
    )
    def test_what_is_wrong_is_named(self, write: Any, name: str, text: str, complaint: str) -> None:
        with pytest.raises(SimulationError) as caught:
            read_trace(write(name, text))
        assert complaint in str(caught.value)


class TestDescriptions:
    def test_bursts_come_as_often_as_they_say(self, write: Any) -> None:
        stretch = "{burst: 3, at: 10s, every: 1m, times: 2, over: 3s, queue: email, delay: 5}"
        trace = read_trace(write("burst.yaml", f"takes: 2s\ntraffic: [{stretch}]\n"))
        assert trace.jobs == tuple(Job(at, 2, "email", 5) for at in (10, 11, 12, 70, 71, 72))
        assert (trace.name, trace.length) == ("burst", 72)

    def test_even_arrivals_are_the_rate_to_the_job(self, write: Any) -> None:
        stretches = "- {rate: 30/min, for: 10s}\n- {ramp: [0, 2/s], at: 20s, for: 10s}\n"
        trace = read_trace(write("even.yaml", "arrivals: even\ntraffic:\n" + stretches))
        assert [job.at for job in trace.jobs[:5]] == [1, 3, 5, 7, 9]
        ramped = [job.at - 20 for job in trace.jobs[5:]]
        assert len(ramped) == 10
        assert ramped[:2] == pytest.approx([(0.5 * 10) ** 0.5, (1.5 * 10) ** 0.5], rel=0.01), "the area under the ramp"

    def test_poisson_arrivals_have_the_rate_and_the_irregularity_of_chance(self, write: Any) -> None:
        trace = read_trace(write("poisson.yaml", "length: 2h\ntraffic: [{rate: 2/s}]\n"))
        gaps = [after.at - before.at for before, after in zip(trace.jobs, trace.jobs[1:], strict=False)]
        assert statistics.mean(gaps) == pytest.approx(0.5, rel=0.03)
        assert statistics.stdev(gaps) == pytest.approx(0.5, rel=0.05)

    def test_a_day_has_its_peak_when_it_says(self, write: Any) -> None:
        trace = read_trace(write("day.yaml", "length: 24h\ntraffic: [{day: [0, 2/s], peak: 14h}]\n"))
        by_hour = [0] * 24
        for job in trace.jobs:
            by_hour[int(job.at // 3600)] += 1
        assert sum(by_hour) == pytest.approx(86400, rel=0.02)
        assert min(by_hour[13:15]) > 0.98 * 7200 * 0.97
        assert max(by_hour[1:3]) < 0.03 * 7200

    def test_the_same_seed_gives_the_same_jobs_and_another_gives_others(self, write: Any) -> None:
        text = "seed: {}\nlength: 5m\ntakes: exponential 2s\ntraffic: [{{rate: 1/s}}]\n"
        one, same, other = (read_trace(write(f"{place}.yaml", text.format(seed))) for place, seed in enumerate([7, 7, 8]))
        assert one.jobs == same.jobs
        assert one.jobs != other.jobs

    def test_a_stretch_that_changes_leaves_the_others_as_they_were(self, write: Any) -> None:
        text = "length: 5m\ntakes: exponential 2s\ntraffic: [{{rate: {}, queue: email}}, {{rate: 1/s, queue: asset}}]\n"
        one, other = (read_trace(write(f"{place}.yaml", text.format(rate))) for place, rate in enumerate(["1/s", "3/s"]))
        assert one.of(("asset",)) == other.of(("asset",))

    def test_json_and_a_beginning_of_its_own(self, write: Any) -> None:
        described = {"start": "2026-03-01T20:00:00+02:00", "traffic": [{"burst": 2, "takes": "1m"}]}
        trace = read_trace(write("night.json", json.dumps(described)))
        assert trace.start == datetime(2026, 3, 1, 18, tzinfo=UTC).timestamp()
        assert trace.jobs == (Job(0, 60), Job(0, 60))

    def test_the_readmes_example_is_one(self, write: Any) -> None:
        readme = Path(__file__).parents[4] / "operator" / "README.md"
        (example,) = re.findall(r"```yaml\n(.*?)```", readme.read_text(), flags=re.DOTALL)
        trace = read_trace(write("readme.yaml", example))
        assert {job.queue for job in trace.jobs} == {"", "email"}
        assert trace.length == 86400

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("", "a.yaml is empty"),
            ("traffic: [{burst: 3", "a.yaml, line 1 is no YAML: "),
            ("jobs: []", "a.yaml describes no traffic: it has no list called traffic"),
            ("traffic: []", "a.yaml: traffic: expected `array` of length >= 1"),
            ("traffic: [{}]", "a.yaml: traffic[0] has no shape: give one of rate, ramp, day, burst"),
            ("traffic: [{rate: 1, burst: 1}]", "a.yaml: traffic[0] has rate and burst: give one of"),
            ("traffic: [{rate: fast, for: 1m}]", "a.yaml: traffic[0].rate is 'fast', which is no rate"),
            ("traffic: [{rate: 1}]", "a.yaml: traffic[0] does not say how long it lasts: add for"),
            ("traffic: [{burst: 1, times: 2}]", "a.yaml: traffic[0].times needs to know how far they are apart: add every"),
            ("traffic: [{burst: 1, takes: normal 2s}]", "a.yaml: traffic[0].takes is 'normal 2s': write 2s"),
            ("traffic: [{burst: 0}]", "a.yaml: traffic[0].burst: expected `int` >= 1"),
            ("traffic: [{burst: 1, size: 3}]", "a.yaml: traffic[0]: object contains unknown field `size`"),
            ("traffic: [{rate: 0, for: 1h}]", "a.yaml: traffic describes no job at all"),
            ("traffic: [{rate: 1000000/s, for: 1h}]", "a.yaml: traffic[0] brings it to 3,600,000,000 jobs, more than 2,000,000"),
            ("traffic: [{ramp: [1], for: 1h}]", "a.yaml: traffic[0].ramp: expected `array` of length >= 2"),
            ("traffic: [{day: [1, 2], period: 0s, for: 1h}]", "a.yaml: traffic[0].period is '0s': write a time above zero"),
            ("start: monday\ntraffic: [{burst: 1}]", "a.yaml: start is 'monday', which is no moment"),
            ("start: 2026-01-05T00:00\ntraffic: [{burst: 1}]", "a.yaml: start is '2026-01-05T00:00', which has no time zone"),
        ],
    )
    def test_what_is_wrong_is_named(self, write: Any, text: str, complaint: str) -> None:
        with pytest.raises(SimulationError) as caught:
            read_trace(write("a.yaml", text))
        assert complaint in str(caught.value)


SCALER = """
apiVersion: workers.kayanlive.com/v1alpha1
kind: QueueScaler
metadata: {name: thumbnail}
spec:
  scaleTargetRef: {name: kayan-workers-thumbnail}
  queues: [{name: thumbnail-generation}]
"""


class TestPolicies:
    def test_a_resource_as_it_is_in_the_cluster(self, write: Any) -> None:
        (one,) = read_policies(write("scaler.yaml", SCALER + "  maxReplicas: 20\n"))
        assert (one.name, one.policy.max_replicas, one.policy.target) == ("thumbnail", 20, JobsPerReplica(10))

    def test_several_documents_among_resources_of_other_kinds(self, write: Any) -> None:
        text = f"{SCALER}  target: {{maxWait: 30s}}\n---\nkind: FleetBudget\nspec: {{maxReplicas: 3}}\n---\n{SCALER}  minReplicas: 2\n"
        first, second = read_policies(write("both.yaml", text))
        assert (first.name, first.policy.target) == ("thumbnail-1", MaxWait(30))
        assert (second.name, second.policy.min_replicas) == ("thumbnail-2", 2)

    def test_a_list_as_kubectl_prints_it(self, write: Any) -> None:
        spec = {"scaleTargetRef": {"name": "e"}, "queues": [{"name": "email"}]}
        item = {"kind": "QueueScaler", "metadata": {"name": "email"}, "spec": spec}
        (one,) = read_policies(write("all.json", json.dumps({"kind": "List", "items": [item]})))
        assert one.name == "email"

    def test_nothing_but_its_spec(self, write: Any) -> None:
        (one,) = read_policies(write("wild.yaml", "scaleTargetRef: {name: x}\nqueues: [{name: email}]\n"))
        assert one.name == "wild"

    def test_times_of_day_are_read_as_kubernetes_reads_them(self, write: Any) -> None:
        (one,) = read_policies(write("night.yaml", "scaleTargetRef: {name: x}\nqueues: [{name: email}]\ntarget: {drainBy: 12:30}\n"))
        assert isinstance(one.policy.target, DrainBy)
        assert one.policy.target.minute_of_day == 750

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("", "a.yaml is empty"),
            ("- 1", "a.yaml holds a list where a QueueScaler or its spec is expected"),
            ("kind: Deployment", "a.yaml has no QueueScaler"),
            ("kind: QueueScaler", "a.yaml: a QueueScaler has no spec"),
            (SCALER + "  maxReplicas: many\n", "a.yaml: spec.maxReplicas: expected `int`, got `str`"),
            (SCALER + "  target: {maxWait: 0s}\n", "a.yaml: spec.target.maxWait is 0s: write a time above zero"),
            (SCALER + "---" + SCALER + "  minReplicas: 30\n", "a.yaml: thumbnail: spec.minReplicas is 30, more than spec.maxReplicas, 10"),
        ],
    )
    def test_what_is_wrong_is_named(self, write: Any, text: str, complaint: str) -> None:
        with pytest.raises(SimulationError) as caught:
            read_policies(write("a.yaml", text))
        assert complaint in str(caught.value)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"nowhere\.yaml cannot be read: no such file or directory"):
        read_trace(tmp_path / "nowhere.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SimulationError, match=r"a\.csv is no text in UTF-8"):
        read_trace(tmp_path / "a.csv")


def test_without_pyyaml_json_is_read_and_yaml_is_refused_with_the_remedy(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_yaml(name: str, *more: Any, **named: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without_yaml)
    assert read_trace(write("a.json", '{"traffic": [{"burst": 1}]}')).jobs == (Job(0, 1),)
    with pytest.raises(SimulationError, match="needs PyYAML, and that is not installed: give JSON"):
        read_trace(write("a.yaml", "traffic: [{burst: 1}]"))
