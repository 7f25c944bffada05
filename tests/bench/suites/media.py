"""The most memory that a whole ``kayan worker media`` takes, its codec processes included, while ten jobs at once bring it large pictures.

What README promises is a bound: so much for the worker, and so much for each codec process. Here it works on 12 MP photos, on pictures of
100 MP and more, and on one that asks for more than a codec may have.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app import App
from bench import fleet_worker, pictures
from bench.peer import APP_OPTIONS
from bench.results import Row, at_most
from bench.stage import Stage, peak_mb, resident_mb
from corpus.bombs import interlaced
from kayan_workers.bull.producer import BulkJob
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.reader import Counts
from kayan_workers.bull.server import RedisAddress, Server
from PIL import Image

MEMORY_MB = 512
PROCESSES = 2
WORKER_MB, CODE_MB = 120, 80
"""What README says of the worker itself, and of a codec process and its ffmpeg beside what they ask for."""
BOUND_MB = WORKER_MB + PROCESSES * 2 * (CODE_MB + MEMORY_MB)
_LOOK_SECONDS = 0.05
_TIMES = 3


async def run(stage: Stage) -> list[Row]:
    idle: list[float] = []
    worker_alone: list[float] = []
    whole: list[float] = []
    with fleet_worker.database() as (database_url, app), tempfile.TemporaryDirectory() as folder:
        jobs = list(_jobs(app, Path(folder)))
        settings = {"KAYAN_STORAGE": f"folder:{folder}", "KAYAN_CODEC_MEMORY_MB": str(MEMORY_MB), "KAYAN_CODEC_PROCESSES": str(PROCESSES)}
        for _ in range(min(2, stage.rounds)):
            with fleet_worker.worker("media", stage.server.port, database_url, **settings) as process:
                await asyncio.sleep(2)
                idle.append(resident_mb(process.pid))
                most_alone, most = await _while_working(stage, jobs, process.pid)
            worker_alone.append(most_alone)
            whole.append(most)
            await stage.empty()
    return [
        Row("idle media worker, resident", "MB", idle),
        Row("the worker itself while it works", "MB", worker_alone, goal=at_most(WORKER_MB, "MB")),
        Row(f"worker and {PROCESSES} codec processes of {MEMORY_MB} MB, peaks added up", "MB", whole, goal=at_most(BOUND_MB, "MB")),
    ]


async def _while_working(stage: Stage, jobs: list[dict[str, Any]], pid: int) -> tuple[float, float]:
    """Queue everything, wait until it has an outcome; the worker's own peak and that of the whole family."""
    server = Server(RedisAddress(host="127.0.0.1", port=stage.server.port))
    queues = [Queue(name, server) for name in ("thumbnail-generation", "variant-generation", "asset-processing")]
    try:
        for queue in queues:
            await queue.add_bulk([BulkJob(job, options=APP_OPTIONS) for job in jobs])
        most = 0.0
        while any([_unfinished(await queue.counts()) for queue in queues]):
            most = max(most, _peaks(pid))
            await asyncio.sleep(_LOOK_SECONDS)
        return most_mb(pid), most
    finally:
        for queue in queues:
            await queue.close()
        await server.close()


def _peaks(pid: int) -> float:
    try:
        return peak_mb(pid)
    except (FileNotFoundError, KeyError, ProcessLookupError):  # one of them ended while we looked
        return 0.0


def _unfinished(counts: Counts) -> int:
    return counts.backlog + counts.delayed


def most_mb(pid: int) -> float:
    """The most memory in MB that the process alone has had resident."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def _jobs(app: App, folder: Path) -> Iterator[dict[str, Any]]:
    """Uploads, each several times over, as an app that is being used and abused has them."""
    large = Image.effect_noise((500, 500), 60).convert("RGB").resize((11_000, 11_000))
    sources = dict(pictures.sources())
    for name, how in (("large.png", {"compress_level": 1}), ("large.jpg", {"quality": 80})):
        path = folder / name
        large.save(path, **how)  # type: ignore[arg-type]
        sources[name] = path
    bomb = folder / "bomb.png"
    bomb.write_bytes(interlaced(16_000, 16_000))
    sources["bomb.png"] = bomb
    user = app.user()
    for number, source in enumerate([path for path in sources.values() for _ in range(_TIMES)]):
        key = f"assets/2025/11/{number:010}-{source.name}"
        to = folder / key
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, to)
        asset = app.asset(fileKey=key, uploadedBy=user)
        yield {"assetId": asset, "fileKey": key, "fileType": "IMAGE", "mimeType": "image/png", "originalFilename": source.name,
               "variants": pictures.JOBS["four variants"]}  # fmt: skip

