"""``kayan simulate``: files and options in, text out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from kayan_operator.simulate import report
from kayan_operator.simulate.amounts import Spread, duration
from kayan_operator.simulate.contest import contest
from kayan_operator.simulate.policies import NamedPolicy, read_policies
from kayan_operator.simulate.rivals import Rival
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traces import read_trace
from kayan_operator.simulate.trouble import SimulationError

_NARROWEST, _USUAL = 80, 100


def simulate(traces: Sequence[str], policies: Sequence[str], against: Sequence[str], times: Mapping[str, str], *, slots: int, seed: int,
             decisions: bool, as_json: bool) -> str:
    """What is to be printed. ``times`` are options as they were written. Raises SimulationError."""
    setting = _setting(times, slots, seed)
    rivals = [Rival.parse(written) for written in against]
    named = _apart([one for path in policies for one in read_policies(Path(path))])
    found = []
    for path in traces:
        trace = read_trace(Path(path))
        found.append((trace, contest(trace, named, rivals, setting)))
    if as_json:
        whole = [report.as_json(trace, outcomes, decisions=decisions) for trace, outcomes in found]
        return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode()
    width = max(_NARROWEST, shutil.get_terminal_size((_USUAL, 24)).columns)
    return "\n\n\n".join(report.text(trace, outcomes, width, decisions=decisions) for trace, outcomes in found)


def _setting(times: Mapping[str, str], slots: int, seed: int) -> Setting:
    look = duration(times["look"], "--look")
    if look < 0.05:
        raise SimulationError(f"--look is {times['look']}: write 50ms at least")
    return Setting(startup=Spread.parse(times["startup"], "--startup"), actuation=duration(times["actuation"], "--actuation"), slots=slots,
                   grace=duration(times["grace"], "--grace"), look=look, seed=seed)


def _apart(named: list[NamedPolicy]) -> list[NamedPolicy]:
    """With names of their own: two versions of a resource in two files are called alike."""
    names = [one.name for one in named]
    return [
        one if names.count(one.name) == 1 else replace(one, name=f"{one.name} ({names[: place + 1].count(one.name)})")
        for place, one in enumerate(named)
    ]
