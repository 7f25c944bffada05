"""The ``analytics`` queue: who viewed, took, shared and searched what, and how often a day. A batch of jobs is one transaction.

========================  =========================================================  =================================
event                     with ``userId``                                            without
========================  =========================================================  =================================
ASSET_VIEW                a row in ``asset_activities``, and the day's ``views`` +1  the day's ``views`` +1
ASSET_DOWNLOAD            the same, and the day's ``downloads`` +1                   the day's ``downloads`` +1
ASSET_SHARE               a row in ``asset_activities`` with ``data`` as metadata    nothing: an activity needs a user
SEARCH                    a row in ``search_history``                                nothing: it needs a user too
ACTIVITY                  a row in ``asset_activities`` of the type in ``data``      nothing
anything else             the job fails                                              the job fails
========================  =========================================================  =================================

**Day.** The UTC day of the event, wherever worker and database think they are.

**A deleted user** must not cost a view: the counter grows, the activity (which needs the user's row) is left out, and the job's value
and log say so. A share, search or activity of a deleted user has nothing else to leave, so it fails; so does any event of an asset
that is gone, since its counters went with it.

**ACTIVITY** is queued by nobody yet, and the Node worker only logged it. Who queues one expects it under the latest activity: so
``data.type`` names an ``AssetActivityType``, ``data.description`` may word it, ``data.collectionId`` may point at a collection.

**Twice.** Rows have ids derived from the job. A counter cannot tell who raised it, but an activity that was there already says that its
event has been counted, as both are one transaction; where there is no activity, the ledger says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, LiteralString

from kayan_workers import ledger
from kayan_workers.errors import KayanError
from kayan_workers.ids import derive_id
from kayan_workers.processors import parents
from kayan_workers.processors.batching import Outcome, Patience, Row, as_json, in_as_few_as_possible
from kayan_workers.processors.events import Column, CounterRow, Effects, Payload, World, check, effects_of

if TYPE_CHECKING:
    from kayan_workers.database import Connection, Database
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle

__all__ = ["Payload", "check", "process_batch"]

EFFECT = "asset_analytics"
"""The name in the ledger of a counter that grew without an activity."""

Work = Sequence[tuple[Payload, "JobHandle"]]

# A batch travels as one JSON array: psycopg takes ten times as long over an array of texts, and PostgreSQL no less.
_INSERT_ACTIVITIES = """
INSERT INTO asset_activities (id, type, description, "userId", "createdAt", "assetId", "collectionId", metadata)
SELECT * FROM json_to_recordset(%s::json) AS event (
  id text, type "AssetActivityType", description text, "userId" text, "createdAt" timestamp,
  "assetId" text, "collectionId" text, metadata jsonb
)
ON CONFLICT (id) DO NOTHING
RETURNING id
"""

_INSERT_SEARCHES = """
INSERT INTO search_history (id, "userId", query, filters, "resultCount", "createdAt")
SELECT * FROM json_to_recordset(%s::json) AS event (
  id text, "userId" text, query text, filters jsonb, "resultCount" int, "createdAt" timestamp
)
ON CONFLICT (id) DO NOTHING
RETURNING id
"""

_ADD_TO_COUNTERS = """
INSERT INTO asset_analytics AS day (id, "assetId", date, views, downloads)
SELECT * FROM json_to_recordset(%s::json) AS event (id text, "assetId" text, date date, views int, downloads int)
ON CONFLICT ("assetId", date) DO UPDATE SET views = day.views + excluded.views, downloads = day.downloads + excluded.downloads
"""


def process_batch(work: Work, edges: Edges) -> list[Outcome]:
    """Record the events of ``work`` in one transaction. A job's value is ``{"recorded": [tables]}``, with ``skipped`` where a user lacks.

    A malformed or unknown event, or one whose asset is gone, gets a PermanentError of its own; the others go through. An event whose
    counter somebody else holds locked is put off.
    """
    return in_as_few_as_possible(work, lambda some, patience: _record(some, edges.database, patience), locks=_row_to_lock)


def _row_to_lock(entry: tuple[Payload, JobHandle]) -> str:
    """Counters are what batches, and the app, change together."""
    payload, _ = entry
    return payload.asset_id or payload.user_id or ""


def _record(work: Work, database: Database, patience: Patience) -> list[Outcome]:
    with database.transaction(statement_seconds=patience.statement_seconds, lock_seconds=patience.lock_seconds) as connection:
        world = _look_around(connection, [payload for payload, _ in work])
        judged = [_judge(payload, job, world) for payload, job in work]
        # By name, so that a job that is in the batch twice counts once.
        effects = {ledger.name_of(job): (job, entry) for (_, job), entry in zip(work, judged, strict=True) if isinstance(entry, Effects)}
        _write(connection, effects)
    for job, entry in effects.values():
        if entry.skipped:
            job.log(entry.skipped)
    return [entry.value() if isinstance(entry, Effects) else entry for entry in judged]


def _write(connection: Connection, effects: dict[ledger.JobName, tuple[JobHandle, Effects]]) -> None:
    """Ledger, rows, counters: in this order, so that the counters, which others wait for, are locked for the shortest time.

    Each is written in the order of its ids, so that two batches wait for each other in one order and never in a ring.
    """
    entries = [entry for _, entry in effects.values()]
    counted = ledger.record_many_once(connection, [job for job, entry in effects.values() if entry.counter and not entry.activity], EFFECT)
    inserted = _insert(connection, _INSERT_ACTIVITIES, [entry.activity for entry in entries if entry.activity])
    _insert(connection, _INSERT_SEARCHES, [entry.search for entry in entries if entry.search])
    new = [
        entry.counter for name, (_, entry) in effects.items()
        if entry.counter and (entry.activity.id in inserted if entry.activity else name in counted)
    ]  # fmt: skip
    if counters := summed(new):
        connection.execute(_ADD_TO_COUNTERS, (as_json(counters),))


def _insert(connection: Connection, statement: LiteralString, rows: Sequence[Row]) -> set[str]:
    """The ids of those that were not there already."""
    return {row_id for (row_id,) in connection.execute(statement, (as_json(rows),))} if rows else set()


def summed(counters: Iterable[tuple[str, date, Column]]) -> list[CounterRow]:
    """One row per asset and day."""
    tally = Counter(counters)
    return [
        CounterRow(_counter_id(asset_id, day), asset_id, day, tally[asset_id, day, "views"], tally[asset_id, day, "downloads"])
        for asset_id, day in {(asset_id, day) for asset_id, day, _ in tally}
    ]


@lru_cache(maxsize=4096)
def _counter_id(asset_id: str, day: date) -> str:
    """Remembered, as the assets that are looked at most are in every batch."""
    return derive_id("asset_analytics", asset_id, day.isoformat())


def _look_around(connection: Connection, payloads: Sequence[Payload]) -> World:
    pointers: list[parents.Pointers] = [{"assetId": payload.asset_id, "userId": payload.user_id} for payload in payloads]
    activities = [payload for payload in payloads if payload.type == "ACTIVITY"]
    for payload in activities:
        collection = (payload.data or {}).get("collectionId")
        pointers.append({"collectionId": collection if isinstance(collection, str) else None})
    return World(
        parents=parents.look_up(connection, pointers),
        activity_types=parents.enum_values(connection, "AssetActivityType") if activities else frozenset(),
    )


def _judge(payload: Payload, job: JobHandle, world: World) -> Effects | KayanError:
    try:
        return effects_of(payload, job, world)
    except KayanError as error:
        return error
