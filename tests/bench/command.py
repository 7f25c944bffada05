"""The command line: which suites, how many jobs and rounds; prints tables and writes build/bench/<suite>.json."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import platform
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import servers
from bench import peers, results
from bench.stage import Stage, stage
from rich.console import Console
from wire import node_packages

SUITES = {
    "process": "one worker process drains a full queue, concurrency 10 and 50",
    "add": "adding one by one and in bulk",
    "latency": "added → handler starts, on an idle queue",
    "idle": "commands and CPU of 1 and of 100 idle workers",
    "fleet": "10 and 100 workers on one queue at 200 and 1,000 jobs/s",
    "spread": "40 heavy jobs at 10 idle workers of 5 slots",
    "memory": "resident memory of an idle notification worker",
    "analytics": "views and downloads until the last row is in PostgreSQL, a whole worker beside the app's own",
    "notifications": "the same with notifications",
    "media": "the most memory that a media worker takes over large and hostile pictures",
    "images": "thumbnail and four variants of 12 MP pictures, beside sharp: speed and peak memory",
    "quality": "the same variants: how like sharp's they look, and how large they are",
    "films": "three sizes of a film in one run of ffmpeg, beside three runs with the same settings",
    "start": "from the start of the process to its first job handled",
}

ON_A_CLUSTER = {
    "operator": "the operator on the cluster of KUBECONFIG: reaction, bursts, a thousand scalers, external metrics, a flood",
}
"""Only where they are asked for by name."""

FOLDER = servers.BUILD / "bench"

FULL: Mapping[str, float] = {"jobs": 100_000, "rounds": 5, "seconds": 30.0, "scalers": 1000}
QUICK: Mapping[str, float] = {"jobs": 2000, "rounds": 1, "seconds": 3.0, "scalers": 100}
"""How much of everything, unless it is said."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suites. Exits with 0 whatever the numbers are: a slow machine is no broken build."""
    chosen = _parser().parse_args(arguments)
    suites = chosen.suites or list(SUITES)
    amounts = QUICK if chosen.quick else FULL
    chosen = argparse.Namespace(**{name: amounts.get(name) if value is None else value for name, value in vars(chosen).items()})
    console = Console(width=None if os.environ.get("COLUMNS") or Console().is_terminal else 180)
    if trouble := _hindrance(suites):
        console.print(trouble, soft_wrap=True)
        return 1
    signal.signal(signal.SIGTERM, _end)
    missed = 0
    for suite in suites:
        missed += _run(console, suite, chosen)
    console.print(f"written to {chosen.folder}; " + ("every goal is met" if not missed else f"{missed} goals are not met"))
    return 0


def _end(*_: object) -> None:
    """What was started is ended and removed, as it is after Ctrl-C."""
    sys.exit(128 + signal.SIGTERM)


def suites_of(arguments: Sequence[str]) -> list[str]:
    """The suites that a command line asks for."""
    return _parser().parse_args(arguments).suites or list(SUITES)


def _hindrance(suites: Sequence[str]) -> str:
    """Why they cannot be run here; empty when they can. What npm brings is installed."""
    for suite in ON_A_CLUSTER.keys() & set(suites):
        if trouble := str(importlib.import_module(f"bench.suites.{suite}").hindrance()):
            return f"Nothing to measure on: {trouble}"
    try:
        node_packages.install()
        if SUITES.keys() & set(suites):
            node_packages.install(peers.SHARP)
    except servers.UnavailableError as error:
        return f"Nothing to measure against: {error}"
    return ""


def _run(console: Console, suite: str, chosen: argparse.Namespace) -> int:
    """One suite from its server to its table; returns how many goals it missed."""
    began = time.perf_counter()
    with stage(jobs=chosen.jobs, rounds=chosen.rounds, seconds=chosen.seconds, profile=chosen.profile, scalers=chosen.scalers) as place:
        module = importlib.import_module(f"bench.suites.{suite}")
        rows: list[results.Row] = asyncio.run(module.run(place))
        title = f"{suite}: {(SUITES | ON_A_CLUSTER)[suite]} · {_conditions(place)} · took {time.perf_counter() - began:.0f} s"
    results.write(chosen.folder, suite, rows)
    results.show(console, title, rows, getattr(module, "PEER", "Bull 4.16.5"))
    for note in place.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    for name, text in place.profiles.items():
        console.print(f"[bold]where the time goes: {name}[/]")
        console.print(text, markup=False, highlight=False)
    if place.profiles:
        (chosen.folder / f"{suite}.profile.txt").write_text("\n\n".join(f"{name}\n{text}" for name, text in place.profiles.items()) + "\n")
    return sum(row.met is False for row in rows)


def _conditions(place: Stage) -> str:
    with place.server.client() as client:
        version = client.info("server").get("redis_version")
    return f"N = {place.jobs:,}, {place.rounds} rounds, Redis {version}, Python {platform.python_version()}, {os.cpu_count()} cores"


def _suite(name: str) -> str:
    if name not in SUITES | ON_A_CLUSTER:
        raise argparse.ArgumentTypeError(f"{name!r} is no suite; there are {', '.join(SUITES | ON_A_CLUSTER)}")
    return name


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:13} {text}" for name, text in (SUITES | ON_A_CLUSTER).items())
    parser = argparse.ArgumentParser(
        prog="python tests/bench", description=__doc__, epilog=f"suites:\n{listing}", formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # argparse would check an empty list against `choices` as well, as if it were a suite
    parser.add_argument("suites", nargs="*", type=_suite, metavar="SUITE", help="default: all that need no cluster")
    for name, what, text in (
        ("jobs", "N", "jobs per round of process and add; operator: of a burst, at most 1000"),
        ("rounds", "R", "alternating rounds A B A B"),
        ("seconds", "S", "length of a timed window; fleet: at most 10"),
        ("scalers", "N", "operator: QueueScalers on one Redis"),
    ):
        parser.add_argument(f"--{name}", type=type(FULL[name]), metavar=what, help=f"{text} (default {FULL[name]:,g})")
    parser.add_argument("--quick", action="store_true", help="a look: " + ", ".join(f"{name} {QUICK[name]:g}" for name in QUICK))
    parser.add_argument("--profile", action="store_true", help="sample our side even where every goal is met")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the JSON goes (default build/bench)")
    return parser
