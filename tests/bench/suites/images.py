"""A thumbnail and the four variants of a 12 MP picture: how many a second, one after another, and the memory that the four take.

Both sides begin with a file that has just been written and end with files. In between sharp works on buffers, as in the web app; ours
speaks with the codec process that does the work.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from bench import pictures
from bench.results import Row, at_most_peer, times_peer
from bench.stage import Stage, cpu_seconds, peak_mb

PEER = pictures.PEER
_EACH_ROUND = 5
_WARM_UP = 3
_GOALS = {"thumbnail": 1.0, "four variants": 1.8}


async def run(stage: Stage) -> list[Row]:
    rows = []
    with pictures.folder() as place:
        for name, source in pictures.sources().items():
            copy = Path(shutil.copy(source, place))
            for job, factor in _GOALS.items():
                seen = await _measured(copy, job, place, stage.rounds)
                rows.append(Row(f"{name}: {job}", "per s", seen["ours"].rates, seen["sharp"].rates, times_peer(factor, "sharp")))
                rows.append(Row(f"{name}: {job}, CPU", "ms", seen["ours"].cpu_ms, seen["sharp"].cpu_ms))
            rows.append(Row(f"{name}: peak memory of the four", "MB", seen["ours"].peaks, seen["sharp"].peaks, at_most_peer(0.5, "sharp")))
            peaks = await _fresh_peaks(copy, place, stage.rounds)
            rows.append(Row(f"{name}: the same, once in a fresh process", "MB", peaks["ours"], peaks["sharp"], at_most_peer(0.5, "sharp")))
    return rows


@dataclass
class _Seen:
    """A number a round: jobs a second, CPU a job, and the most memory until then."""

    rates: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)


async def _measured(source: Path, job: str, place: Path, rounds: int) -> dict[str, _Seen]:
    """Within a round the sides take turns, so that a busy moment hits both. Ours is two processes, the one that asks and the codec."""
    seen = {"ours": _Seen(), "sharp": _Seen()}
    async with pictures.side("ours", place) as ours, pictures.side("sharp", place) as sharp:
        peers = (ours, sharp)
        for number in range(rounds + 1):
            took = dict.fromkeys(seen, 0.0)
            used = {peer.side: -cpu_seconds(peer.pid) for peer in peers}
            for _ in range(_EACH_ROUND if number else _WARM_UP):
                for peer in peers:
                    took[peer.side] += await peer.ask("render", source=str(source), wanted=pictures.wanted(job, peer.side, place))
            for peer in peers if number else ():
                mine = seen[peer.side]
                mine.rates.append(1000 * _EACH_ROUND / took[peer.side])
                mine.cpu_ms.append(1000 * (used[peer.side] + cpu_seconds(peer.pid)) / _EACH_ROUND)
                mine.peaks.append(peak_mb(peer.pid))
    return seen


async def _fresh_peaks(source: Path, place: Path, rounds: int) -> dict[str, list[float]]:
    """One job each; most of it is Node and Python themselves."""
    samples: dict[str, list[float]] = {"ours": [], "sharp": []}
    for _ in range(rounds):
        for side, peaks in samples.items():
            async with pictures.side(side, place) as peer:
                await peer.ask("render", source=str(source), wanted=pictures.wanted("four variants", side, place))
                peaks.append(peak_mb(peer.pid))
    return samples
