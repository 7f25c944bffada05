"""Where the time of this process goes: a sample of the stack every few milliseconds of CPU, counted by function.

Unlike cProfile it slows nothing down, so that the shares are those of the real run. Time in C (hiredis, the event loop) counts for
the Python function that called it.
"""

from __future__ import annotations

import signal
from collections import Counter
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

EVERY_SECONDS = 0.001
"""What is asked for; most kernels count CPU time in steps of 4 ms."""
_LINES = 22


class Sampler:
    """Samples between ``start`` and ``stop``; for the main thread only."""

    def __init__(self) -> None:
        self.own: Counter[str] = Counter()
        self.within: Counter[str] = Counter()

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)

    def stop(self) -> str:
        """The functions that took most, by their own time and with what they called."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        samples = max(1, self.own.total())
        lines = [f"{samples} samples of the stack, evenly over the CPU time", "", "  own  within  function"]
        for name, count in self.own.most_common(_LINES):
            lines.append(f"{count / samples:5.1%}  {self.within[name] / samples:6.1%}  {name}")
        return "\n".join(lines)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self.own[_name(frame)] += 1
        seen: set[str] = set()
        while frame is not None:
            seen.add(_name(frame))
            frame = frame.f_back
        self.within.update(seen)


@cache
def _name_of(code: CodeType) -> str:
    path = Path(code.co_filename)
    return f"{path.parent.name}/{path.name}:{getattr(code, 'co_qualname', code.co_name)}"


def _name(frame: FrameType) -> str:
    return _name_of(frame.f_code)
