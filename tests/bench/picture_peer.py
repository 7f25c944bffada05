"""Our side of the pictures: a process that asks a codec process for them, as a worker does. node/sharp.js is its twin; keep them alike."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from kayan_workers.codecs.codecs import Codecs
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.file_type import FileType
from kayan_workers.media.rendition import Rendition


class NoJob:
    """Whoever waits for a transform: here nobody changes his mind."""

    cancelled = threading.Event()

    def progress(self, value: float) -> None:
        pass

    def log(self, row: str) -> None:
        print(row, file=sys.stderr)


def serve(codecs: Codecs) -> None:
    """Answer requests until stdin closes. No event loop: this process should weigh no more than what it measures."""
    for line in sys.stdin:
        request = json.loads(line)
        value = render(codecs, request["source"], request["wanted"]) if request["op"] == "render" else "pong"
        print(json.dumps({"id": request["id"], "value": value}), flush=True)


def render(codecs: Codecs, source: str, wanted: list[dict[str, Any]]) -> float:
    """Make the pictures; returns how many ms it took."""
    renditions = [Rendition(to=Path(one["to"]), box=(one["box"][0], one["box"][1]), quality=one["quality"]) for one in wanted]
    began = time.perf_counter()
    codecs.picture(Path(source), FileType.IMAGE, renditions, NoJob())
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    with closing(Codecs(Path(sys.argv[1]), Ffmpeg(), processes=1, memory_mb=1024, threads=1)) as codecs:
        serve(codecs)
