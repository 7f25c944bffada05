"""Acts that must not be torn from their record: whoever ends the job ends it before or after them, not in between."""

from __future__ import annotations

import threading
from collections.abc import Callable


def to_its_end(act: Callable[[], None]) -> None:
    """Run ``act`` in a thread of its own and wait for it; raises what it raises.

    A job that times out or is taken back is interrupted in its own thread, between any two steps of it. ``act`` goes on to its end, as
    long as the process lives.
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name=f"{threading.current_thread().name}, to its end")
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
