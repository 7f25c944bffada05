"""Three sizes of a film from one run of ffmpeg, beside three runs one after the other, as the web app makes them.

Both sides have the same encoder settings, sizes and binary; ours pays for looking into the file first, as the processor does. What one
run saves is the second and third decoding, and scaling down from the largest instead of from the source; encoding costs the same on
both sides, and is most of the work. So the gain grows with the source.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import servers
from bench.results import Goal, Row, ratio
from bench.stage import Stage
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.films import video
from kayan_workers.media.films.probe import Probe, probe
from kayan_workers.media.geometry import fit_even
from kayan_workers.media.rendition import Transcode
from kayan_workers.processors.variant import VIDEO_RECIPES

PEER = "three runs of ffmpeg"
FASTER = 1.3
SECONDS = 5.0
FILMS = {"1920x1080, H.264": ("1920x1080", "12M"), "3840x2160, H.264": ("3840x2160", "45M")}
"""What phones and cameras make: name -> size and bit rate."""
FOLDER = servers.BUILD / "bench" / "films"


async def run(stage: Stage) -> list[Row]:
    ffmpeg = Ffmpeg()
    rows = []
    for name, (size, bit_rate) in FILMS.items():
        source = await asyncio.to_thread(_film, ffmpeg, size, bit_rate)
        rows += await asyncio.to_thread(_measured, stage, ffmpeg, name, source)
    return rows


def _measured(stage: Stage, ffmpeg: Ffmpeg, name: str, source: Path) -> list[Row]:
    """Rounds that alternate, after one of each that brings the film into memory."""
    found = probe(ffmpeg, source)
    sides: dict[str, Callable[[], None]] = {"one": lambda: _one_run(ffmpeg, source), "three": lambda: _three_runs(ffmpeg, source, found)}
    speed: dict[str, list[float]] = {side: [] for side in sides}
    work: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(1 + stage.rounds):
        for side, make in sides.items():
            began, used = time.perf_counter(), _cpu_seconds()
            make()
            if number:
                speed[side].append(SECONDS / (time.perf_counter() - began))
                work[side].append((_cpu_seconds() - used) / SECONDS)
    stage.profiles[name] = _where_time_goes(ffmpeg, source, statistics.median(work["one"]))
    goal = Goal(f"≥ {FASTER:g}× three runs", lambda ours, peer: ratio(ours, peer) >= FASTER)
    return [
        Row(f"{name}: three sizes", "s of film/s", speed["one"], speed["three"], goal),
        Row(f"{name}: CPU for them", "s/s of film", work["one"], work["three"]),
    ]


def _one_run(ffmpeg: Ffmpeg, source: Path) -> None:
    video.films(source, _wanted(), [], ffmpeg)


def _three_runs(ffmpeg: Ffmpeg, source: Path, found: Probe) -> None:
    """ffmpeg chooses itself how many threads decode, as for the web app."""
    for copy in _wanted():
        arguments = video.transcode_arguments(found, [copy], [fit_even(video.moving(found)[1].size, copy.box)])
        ffmpeg.run(source, arguments, time_limit_seconds=3600)


def _wanted() -> list[Transcode]:
    recipes = {name: recipe for name, recipe in VIDEO_RECIPES.items() if recipe.bit_rate}
    return [Transcode(to=FOLDER / f"{name}.mp4", box=recipe.box, bit_rate=recipe.bit_rate or "") for name, recipe in recipes.items()]


def _where_time_goes(ffmpeg: Ffmpeg, source: Path, whole: float) -> str:
    """CPU of decoding alone and of encoding each size, in seconds for a second of film."""

    def cost(make: Callable[[], object]) -> float:
        used = _cpu_seconds()
        make()
        return (_cpu_seconds() - used) / SECONDS

    found = probe(ffmpeg, source)
    size = video.moving(found)[1].size
    decoding = cost(lambda: ffmpeg.run(source, ["-map", "0:V:0", "-f", "null", "-"], time_limit_seconds=3600))
    lines = [f"{whole:6.3f}  all three sizes in one run", f"{decoding:6.3f}  decoding, once"]
    for copy in _wanted():
        made = fit_even(size, copy.box)
        arguments = video.transcode_arguments(found, [copy], [made])
        alone = cost(lambda arguments=arguments: ffmpeg.run(source, arguments, time_limit_seconds=3600))  # type: ignore[misc]
        lines.append(f"{alone - decoding:6.3f}  scaling and encoding {made[0]}x{made[1]} alone")
    return "\n".join(lines)


def _cpu_seconds() -> float:
    """Of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _film(ffmpeg: Ffmpeg, size: str, bit_rate: str) -> Path:
    """A flight into the Mandelbrot set with something moving across it and grain over all; made once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    film = FOLDER / f"{size}.mp4"
    if not film.exists():
        unfinished = film.with_suffix(".part.mp4")
        graph = ("[0]format=yuv420p[m];[m][1]overlay=x='(W-w)/2+sin(t)*W/3':y='(H-h)/2+cos(t)*H/3',"
                 f"scale={size.replace('x', ':')},noise=alls=6:allf=t+u,format=yuv420p[v]")
        subprocess.run([
            ffmpeg.binary, "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", "mandelbrot=s=1920x1080:r=30:end_scale=0.02:end_pts=300",
            "-f", "lavfi", "-i", "testsrc2=s=480x270:r=30", "-f", "lavfi", "-i", "sine=440:r=48000",
            "-filter_complex", graph, "-map", "[v]", "-map", "2", "-t", str(SECONDS),
            "-c:v", "libx264", "-preset", "veryfast", "-b:v", bit_rate, "-c:a", "aac", str(unfinished),
        ], check=True)  # fmt: skip
        unfinished.rename(film)
    return film
