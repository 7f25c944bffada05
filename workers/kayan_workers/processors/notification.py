"""The ``notification`` queue: one row in ``notifications`` per job, a batch of jobs per transaction.

**Types.** A type that the database's enum ``NotificationType`` has is stored as it is. The app also queues five that the enum lacks.
Three of them mean the same as a member and are stored as that; the other two (TASK_UNASSIGNED, MILESTONE_REJECTED) have no
counterpart, and under a wrong type the bell would show the wrong colour and link, so they fail and say so. Should the app add a
type to its enum, it is accepted from that moment on.

**Preferences.** ``notification_preferences`` is honoured: ``inAppEnabled`` switches everything off; a narrower switch counts for the
types listed in ``_SWITCHES``. A user without a row gets everything. The switches for shared assets, shared collections and system updates
have no type that says these things, so they have no effect. A notification that nobody wants is a completed job.

**Twice.** A row's id derives from its job, so a second run inserts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kayan_workers.errors import KayanError, PermanentError
from kayan_workers.ids import derive_id
from kayan_workers.processors import parents
from kayan_workers.processors.batching import Outcome, Patience, as_json, in_as_few_as_possible

if TYPE_CHECKING:
    from kayan_workers.database import Connection, Database
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle


class Payload(msgspec.Struct, rename="camel"):
    """A job of this queue. The ids and ``data`` may be missing or null."""

    user_id: str
    type: str
    title: str
    message: str
    data: dict[str, Any] | None = None
    project_id: str | None = None
    task_id: str | None = None
    milestone_id: str | None = None
    meeting_id: str | None = None

    def pointers(self) -> parents.Pointers:
        return {
            "userId": self.user_id,
            "projectId": self.project_id,
            "taskId": self.task_id,
            "milestoneId": self.milestone_id,
            "meetingId": self.meeting_id,
        }


Work = Sequence[tuple[Payload, "JobHandle"]]

_MEANS = {
    "TASK_UPDATED": "TASK_STATUS_CHANGED",  # queued when a task's status changes, and only then
    "TASK_COMMENT": "TASK_COMMENT_ADDED",
    "MILESTONE_REVIEW": "MILESTONE_SIGNED_OFF",  # the app's own direct writer calls "ready for review" by this name
}
_NO_COUNTERPART = frozenset({"TASK_UNASSIGNED", "MILESTONE_REJECTED"})

_SWITCHES = {
    "ASSET_DOWNLOAD_APPROVED": "inAppAssetApproved",
    "ASSET_DOWNLOAD_REJECTED": "inAppAssetRejected",
    "MILESTONE_SIGNED_OFF": "inAppReviewAssigned",  # "ready for your review", see above
    "TRANSLATION_REVIEW_REQUESTED": "inAppReviewAssigned",
}

_PREFERENCES = """
SELECT "userId", "inAppEnabled", "inAppAssetApproved", "inAppAssetRejected", "inAppReviewAssigned"
FROM notification_preferences WHERE "userId" = ANY (%s)
"""

_INSERT = """
INSERT INTO notifications
  (read, "createdAt", id, type, title, message, data, "userId", "projectId", "taskId", "milestoneId", "meetingId")
SELECT false, now(), * FROM json_to_recordset(%s::json) AS job (
  id text, type "NotificationType", title text, message text, data jsonb,
  "userId" text, "projectId" text, "taskId" text, "milestoneId" text, "meetingId" text
)
ON CONFLICT (id) DO NOTHING
"""


class Row(msgspec.Struct, rename="camel"):
    """A row of ``notifications``, by its columns' names."""

    id: str
    type: str
    title: str
    message: str
    data: dict[str, Any] | None
    user_id: str
    project_id: str | None
    task_id: str | None
    milestone_id: str | None
    meeting_id: str | None


class World(NamedTuple):
    """What the database says about a batch before anything is written."""

    types: frozenset[str]
    parents: parents.Parents
    switched_off: Mapping[str, frozenset[str]]
    """The switches of ``notification_preferences`` that a user has turned off, by user id."""


