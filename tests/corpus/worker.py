"""A process that owns ``Codecs`` as a media worker does, and tries files on it: one task a line in, one outcome a line out."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import msgspec
from corpus.came import Came, Examined, Facts, Filmed, Pictured, Refused, Surprise, Task
from doubles import FakeJob
from kayan_workers.codecs.codecs import Codecs
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.file_type import FileType
from kayan_workers.media.rendition import Rendition, Transcode
from PIL import Image

THUMBNAIL, PREVIEW = (200, 200), (800, 600)
MEMORY_MB = 1024
"""What production gives a codec process."""

Outcome = TypeVar("Outcome")


def main(folder: Path, time_limit_seconds: float) -> None:
    """Try files in ``folder`` until standard input ends. What libraries print goes to standard error; standard output is ours."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    codecs = Codecs(folder, Ffmpeg(), processes=1, memory_mb=MEMORY_MB, threads=1, time_limit_seconds=time_limit_seconds)
    decode = msgspec.json.Decoder(Task).decode
    for line in sys.stdin.buffer:
        answers.write(msgspec.json.encode(attempt(codecs, decode(line))) + b"\n")
        answers.flush()
    codecs.close()


def attempt(codecs: Codecs, task: Task) -> Came:
    source, file_type = Path(task.path), FileType(task.file_type)
    return Came(
        examine=_outcome(lambda job: _examined(codecs, source, file_type, job)),
        picture=_outcome(lambda job: _pictured(codecs, source, file_type, job)),
        films=_outcome(lambda job: _filmed(codecs, source, job)) if task.films else None,
    )


def _outcome(work: Callable[[FakeJob], Outcome]) -> Outcome | Refused | Surprise:
    job = FakeJob()
    try:
        return work(job)
    except PermanentError as error:
        return Refused(str(error), "\n".join(job.rows))
    except BaseException as error:
        return Surprise(f"{type(error).__name__}: {error}", traceback.format_exc())


def _examined(codecs: Codecs, source: Path, file_type: FileType, job: FakeJob) -> Examined:
    found = codecs.examine(source, file_type, job)
    facts = asdict(found.facts)
    return Examined(Facts(found.kind.name, facts.pop("width"), facts.pop("height"), facts.pop("duration_seconds"), **facts))


def _pictured(codecs: Codecs, source: Path, file_type: FileType, job: FakeJob) -> Pictured:
    wanted = [Rendition(to=source.with_name(f"{box[0]}.jpg"), box=box, quality=80) for box in (THUMBNAIL, PREVIEW)]
    sizes = codecs.picture(source, file_type, wanted, job)
    for rendition, size in zip(wanted, sizes, strict=True):
        with Image.open(rendition.to, formats=["JPEG"]) as picture:
            picture.load()
            assert picture.size == tuple(size), f"the picture is {picture.size}, not {size}"
    return Pictured([(width, height) for width, height in sizes])


def _filmed(codecs: Codecs, source: Path, job: FakeJob) -> Filmed:
    copy = Transcode(to=source.with_name("small.mp4"), box=(64, 64), bit_rate="100k")
    sizes = codecs.films(source, [copy], [], job).films
    assert copy.to.stat().st_size
    return Filmed([(width, height) for width, height in sizes])
