"""What was measured, what was hoped for, and how both are shown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.stage import percentile
from rich.console import Console
from rich.table import Table

Samples = Sequence[float]
"""One number per round."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row should reach. ``met`` gets all samples of our side and of the peer's."""

    text: str
    met: Callable[[Samples, Samples], bool]


def times_peer(factor: float, peer: str = "Bull") -> Goal:
    """At least so many times the peer's number, median against median."""
    return Goal(f"≥ {factor:g}× {peer}", lambda ours, peer: ratio(ours, peer) >= factor)


def at_most_peer(factor: float = 1, peer: str = "Bull") -> Goal:
    return Goal(f"≤ {factor:g}× {peer}", lambda ours, peer: ratio(ours, peer) <= factor)


def at_most(limit: float, unit: str, share: float | None = None) -> Goal:
    """An absolute limit on our median, or on a percentile (``share`` 0.95)."""
    return Goal(f"≤ {limit:g} {unit}".rstrip(), lambda ours, peer: figure(ours, share) <= limit)


def always_within(low: float, high: float) -> Goal:
    """Every sample, not only the median."""
    return Goal(f"{low:g} to {high:g}", lambda ours, peer: all(low <= one <= high for one in ours))


def ratio(ours: Samples, peer: Samples, share: float | None = None) -> float:
    """Our median (or percentile) over the peer's; infinite when the peer has nothing."""
    theirs = figure(peer, share)
    return figure(ours, share) / theirs if theirs else float("inf")


def figure(samples: Samples, share: float | None) -> float:
    """The one number that stands for all: the median, or the smallest that at least ``share`` of them do not exceed."""
    return statistics.median(samples) if share is None else percentile(list(samples), share)


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: a number per round for our side, and for the peer where there is one."""

    name: str
    unit: str
    ours: Samples
    peer: Samples = ()
    goal: Goal | None = None
    share: float | None = None
    """Which sample stands for all of them, 0.95 say; None: the median."""

    @property
    def met(self) -> bool | None:
        """None where there is no goal."""
        return self.goal.met(self.ours, self.peer) if self.goal else None

    @property
    def ratio(self) -> float | None:
        return ratio(self.ours, self.peer, self.share) if self.peer and figure(self.peer, self.share) else None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "ours": _rounded(figure(self.ours, self.share)),
            "peer": _rounded(figure(self.peer, self.share)) if self.peer else None,
            "unit": self.unit,
            "ratio": _rounded(self.ratio),
            "goal": self.goal.text if self.goal else None,
            "met": self.met,
        }


def write(folder: Path, suite: str, rows: Sequence[Row]) -> Path:
    """``<suite>.json`` with the medians, ``samples/<suite>.json`` with every round's number."""
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite}.json"
    path.write_text(json.dumps([row.as_json() for row in rows], indent=2, ensure_ascii=False) + "\n")
    samples = [{"name": row.name, "unit": row.unit, "ours": list(row.ours), "peer": list(row.peer)} for row in rows]
    (folder / "samples" / f"{suite}.json").write_text(json.dumps(samples, indent=2, ensure_ascii=False) + "\n")
    return path


def show(console: Console, title: str, rows: Sequence[Row], peer: str = "Bull 4.16.5") -> None:
    table = Table(title=title, title_justify="left", caption="min / median / max over the rounds; ratio of the medians"
                  + (" (in a row of a percentile: that one)" if any(row.share for row in rows) else ""), caption_justify="left")
    table.add_column("")
    for heading in ("ours", peer, "unit", "ratio", "goal", "met"):
        table.add_column(heading, justify="left" if heading in ("unit", "goal") else "right")
    for row in rows:
        table.add_row(row.name, _spread(row.ours, row.share), _spread(row.peer, row.share), row.unit, _times(row.ratio),
                      row.goal.text if row.goal else "", {None: "", True: "yes", False: "[bold red]NO[/]"}[row.met])
    console.print(table)


def _spread(samples: Samples, share: float | None) -> str:
    if not samples:
        return "–"
    return " / ".join(_short(one) for one in (min(samples), figure(samples, share), max(samples)))


def _short(number: float) -> str:
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def _times(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}×"


def _rounded(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.4g}")
