"""Writes tests/unit/bull/cron_vectors.json: expressions and the slots that cron-parser 4.9.0 gives them.

Run it after a change of cases: ``PYTHONPATH=tests .venv/bin/python -m wire.write_cron_vectors``.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from wire import node_packages
from wire.cron_cases import ZONES, Case, ask_node, clock_changes

VECTORS = Path(__file__).parent.parent / "unit" / "bull" / "cron_vectors.json"

EXPRESSIONS = [
    "0 5 * * *",
    "*/15 * * * *",
    "30 2 * * *",
    "0 0 * * *",
    "0 0 1 * *",
    "0 3 * * 0",
    "30 1,2,3 * * *",
    "15 30 2 * * *",
    "*/10 * 2 * * *",
    "0 0 L * *",
    "0 12 * * 5L",
    "0 9 * * 5#2",
    "0 9 * * mon-fri",
    "0 0 29 2 *",
    "0 0 31 * *",
    "59 23 * * *",
    "0 */2 * * *",
    "0 0 13 * 5",
    "0 0 31 2,4 *",
    "@weekly",
    "0 0 * * L",
    "0 1-3 * 3,10,11 *",
    "30 0 * * *",
]


def write() -> None:
    """The same cases every time: each expression in some zones, before and after a change of their clocks."""
    node_packages.install()
    pick = random.Random(1)
    some: list[Case] = []
    for cron in EXPRESSIONS:
        for zone in pick.sample(ZONES, 7):
            change = pick.choice(clock_changes(zone))
            some.append({"cron": cron, "tz": zone, "at": change + pick.randint(-30, 6) * 3_600_000 + pick.randint(0, 59) * 60_000})
    rows = [json.dumps(case | {"next": slot}) for case, slot in zip(some, ask_node(some), strict=True)]
    VECTORS.write_text("[\n" + ",\n".join(rows) + "\n]\n")


if __name__ == "__main__":
    write()
