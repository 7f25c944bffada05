"""What has been done, for effects that leave no row of their own to tell: a counter that grew, a mail handed over.

An entry is written in the transaction of its effect, so both exist or neither does; an entry that is already there says that the
effect has happened.

A job is named by queue, id and the time it was added: ids start again at 1 when Redis is emptied.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from kayan_workers.own_table import OwnTable

if TYPE_CHECKING:
    from kayan_workers.database import Connection
    from kayan_workers.processors.handle import JobHandle


class JobName(NamedTuple):
    """What names a job for ever."""

    queue: str
    id: str
    added_ms: int


TABLE = OwnTable(
    "ledger",
    """
    queue       TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    added_ms    BIGINT NOT NULL,
    effect      TEXT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (queue, job_id, added_ms, effect)
    """,
)

_RECORD = """
INSERT INTO kayan_workers.ledger (queue, job_id, added_ms, effect)
SELECT queue, job_id, added_ms, %s FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS job (queue, job_id, added_ms)
ON CONFLICT DO NOTHING
RETURNING queue, job_id, added_ms
"""


def name_of(job: JobHandle) -> JobName:
    return JobName(job.queue, job.id, job.timestamp_ms)


def record_once(connection: Connection, job: JobHandle, effect: str) -> bool:
    """True: ``effect`` of ``job`` is new and now recorded in this transaction. False: it has been applied before.

    When another worker is applying the same effect at this moment, this waits for it to commit or roll back.
    """
    return bool(record_many_once(connection, [job], effect))


def record_many_once(connection: Connection, jobs: Iterable[JobHandle], effect: str) -> set[JobName]:
    """Record ``effect`` for all of ``jobs`` with one statement; the names returned are those that had not been recorded before."""
    # Sorted, so that two batches with jobs in common lock them in the same order and never wait for each other in a ring.
    names = sorted({name_of(job) for job in jobs})
    if not names:
        return set()
    TABLE.make_sure_it_exists(connection)
    columns = [list(column) for column in zip(*names, strict=True)]
    return {JobName(*row) for row in connection.execute(_RECORD, (effect, *columns))}
