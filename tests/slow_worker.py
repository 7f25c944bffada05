"""A worker of a queue of its own, ``slow``, beyond the table's seven: its processor takes its time and fails as its payload says."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from kayan import WorkerProcess, worker

PROCESSOR = '''
"""A processor that takes its time, for tests of leaving."""
import time
from pathlib import Path
import msgspec
from kayan_workers.errors import PermanentError, TemporaryError

class Payload(msgspec.Struct):
    seconds: float = 0
    block: float = 0
    touch: str = ""
    fail: str = ""

def process(payload, job, edges):
    if payload.touch:
        Path(payload.touch).touch()
    if payload.fail:
        kinds = {"permanent": PermanentError, "temporary": TemporaryError, "bug": KeyError}
        raise kinds[payload.fail](f"failed on purpose: {payload.fail}")
    time.sleep(payload.block)  # one call that nothing interrupts, as a codec's may be
    end = time.monotonic() + payload.seconds
    while time.monotonic() < end:
        time.sleep(0.01)
    return {"slept": payload.seconds}
'''
START = """
import sys
from kayan_workers.processors.table import Role
from kayan_workers.settings import Settings
from kayan_workers.worker import run_worker

SLOW = Role(name="slow", queue="slow", family="media", label="Slow", concurrency=2, module="slow_processor")
exec(sys.argv[1])
sys.exit(run_worker([SLOW], Settings.from_environment(roles=[SLOW])))
"""


class SlowWorker:
    """Started through ``run_worker``, as ``kayan worker`` starts one."""

    def __init__(self, folder: Path) -> None:
        self.module = folder / "slow_processor.py"
        self.module.write_text(PROCESSOR)
        self.start = folder / "start_slow.py"
        self.start.write_text(START)

    def running(self, *, first: str = "", **variables: str) -> AbstractContextManager[WorkerProcess, bool | None]:
        """``first`` is Python to run before the worker starts: shorter intervals, a fault."""
        return worker(command=(sys.executable, str(self.start), first), variables=variables)