APP_TYPES = frozenset({
    "TASK_ASSIGNED", "TASK_STATUS_CHANGED", "TASK_DUE_SOON", "TASK_COMMENT_ADDED", "MILESTONE_APPROVED", "MILESTONE_SIGNED_OFF",
    "MILESTONE_DUE_SOON", "PROJECT_UPDATED", "PROJECT_MEMBER_ADDED", "PROJECT_MEMBER_REMOVED", "MEETING_SCHEDULED", "MEETING_UPDATED",
    "ASSET_UPLOADED", "ASSET_DOWNLOAD_REQUESTED", "ASSET_DOWNLOAD_APPROVED", "ASSET_DOWNLOAD_REJECTED", "PRESENTATION_CREATED",
    "PRESENTATION_UPDATED", "INVITATION_RECEIVED", "TRANSLATION_REQUESTED", "TRANSLATION_ASSIGNED", "TRANSLATION_COMPLETED",
    "TRANSLATION_OUTDATED", "TRANSLATION_REVIEW_REQUESTED",
})  # fmt: skip
"""The app's enum when this was written, for whoever has no database to ask. A worker goes by the database's."""


def check(payload: Payload) -> None:
    """Raises PermanentError for what no database would take."""
    type_to_store(payload.type, APP_TYPES)
    parents.require_storable({"userId": payload.user_id, "title": payload.title, "message": payload.message})
    parents.require_storable_json("data", payload.data)


def process_batch(work: Work, edges: Edges) -> list[Outcome]:
    """Store the notifications of ``work`` with one insert. A job's value is ``{"id"}`` of its row, or ``{"skipped"}`` with the reason.

    A job whose type is unknown or whose ids point at nothing gets a PermanentError of its own; the others go through.
    """
    return in_as_few_as_possible(
        work, lambda some, patience: _store(some, edges.database, patience), locks=lambda entry: entry[0].user_id
    )


def _store(work: Work, database: Database, patience: Patience) -> list[Outcome]:
    with database.transaction(statement_seconds=patience.statement_seconds, lock_seconds=patience.lock_seconds) as connection:
        world = _look_around(connection, [payload for payload, _ in work])
        judged = [_judge(payload, job, world) for payload, job in work]
        if rows := [row for row in judged if isinstance(row, Row)]:
            connection.execute(_INSERT, (as_json(rows),))
    return [{"id": entry.id} if isinstance(entry, Row) else entry for entry in judged]


def _look_around(connection: Connection, payloads: Sequence[Payload]) -> World:
    users = {payload.user_id for payload in payloads if parents.storable(payload.user_id)}
    off: dict[str, frozenset[str]] = {}
    for user_id, *switches in connection.execute(_PREFERENCES, (list(users),)):
        names = ("inAppEnabled", "inAppAssetApproved", "inAppAssetRejected", "inAppReviewAssigned")
        off[user_id] = frozenset(name for name, on in zip(names, switches, strict=True) if not on)
    return World(
        types=parents.enum_values(connection, "NotificationType"),
        parents=parents.look_up(connection, [payload.pointers() for payload in payloads]),
        switched_off=off,
    )


def _judge(payload: Payload, job: JobHandle, world: World) -> Row | Outcome:
    """The row to store, or what the job comes to without one."""
    try:
        stored_type = type_to_store(payload.type, world.types)
        world.parents.require(payload.pointers())
        parents.require_storable({"title": payload.title, "message": payload.message})
        parents.require_storable_json("data", payload.data)
    except KayanError as error:
        return error
    if switch := switch_against(stored_type, world.switched_off.get(payload.user_id, frozenset())):
        return {"skipped": f"the user has switched off {switch}"}
    return Row(
        id=derive_id("notification", job.queue, job.id, job.timestamp_ms),
        type=stored_type,
        title=payload.title,
        message=payload.message,
        data=payload.data,
        user_id=payload.user_id,
        project_id=payload.project_id,
        task_id=payload.task_id,
        milestone_id=payload.milestone_id,
        meeting_id=payload.meeting_id,
    )


def type_to_store(queued: str, known: frozenset[str]) -> str:
    """The member of the enum that a queued type stands for. Raises PermanentError when there is none."""
    if queued in known:
        return queued
    meant = _MEANS.get(queued)
    if meant in known:
        return meant
    if queued in _NO_COUNTERPART:
        raise PermanentError(
            f"type: {queued} is not in the database's NotificationType and none of its members means the same; "
            "add it to the enum in the app's schema and to the colours of its bell, then retry the job"
        )
    raise PermanentError(f"type: not a NotificationType; known are {', '.join(sorted(known))}")


def switch_against(stored_type: str, switched_off: frozenset[str]) -> str | None:
    """The switch by which a user has declined notifications of this type, if there is one."""
    if "inAppEnabled" in switched_off:
        return "inAppEnabled"
    switch = _SWITCHES.get(stored_type)
    return switch if switch in switched_off else None
