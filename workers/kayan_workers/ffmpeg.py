"""Runs ffmpeg, and nothing else: the arguments come from pure functions in ``media``, and its output goes back to them.

Every run is fenced: no terminal, local files and pipes only, the input's format out of a short list (a playlist could
name other files or hosts), and a time limit.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

from kayan_workers.errors import PermanentError, TemporaryError

FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,av1,avi,caf,dsf,dts,dv,eac3,flac,flv,gif,gxf,h264,hevc,ivf,m4v,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,"
    "mpegvideo,mxf,nut,obu,ogg,rm,truehd,tta,vc1,voc,w64,wav,webm,wtv,wv,yuv4mpegpipe"
)
"""Demuxers of single, self-contained files. Missing on purpose: concat, hls, dash, image2, sdp and whatever else reads other files."""

DECODES_NOTHING = "ffmpeg can decode nothing of the file"
"""How an error begins when the file was opened, and not one picture or moment of sound came out of it."""

_MAX_PIXELS = 2**27
"""The largest video picture that is decoded: 134 million pixels, a 16K frame."""
_KEPT_LINES = 1000
"""Enough for what ffmpeg says of a film with fifty tracks of sound and subtitles."""
_NO_MEMORY = ("Cannot allocate memory", "malloc of size")
_NOTHING_DECODED = ("Nothing was written into output file", "Cannot determine format of input")
_OUR_TROUBLE = ("No space left on device", "Resource temporarily unavailable", "Too many open files")


class Ffmpeg:
    """One ffmpeg binary. ``binary`` is a path or a name on PATH; without it, the one that imageio-ffmpeg brings along."""

    def __init__(self, binary: str | None = None) -> None:
        self._binary = binary

    @cached_property
    def binary(self) -> str:
        if self._binary:
            return self._binary
        import imageio_ffmpeg

        try:
            return str(imageio_ffmpeg.get_ffmpeg_exe())
        except RuntimeError as error:
            raise TemporaryError(f"no ffmpeg: {error}; set FFMPEG_BIN to one") from error

    def run(
        self,
        source: Path,
        arguments: Sequence[str],
        *,
        time_limit_seconds: float,
        on_output: Callable[[str], None] | None = None,
        before_input: Sequence[str] = (),
        log_level: str = "error",
    ) -> list[str]:
        """Run ffmpeg on ``source``; returns the last lines of its log.

        ``before_input`` are options of the input (a seek), ``arguments`` everything after it. ``on_output`` receives each line
        of standard output, in the order of arrival. Raises PermanentError with ffmpeg's own words when it refuses the
        file or exceeds ``time_limit_seconds``, TemporaryError when this
        machine is at fault, MemoryError when it may not have the memory it asks for.
        """
        command = [
            self.binary, "-nostdin", "-hide_banner", "-nostats", "-y", "-loglevel", f"level+{log_level}",
            # An orphan ends by itself: if this worker is killed, nobody is left to end it.
            "-timelimit", str(int(time_limit_seconds * (os.cpu_count() or 1)) + 1),
            "-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS, "-max_pixels", str(_MAX_PIXELS),
            *before_input, "-i", f"file:{source}", *arguments,
        ]  # fmt: skip
        try:
            process = subprocess.Popen(  # noqa: S603  arguments are ours, and no shell reads them
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise TemporaryError(f"ffmpeg ({self.binary}) does not start: {error.strerror}; set FFMPEG_BIN to a working one") from error
        log: deque[str] = deque(maxlen=_KEPT_LINES)
        with process:
            surprises: list[Exception] = []
            readers = [_reading(process.stdout, on_output or _ignore, surprises), _reading(process.stderr, log.append, surprises)]
            try:
                _wait(process, time_limit_seconds)
            finally:
                _kill(process)
                for reader in readers:
                    reader.join()
        if process.returncode != 0:
            raise _named(process.returncode, [_without_paths(line, source) for line in log])
        for surprise in surprises:
            raise surprise
        return list(log)


def _wait(process: subprocess.Popen[str], time_limit_seconds: float) -> None:
    try:
        process.wait(time_limit_seconds)
    except subprocess.TimeoutExpired:
        raise PermanentError(
            f"ffmpeg took longer than {time_limit_seconds:.0f} s and was stopped: the file is too long or damaged"
        ) from None


def _kill(process: subprocess.Popen[str]) -> None:
    """It stays in the group of whoever runs it, so that who ends the group ends it too."""
    process.kill()
    process.wait()


def _reading(stream: IO[str] | None, take: Callable[[str], object], surprises: list[Exception]) -> threading.Thread:
    """Drain a pipe to its end in a thread, whatever ``take`` does: a full pipe would stop ffmpeg for ever."""
    assert stream is not None

    def read() -> None:
        for line in stream:
            try:
                take(line.rstrip("\r\n"))
            except Exception as error:
                surprises.append(error)

    thread = threading.Thread(target=read, name="ffmpeg-output", daemon=True)
    thread.start()
    return thread


def _ignore(_line: str) -> None:
    pass


def _without_paths(line: str, source: Path) -> str:
    """What is written stands in the folder of the source."""
    said = line.replace(f"file:{source}", "it").replace(str(source), "it")
    return re.sub(rf"(?:file:)?{re.escape(str(source.parent))}/[^\s:]+", "it", said)


def _named(returncode: int, log: list[str]) -> Exception:
    words = _words(log)
    if returncode == -signal.SIGKILL:
        return PermanentError("ffmpeg was killed while it read the file, most likely for want of memory",
                              "save it smaller, or give the worker more")  # fmt: skip
    if returncode < 0:
        return PermanentError(f"ffmpeg crashed on the file ({signal.Signals(-returncode).name}): {words}")
    if any(trouble in line for line in log for trouble in _NO_MEMORY):
        return MemoryError(words)
    if any(trouble in line for line in log for trouble in _OUR_TROUBLE):
        return TemporaryError(f"ffmpeg could not work on this machine: {words}")
    if any(said in line for line in log for said in _NOTHING_DECODED):
        return PermanentError(f"{DECODES_NOTHING}: {words}")
    return PermanentError(f"ffmpeg cannot read the file: {words}")


def _words(log: list[str]) -> str:
    """What ffmpeg complained of first, without the names and addresses of its own parts."""
    complaints = [line for line in log if "[error]" in line or "[fatal]" in line]
    plain = [re.sub(r"^(\[[^\]]*\] ?)+", "", line).strip() for line in complaints or log]
    noise = ("Error opening input", "Error opening output", "Last message repeated", "Conversion failed", "Task finished",
             "Terminating thread", "Decode error rate", "Error submitting packet")  # fmt: skip
    telling = [line for line in plain if line and not line.startswith(noise)]
    if any("not on whitelist" in line for line in telling):
        return "its content is no video or sound of a format that is opened here"
    return "; ".join(dict.fromkeys(telling or plain[:1]))[:300].removeprefix("Error opening input: ") or "it gave no reason"
