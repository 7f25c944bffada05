"""The media transforms as the processors call them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kayan_workers.ffmpeg import Ffmpeg

if TYPE_CHECKING:
    from kayan_workers.media.examine import Examined
    from kayan_workers.media.file_type import FileType
    from kayan_workers.media.geometry import Size
    from kayan_workers.media.rendition import FilmSizes, Rendition, Transcode


class Watcher(Protocol):
    """Whoever waits for a transform; a running job is one."""

    @property
    def cancelled(self) -> threading.Event: ...

    def progress(self, value: float) -> None: ...


class Codecs:
    """Runs transforms on files from strangers."""

    def __init__(self, ffmpeg: Ffmpeg) -> None:
        self._ffmpeg = ffmpeg

    def examine(self, source: Path, file_type: FileType, watcher: Watcher) -> Examined:
        """See ``media.examine.examine``."""
        from kayan_workers.media.examine import examine

        return examine(source, file_type, self._ffmpeg)

    def picture(self, source: Path, file_type: FileType, renditions: Sequence[Rendition], watcher: Watcher) -> list[Size]:
        """See ``media.pictures.picture``."""
        from kayan_workers.media.pictures import picture

        return picture(source, file_type, renditions, self._ffmpeg)

    def films(self, source: Path, wanted: Sequence[Transcode], stills: Sequence[Rendition], watcher: Watcher) -> FilmSizes:
        """See ``media.video.films``."""
        from kayan_workers.media.video import films

        return films(source, wanted, stills, self._ffmpeg, watcher.progress)
