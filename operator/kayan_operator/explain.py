"""What people read of remembered decisions: text and tables, from records alone. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from kayan_workers.tables import plain_table, printable

from kayan_operator.decision.sentences import consumers, pods, seconds
from kayan_operator.queues.records import Record

_EARLIER = 5
"""How many changes before the present are told with it."""


def why(name: str, look: Record, earlier: Sequence[Record], now: float) -> str:
    """The chain of reasoning of the latest look, and what was decided before. ``earlier`` has the newest first."""
    lines = [f"{name}: {_verdict(look)}. Looked at {_ago(look.at, now)}, {clock(look.at)}."]
    if look.pods is not None and look.node_workers is not None:
        lines[0] += f" {_sentence(consumers(look.pods, look.node_workers))}"
    lines += [f"  {number}. {printable(_sentence(step.sentence))}" for number, step in enumerate(look.steps, 1)]
    before = [record for record in earlier if record.at <= look.at]
    if before:
        lines += ["", "What was decided, the latest first:", _indented(decisions(before[:_EARLIER], now))]
    return "\n".join(lines)


def decisions(records: Sequence[Record], now: float) -> str:
    """A table of decisions in the order in which they are given."""
    rows = [
        (clock(one.at), _ago(one.at, now), f"{one.replicas} → {one.desired}", round(one.load, 1), one.reason, one.because)
        for one in records
    ]
    return plain_table(("at", "", "pods", "load", "rule", "because"), rows)


def as_json(record: Record) -> dict[str, Any]:
    """A record for machines, with the sentences."""
    return {
        "at": datetime.fromtimestamp(record.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "replicas": record.replicas,
        "desired": record.desired,
        "load": record.load,
        "mode": record.mode,
        "reason": record.reason,
        "message": record.because,
        "consumers": None if record.pods is None else {"pods": record.pods, "node": record.node_workers},
        "steps": [
            {"rule": step.rule, "before": step.before, "after": step.after, "sentence": step.sentence, "figures": dict(step.figures)}
            for step in record.steps
        ],
    }


def clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _verdict(record: Record) -> str:
    advice = " (advisory: nothing is changed)" if record.mode == "advisory" else ""
    if record.desired == record.replicas:
        return f"{pods(record.replicas)}, as wanted{advice}"
    return f"{pods(record.replicas)}, {record.desired} wanted{advice}"


def _ago(at: float, now: float) -> str:
    return "just now" if now - at < 1 else f"{seconds(round(now - at))} ago"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
