"""What runs inside a codec process: it is confined, then waits for requests and answers them, one at a time, until nobody asks any more."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from kayan_workers.codecs import messages
from kayan_workers.codecs.confinement import CpuClock, confine
from kayan_workers.codecs.wire import Wire
from kayan_workers.errors import KayanError, PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.examine import examine
from kayan_workers.media.films.video import films
from kayan_workers.media.pictures import picture
from kayan_workers.media.steps import told_to

IDLE_SECONDS = 300.0
"""After this long without a request the process ends; the next request starts another."""
_GROWN_AFTER_REQUESTS = 500


class Inmate:
    """Answers requests on ``wire`` within ``memory_mb``."""

    def __init__(self, wire: Wire, ffmpeg: Ffmpeg, memory_mb: int) -> None:
        self._wire = wire
        self._ffmpeg = ffmpeg
        self._memory_mb = memory_mb
        self._answered = 0

    def serve(self) -> None:
        """Until the worker closes its end, or has nothing to ask for a long while."""
        with suppress(EOFError):
            while (request := self._wire.receive(IDLE_SECONDS)) is not None:
                self._answer(messages.request(request))

    def say(self, message: messages.Reply) -> None:
        self._wire.send(messages.pack(message))

    def _answer(self, request: messages.Request) -> None:
        self._answered += 1
        os.truncate(2, 0)  # what libraries said about the file before is none of this one's business
        try:
            result = self._work(request)
            self.say(messages.Done(messages.packed(result), self._has_grown()))
        except MemoryError:
            self.say(messages.Refused(True, f"the file needs more memory than the {self._memory_mb} MB it may take to read it",
                                      "save it smaller or simpler", True))  # fmt: skip
        except KayanError as error:
            self.say(messages.Refused(isinstance(error, PermanentError), error.says, error.remedy, self._has_grown()))
        except Exception as error:
            self.say(messages.Broken(type(error).__name__, traceback.format_exc()[-8000:]))

    def _work(self, request: messages.Request) -> Any:
        clock = CpuClock()

        def tell(doing: str, cpu_seconds: int | None) -> None:
            clock.allow(cpu_seconds)
            self.say(messages.Step(doing))

        tell(_in_words(request), None)
        with told_to(tell):
            match request:
                case messages.Examine():
                    return examine(request.source, request.file_type, self._ffmpeg)
                case messages.Picture():
                    return picture(request.source, request.file_type, request.renditions, self._ffmpeg)
                case messages.Films():
                    return films(request.source, request.wanted, request.stills, self._ffmpeg, self._tell_progress)

    def _tell_progress(self, percent: float) -> None:
        self.say(messages.Progress(percent))

    def _has_grown(self) -> bool:
        """Whether a fresh process would be a better one: libraries keep memory, and what leaks adds up."""
        return self._answered >= _GROWN_AFTER_REQUESTS or _resident_bytes() > self._memory_mb * 1024 * 1024 // 3


def main() -> None:
    """Arguments: the connection's and the lifeline's file descriptors, the folder, the memory in MB, ffmpeg's path."""
    wire, lifeline = Wire(socket.socket(fileno=int(sys.argv[1]))), int(sys.argv[2])
    folder, memory_mb, ffmpeg = Path(sys.argv[3]), int(sys.argv[4]), Ffmpeg(sys.argv[5])
    readable = [Path(entry) for entry in (*sys.path, sys.prefix, sys.base_prefix, str(Path(ffmpeg.binary).parent)) if entry]
    confined = confine(folder, memory_mb * 1024 * 1024, readable)
    threading.Thread(target=_follow_into_death, args=(lifeline,), name="lifeline", daemon=True).start()
    inmate = Inmate(wire, ffmpeg, memory_mb)
    inmate.say(messages.Ready(confined))
    inmate.serve()


def _follow_into_death(lifeline: int) -> None:
    """The worker holds the other end and never writes: when it is gone, so are we and every ffmpeg of ours."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


def _in_words(request: messages.Request) -> str:
    match request:
        case messages.Examine():
            return f"examining it as {request.file_type}"
        case messages.Picture():
            return f"drawing {len(request.renditions)} pictures of it as {request.file_type}"
        case messages.Films():
            return f"making {len(request.wanted)} films and {len(request.stills)} pictures of it"


if __name__ == "__main__":
    main()
