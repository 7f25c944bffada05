"""What people see: charts that can be read without colour in eighty columns, and tables."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_operator.decision.policy import MaxWait, Policy, Queue
from kayan_operator.simulate.chart import axis, clock, columns
from kayan_operator.simulate.contest import Outcome, contest
from kayan_operator.simulate.figures import percentile
from kayan_operator.simulate.policies import NamedPolicy
from kayan_operator.simulate.report import as_json, text
from kayan_operator.simulate.rivals import Rival
from kayan_operator.simulate.series import series
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.table import table
from kayan_operator.simulate.traffic import Job, Trace
from kayan_operator.simulate.trouble import SimulationError
from simulated import AT_ONCE, Timetable, world

BURST = Trace(name="burst", jobs=(Job(60, 2),) * 300 + (Job(70, 200),), length=600)
LONG = Trace(name="long", jobs=(*BURST.jobs, Job(75, 500)), length=600)
NAMED = NamedPolicy("thumbnail", Policy(queues=(Queue(name="a", concurrency=5),), target=MaxWait(20)))


def compared(rivals: Sequence[str] = ("keda", "hpa"), trace: Trace = BURST) -> list[Outcome]:
    return contest(trace, [NAMED], [Rival.parse(rival) for rival in rivals], Setting())


def test_columns_grow_in_eighths_of_a_line_and_what_is_above_zero_is_seen() -> None:
    assert columns([0, 0.01, 4, 8, 12, 16], 16, 2) == ["    ▄█", " ▁▄███"]


@given(values=st.lists(st.floats(0, 1e6), min_size=1, max_size=50), rows=st.integers(1, 4))
def test_any_values_fill_a_rectangle(values: list[float], rows: int) -> None:
    lines = columns(values, max(values), rows)
    assert [len(line) for line in lines] == [len(values)] * rows
    assert all((line != " ") == (value > 0) for line, value in zip(lines[-1], values, strict=True))


def test_an_axis_has_its_times_where_they_are_and_no_more_than_its_width() -> None:
    assert axis(3600, 48) == "└0:00           └20:00          └40:00          "
    assert clock(3725) == "1:02:05"
    assert all(len(axis(100_000, width)) == width for width in range(1, 100))


@pytest.mark.parametrize(
    ("values", "percent", "expected"), [([], 95, 0), ([7], 50, 7), ([1, 2, 3, 4], 50, 2), (list(range(1, 101)), 95, 95), ([1, 2], 95, 2)],
)
def test_a_percentile_is_one_of_the_values(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected


def test_a_series_has_the_highest_of_each_stretch() -> None:
    # one pod from 20 on; the first job waits for it, the second for the first
    simulation = world([Job(0, 10), Job(5, 10)], Timetable((20, 1), (60, 0)))
    simulation.run(100)
    drawn = series(simulation, 10)
    assert drawn.backlog == [2, 2, 2, 2, 1, 0, 0, 0, 0, 0]
    assert drawn.replicas == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    assert drawn.wait == [10, 20, 25, 25, 0, 0, 0, 0, 0, 0]


def test_a_table_is_aligned() -> None:
    assert table([["policy", "p95"], ["ours", "5 s"], ["keda", "41 s"]]) == ["policy   p95", "------  ----", "ours     5 s", "keda    41 s"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_report_fits_its_columns_and_names_everybody(width: int) -> None:
    lines = text(LONG, compared(trace=LONG), width, decisions=False).splitlines()
    assert width - 20 < max(map(len, lines)) <= width
    assert [line for line in lines if line in ("thumbnail", "keda", "hpa")] == ["thumbnail", "keda", "hpa"]
    assert "keda never did 1 job: their pods are ended over them again and again." in lines


def test_the_table_has_a_line_for_each_policy_or_a_column_where_that_is_too_wide() -> None:
    outcomes = compared(trace=LONG)
    wide, narrow = (text(LONG, outcomes, width, decisions=False).splitlines() for width in (120, 80))
    headers = next(place for place, line in enumerate(wide) if line.startswith("policy "))
    assert [line.split()[0] for line in wide[headers + 2 : headers + 5]] == ["thumbnail", "keda", "hpa"]
    assert ["policy", "thumbnail", "keda", "hpa"] in [line.split() for line in narrow]
    rows = [line.split()[0] for line in narrow if line.startswith(("pod-hours", "peak", "late ", "cut "))]
    assert rows == ["pod-hours", "peak", "late", "cut"]


def test_decisions_are_listed_with_moment_numbers_and_sentences() -> None:
    told = text(BURST, compared([]), 80, decisions=True)
    change = next(line for line in told.splitlines() if line.startswith("     1:00  0 → 10  MaxReplicas: a has 300 waiting"))
    assert change.endswith("60 pods for now; never more than 10 pods (maxReplicas).")


def test_machines_get_the_same_figures() -> None:
    outcomes = compared(trace=LONG)
    told = as_json(LONG, outcomes, decisions=True)
    ours, keda, _ = told["outcomes"]
    assert (ours["name"], ours["jobs"], ours["late"]) == ("thumbnail", 302, outcomes[0].figures.late)
    assert (keda["unfinished"], ours["unfinished"], ours["interrupted"]) == (1, 0, 0), "the long job, longer than KEDA's cooldown"
    assert keda["interrupted"] > 1
    assert len(ours["over_time"]["wait"]) == len(keda["over_time"]["replicas"]) == 120
    assert ours["decisions"][0]["after"] == 10


def test_all_are_looked_at_for_the_same_time_until_they_rest() -> None:
    outcomes = compared()
    assert len({outcome.world.now for outcome in outcomes}) == 1
    assert [outcome.world.replicas for outcome in outcomes] == [0, 0, 1]


def test_policies_that_give_a_rival_the_same_terms_share_it() -> None:
    same = NamedPolicy("other", Policy(queues=(Queue(name="a", concurrency=5),), target=MaxWait(5)))
    more = NamedPolicy("more", Policy(queues=(Queue(name="a", concurrency=5),), max_replicas=30))
    names = [outcome.name for outcome in contest(BURST, [NAMED, same, more], [Rival.parse("keda")], Setting())]
    assert names == ["thumbnail", "other", "more", "keda for thumbnail", "keda for more"]


def test_a_policy_whose_queues_have_no_job_in_the_trace_is_refused() -> None:
    trace = Trace(name="mails", jobs=(Job(0, 1, "email"),))
    with pytest.raises(SimulationError, match="mails has no job for thumbnail, whose queues are a: its jobs are of email"):
        contest(trace, [NAMED], [], Setting())


def test_what_never_gets_done_is_said() -> None:
    trace = Trace(name="later", jobs=(Job(0, 1, delay=60),))
    told = text(trace, contest(trace, [NAMED], [Rival.parse("keda")], AT_ONCE), 80, decisions=False)
    assert "keda never did 1 job: nothing would have woken it." in told


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("knative", "--against is 'knative', and there are keda and hpa"),
        ("keda:speed=3", "--against keda knows no 'speed'; it knows target, min, max, sync, activation, polling, cooldown"),
        ("hpa:min=few", "--against hpa: min is 'few': write a whole number"),
        ("hpa:target=0", "--against hpa: target is '0': write a number above zero"),
        ("keda:polling=often", "--against keda: polling is 'often', which is no duration"),
        ("keda:min=20", "--against keda: min is 20, more than max, 10"),
    ],
)
def test_wrong_terms_of_a_rival_are_named(written: str, complaint: str) -> None:
    with pytest.raises(SimulationError) as caught:
        compared([written])
    assert complaint in str(caught.value)


def test_a_rivals_terms_are_those_that_are_said_and_else_the_policys() -> None:
    (_, keda) = compared(["keda:target=100,max=3,polling=5s"])
    assert keda.figures.peak_replicas == 3
