"""The metrics that are exported are those that README.md lists."""

from __future__ import annotations

import asyncio
import re

from kayan_operator.cluster.fleet import Key
from kayan_operator.decision.facts import Consumers
from kayan_operator.metrics import Metrics
from prometheus_client.parser import text_string_to_metric_families
from servers import PROJECT

STATUS = {
    "desiredReplicas": 3, "replicas": 2, "readyReplicas": 1, "backlog": 7, "waiting": 4, "active": 3, "due": 0, "oldestWaitingSeconds": 9,
    "conditions": [{"type": "Ready", "status": "True", "reason": "Scaling"}],
}  # fmt: skip


def exported() -> dict[str, list[tuple[str, float]]]:
    page = asyncio.run(Metrics(lambda: [(Key("kayan", "email"), STATUS)]).page()).decode()
    return {
        family.name: [(sample.name, sample.value) for sample in family.samples] for family in text_string_to_metric_families(page)
        if family.name.startswith("kayan_")
    }  # fmt: skip


def documented() -> set[str]:
    table = (PROJECT / "operator" / "README.md").read_text().partition("## Metrics")[2].partition("\n## ")[0]
    names: set[str] = set()
    for row in re.findall(r"^\| (`kayan_[^|]+)", table, re.MULTILINE):
        first, *others = re.findall(r"`([a-z_]+)`", row)
        stem = "_".join(first.split("_")[:2])
        names |= {first, *(name if name.startswith("kayan_") else stem + name for name in others)}
    return {name.removesuffix("_total") for name in names}


def test_each_metric_is_documented_and_each_documented_one_is_there() -> None:
    assert documented() == exported().keys()


def test_who_consumes_is_shown_while_it_is_known() -> None:
    metrics, key = Metrics(), Key("kayan", "email")

    def shown() -> dict[str, float]:
        return {sample.labels["kind"]: sample.value for family in metrics.consumers.collect() for sample in family.samples}

    metrics.show_consumers(key, Consumers(frozenset(["a", "b"]), 3))
    assert shown() == {"pod": 2, "node": 3}
    metrics.show_consumers(Key("kayan", "other"), None)
    assert shown() == {"pod": 2, "node": 3}
    metrics.show_consumers(key, None)
    assert shown() == {}, "unknown is not zero"
    metrics.show_consumers(key, Consumers())
    assert shown() == {"pod": 0, "node": 0}
    metrics.forget(key)
    assert shown() == {}


def test_a_scaler_is_shown_by_its_status() -> None:
    found = exported()
    assert found["kayan_scaler_desired_replicas"] == [("kayan_scaler_desired_replicas", 3)]
    assert found["kayan_scaler_oldest_waiting_seconds"] == [("kayan_scaler_oldest_waiting_seconds", 9)]
    assert found["kayan_scaler_condition"] == [("kayan_scaler_condition", 1)]


async def test_everybody_else_has_turns_while_the_page_of_a_thousand_scalers_is_made() -> None:
    making = asyncio.create_task(Metrics(lambda: [(Key("kayan", f"queue-{number}"), STATUS) for number in range(1000)]).page())
    turns = 0
    while not making.done():
        await asyncio.sleep(0)
        turns += 1
    assert making.result().count(b"kayan_scaler_backlog_jobs{") == 1000
    assert turns > 10
