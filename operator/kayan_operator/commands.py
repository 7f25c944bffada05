"""What the operator adds to the command ``kayan``: arguments and help. What a command does is imported when it is called.

Each function here is a command by an entry of ``kayan.commands`` in ``pyproject.toml``.
"""

from __future__ import annotations

from typing import Annotated, NoReturn, Optional

import typer

FAILED, USAGE = 1, 2


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the command with a sentence."""
    typer.echo(f"kayan: {message}", err=True)
    raise typer.Exit(code)


def simulate(
    traces: Annotated[
        list[str], typer.Option("--trace", "-t", metavar="FILE", help="Traffic: described (.yaml, .json) or jobs (.csv, .jsonl, .json).")
    ],
    policies: Annotated[
        list[str], typer.Option("--policy", "-p", metavar="FILE", help="QueueScalers as in the cluster, or the spec of one: YAML or JSON.")
    ],
    against: Annotated[
        Optional[list[str]],  # noqa: UP045  typer reads it at run time
        typer.Option("--against", metavar="RULE", help="A rival's rule beside them: keda, hpa, or with terms keda:target=5,polling=10s."),
    ] = None,
    startup: Annotated[str, typer.Option("--startup", metavar="SPREAD", help="How long a pod takes to start: 5s, uniform 3s 12s.")] = "5s",
    actuation: Annotated[str, typer.Option("--actuation", metavar="TIME", help="From a decision to the pod's creation.")] = "50ms",
    slots: Annotated[
        int, typer.Option("--slots", metavar="N", min=1, max=100_000, help="Jobs of a queue that a pod runs, if no concurrency says so.")
    ] = 5,
    grace: Annotated[str, typer.Option("--grace", metavar="TIME", help="In which an ended pod may finish its jobs.")] = "30s",
    look: Annotated[str, typer.Option("--look", metavar="TIME", help="Between our operator's looks at a queue with jobs.")] = "1s",
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of startup times and of the rivals' clocks.")] = 0,
    decisions: Annotated[bool, typer.Option("--decisions", help="List every change of the replicas, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay traffic and see what policies make of it: how long jobs wait, and what the pods cost. Needs no server and no cluster.

    A trace describes its traffic (bursts, and steady, ramping and daily rates: see operator/README.md), or lists its jobs with
    `at` and `seconds`; what `kayan jobs QUEUE --state completed -n 10000 --json` prints will do.
    """
    from kayan_operator.simulate.command import simulate as run
    from kayan_operator.simulate.trouble import SimulationError

    options = {"startup": startup, "actuation": actuation, "grace": grace, "look": look}
    try:
        text = run(traces, policies, against or [], options, slots=slots, seed=seed, decisions=decisions, as_json=as_json)
    except SimulationError as error:
        fail(str(error), USAGE)
    typer.echo(text)
