"""STUCK_ASSETS: assets left on PROCESSING for longer than a day, by a worker that died with its queue or by a job that was removed, fail.

Only the row's age speaks: nothing here sees the queue. So a job that has waited for its retry for more than a day, in a paused queue for
example, finds its asset on FAILED; when it runs it begins anew and its outcome stands.
"""

from __future__ import annotations

from datetime import timedelta

from kayan_workers.processors.cleaning.rows import Rows
from kayan_workers.processors.cleaning.run import Run

STUCK_FOR = timedelta(hours=24)

_ASSETS = Rows(
    what="asset", reason="in processing for more than a day", table="assets", since="updatedAt",
    due=""""processingStatus" = 'PROCESSING'""",
    set=""""processingStatus" = 'FAILED', "updatedAt" = now(),
      "processingError" = 'Processing was begun more than a day ago and never ended. Upload the file again, or have it processed again'""",
)  # fmt: skip


def clean(run: Run) -> None:
    _ASSETS.clean(run, run.utc - STUCK_FOR)
