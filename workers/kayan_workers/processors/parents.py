"""Which of the rows that a batch of payloads points at exist: asked in one query, so that a dead id can be named before it hurts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, LiteralString

import msgspec

from kayan_workers.errors import PermanentError

if TYPE_CHECKING:
    from kayan_workers.database import Connection

_FIND: dict[str, LiteralString] = {
    "userId": """SELECT 'userId', id FROM "User" WHERE id = ANY (%s)""",
    "assetId": "SELECT 'assetId', id FROM assets WHERE id = ANY (%s)",
    "collectionId": "SELECT 'collectionId', id FROM collections WHERE id = ANY (%s)",
    "projectId": "SELECT 'projectId', id FROM projects WHERE id = ANY (%s)",
    "taskId": "SELECT 'taskId', id FROM tasks WHERE id = ANY (%s)",
    "milestoneId": "SELECT 'milestoneId', id FROM milestones WHERE id = ANY (%s)",
    "meetingId": "SELECT 'meetingId', id FROM meetings WHERE id = ANY (%s)",
}
"""A payload's field, and where the rows are that it may point at."""

Pointers = Mapping[str, str | None]
"""A payload's ids by field: ``{"userId": "c…", "projectId": None}``."""


class Parents:
    """The rows found, by field."""

    def __init__(self, found: Iterable[tuple[str, str]]) -> None:
        self._found = set(found)

    def exists(self, field: str, row_id: str) -> bool:
        return (field, row_id) in self._found

    def require(self, pointers: Pointers) -> None:
        """Raise PermanentError naming every id of ``pointers`` that points at nothing."""
        dead = [f"{field} {row_id[:60]!r}" for field, row_id in pointers.items() if row_id is not None and not self.exists(field, row_id)]
        if dead:
            raise PermanentError(f"{' and '.join(dead)}: no such row in the database (deleted since the job was queued, or never there)")


def look_up(connection: Connection, wanted: Iterable[Pointers]) -> Parents:
    """Find the rows that ``wanted`` points at, in one query whatever their number."""
    pairs = {pair for pointers in wanted for pair in pointers.items()}
    ids: dict[str, set[str]] = {}
    for field, row_id in pairs:
        if row_id is not None and storable(row_id):
            ids.setdefault(field, set()).add(row_id)
    if not ids:
        return Parents(())
    query = " UNION ALL ".join([_FIND[field] for field in ids])
    return Parents(connection.execute(query, [list(some) for some in ids.values()]).fetchall())


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold ``text`` at all: it knows neither NUL nor half a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_storable(texts: Mapping[str, str | None]) -> None:
    """Raise PermanentError naming the fields whose text PostgreSQL cannot hold."""
    bad = [field for field, text in texts.items() if text is not None and not storable(text)]
    if bad:
        raise PermanentError(f"{', '.join(bad)}: holds a NUL character or half a surrogate pair, which PostgreSQL cannot store")


def require_storable_json(field: str, value: object) -> None:
    """Raise PermanentError naming the first member inside ``value`` whose text PostgreSQL's JSON cannot hold."""
    try:
        if b"\\u0000" not in msgspec.json.encode(value):
            return
    except UnicodeEncodeError:
        pass  # half a surrogate pair
    _find_unstorable(field, value)


def _find_unstorable(field: str, value: object) -> None:
    if isinstance(value, str):
        require_storable({field: value})
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            _find_unstorable(f"{field}[{position}]", entry)
    elif isinstance(value, dict):
        for name, entry in value.items():
            if not storable(str(name)):
                require_storable({f"a name in {field}": str(name)})
            _find_unstorable(f"{field}.{str(name)[:60]}", entry)


def enum_values(connection: Connection, enum: str) -> frozenset[str]:
    """The values of an enum as the database has it today: the app may have learned new ones since this worker was built."""
    labels = connection.execute("SELECT enumlabel FROM pg_enum WHERE enumtypid = %s::regtype", (f'"{enum}"',))
    return frozenset(label for (label,) in labels)
