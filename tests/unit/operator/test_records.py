"""What is remembered of a decision, and how it reads."""

from __future__ import annotations

import json
from typing import Any

from kayan_operator import explain
from kayan_operator.decision.decide import Decision, Step, decide
from kayan_operator.decision.facts import Consumers, QueueFacts, Snapshot, Unread
from kayan_operator.decision.history import History
from kayan_operator.decision.policy import JobsPerReplica, MaxWait, Policy, Queue
from kayan_operator.decision.sentences import sentence
from kayan_operator.queues.records import Record, RecordedStep

POLICY = Policy(queues=(Queue(name="thumbnail-generation"),), target=JobsPerReplica(10), max_replicas=4, mode="direct")
NOW = 1_796_000_000.0


def decided(facts: QueueFacts | Unread, *, replicas: int = 1, policy: Policy = POLICY) -> Decision:
    shot = Snapshot(at=500.0, wall=NOW, queues=(facts,), replicas=replicas, ready=replicas)
    return decide(shot, policy, History.begin(shot))


def record(decision: Decision | None = None, *, at: float = NOW - 5, **more: Any) -> Record:
    return Record.of(decision or decided(QueueFacts(waiting=90, active=5)), more.get("policy", POLICY), at)


def test_a_record_comes_back_as_it_was_with_every_sentence() -> None:
    for decision in (
        decided(QueueFacts(waiting=90, active=5)),
        decided(QueueFacts(next_due=3.3333333)),
        decided(Unread("Redis hangs", 3.25)),
        decided(QueueFacts(waiting=7, oldest_age=1 / 3), policy=Policy(queues=POLICY.queues, target=MaxWait(30))),
    ):
        written = record(decision)
        read = Record.parse(written.text())
        assert read == written
        assert read is not None
        assert [step.sentence for step in read.steps] == [sentence(step) for step in decision.steps]
        assert (read.replicas, read.desired, read.reason) == (decision.replicas, decision.desired, decision.reason)


def test_a_record_is_small() -> None:
    assert len(record().text()) < 400


def test_what_is_no_record_is_none() -> None:
    for text in (b"", b"{}", b'{"at": "x"}', b"[1]", b"\xff", b'{"at":1,"replicas":1,"desired":1,"steps":[["Backlog"]]}'):
        assert Record.parse(text) is None


def test_a_rule_of_another_version_is_shown_without_a_sentence() -> None:
    assert RecordedStep("Moonphase", 3, 5, {"phase": "full"}).sentence == "Moonphase: 3 → 5"
    assert RecordedStep("MaxReplicas", 9, 4, {}).sentence == "never more than 4 pods (maxReplicas)"
    assert RecordedStep("FailedJobs", 9, 4, {"failed": None}).sentence == "FailedJobs: 9 → 4"


def test_looks_that_differ_in_figures_alone_say_the_same() -> None:
    one, other = record(decided(QueueFacts(waiting=92))), record(decided(QueueFacts(waiting=93)))
    assert one.steps != other.steps
    assert one.says_the_same_as(other)
    assert not one.says_the_same_as(record(decided(QueueFacts(waiting=90), replicas=2)))


def test_why_says_the_chain_and_what_came_before() -> None:
    earlier = [record(at=NOW - 5), record(decided(QueueFacts(), replicas=1), at=NOW - 125), record(at=NOW + 60)]
    text = explain.why("kayan/thumbnail", record(), earlier, NOW)
    assert text.splitlines()[:3] == [
        "kayan/thumbnail: 1 pod, 4 wanted. Looked at 5 s ago, 2026-11-30 00:53:15 UTC.",
        "  1. 90 waiting, 5 active and 0 due soon, at 10 jobs for each pod, deserve 10 pods.",
        "  2. Never more than 4 pods (maxReplicas).",
    ]
    assert "What was decided, the latest first:" in text
    [newer, older] = text.splitlines()[-2:]
    assert "1 → 4" in newer
    assert "MaxReplicas" in newer
    assert "2 min ago" in older
    assert "1 → 1" in older


def test_who_waits_for_jobs_is_said_when_it_is_known() -> None:
    seen = Record.of(decided(QueueFacts()), POLICY, NOW - 5, Consumers(frozenset(["a", "b"]), 1))
    assert explain.why("a/b", seen, [], NOW).splitlines()[0].endswith("UTC. 2 pods and 1 Node worker wait for jobs of its queues.")
    assert explain.as_json(seen)["consumers"] == {"pods": 2, "node": 1}
    assert Record.parse(seen.text()) == seen
    nobody = Record.of(decided(QueueFacts()), POLICY, NOW - 5, Consumers())
    assert "Nobody waits for jobs of its queues." in explain.why("a/b", nobody, [], NOW)
    assert "jobs of its queues" not in explain.why("a/b", record(), [], NOW), "unknown is not nobody"
    assert explain.as_json(record())["consumers"] is None


def test_a_number_that_is_right_and_an_advisory_one_say_so() -> None:
    resting = record(decided(QueueFacts(waiting=9), replicas=1))
    assert explain.why("a/b", resting, [], NOW).startswith("a/b: 1 pod, as wanted. Looked")
    advisory = Policy(queues=POLICY.queues, mode="advisory", max_replicas=20)
    assert "10 wanted (advisory: nothing is changed)" in explain.why("a/b", record(policy=advisory, at=NOW, decision=decided(
        QueueFacts(waiting=100), policy=advisory)), [], NOW)


def test_names_of_queues_cannot_forge_lines_of_the_terminal() -> None:
    step = Step("Unknown", 3, 3, {"queue": "mail", "why": "gone\n\x1b[2J", "seconds": 1})
    look = Record(at=NOW, replicas=3, desired=3, reason="Unknown", steps=(RecordedStep(step.rule, 3, 3, step.figures),))
    for text in (explain.why("a/b", look, [look], NOW), explain.decisions([look], NOW)):
        assert "\x1b" not in text
        assert "gone\\n" in text


def test_machines_get_figures_and_sentences() -> None:
    told = explain.as_json(record())
    assert json.loads(json.dumps(told)) == told
    assert (told["at"], told["replicas"], told["desired"], told["reason"]) == ("2026-11-30T00:53:15.000Z", 1, 4, "MaxReplicas")
    assert told["steps"][0]["figures"] == {"waiting": 90, "active": 5, "due": 0, "jobs_per_replica": 10}
    assert told["steps"][1]["sentence"] == told["message"] == "never more than 4 pods (maxReplicas)"
