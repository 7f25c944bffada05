"""A worker that is killed while it makes copies of a film: the next one makes them, and the first one's ffmpeg does not work on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from integration.killed.scene import PATIENCE, Arrival, Scene
from kayan_workers.ffmpeg import Ffmpeg
from waiting import wait_until

STOPS_WHERE_IT_ENCODES = """#!/bin/sh
case "$*" in *libx264*) kill -STOP $$ ;; esac
exec {ffmpeg} "$@"
"""


@dataclass(frozen=True)
class Transcoding:
    """ffmpeg has been started to make the copies, and stands still."""

    binary: Path

    def stopped(self) -> list[int]:
        """The processes of the binary that stand still."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if str(self.binary) in (folder / "cmdline").read_text() and "State:\tT" in (folder / "status").read_text():
                    found.append(int(folder.name))
        return found

    @asynccontextmanager
    async def prepared(self, scene: Scene) -> AsyncIterator[Arrival]:
        scene.victims["FFMPEG_BIN"] = str(self.binary)
        yield lambda: wait_until(self.stopped, PATIENCE, what="ffmpeg to be started")


@pytest.fixture
def transcoding(tmp_path: Path) -> Iterator[Transcoding]:
    binary = tmp_path / "ffmpeg-that-stops"
    binary.write_text(STOPS_WHERE_IT_ENCODES.format(ffmpeg=Ffmpeg().binary))
    binary.chmod(0o755)
    moment = Transcoding(binary)
    yield moment
    for pid in moment.stopped():
        os.kill(pid, signal.SIGKILL)


async def test_a_film_whose_worker_was_killed_while_it_transcoded_has_one_copy_of_each_size(
    scene: Scene, transcoding: Transcoding, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=size=160x120:rate=5:duration=1", "-pix_fmt", "yuv420p"]
    subprocess.run([Ffmpeg().binary, "-loglevel", "error", *source, str(film)], check=True)
    payload = scene.upload("film.mp4", film.read_bytes(), "VIDEO") | {"variants": ["THUMBNAIL", "MOBILE"]}

    await scene.kill_a_worker("variant", [payload], at=transcoding)
    await wait_until(lambda: not transcoding.stopped(), what="the dead worker's ffmpeg to end")
    await scene.let_another_finish()

    assert scene.s3.keys() == scene.named_objects()
    rows = scene.app.rows("asset_variants", "variantType", "status", "format", "width", "height")
    assert rows == [("THUMBNAIL", "COMPLETED", "jpeg", 160, 120), ("MOBILE", "COMPLETED", "mp4", 160, 120)]
