"""What an analytics event is to leave behind: pure, from a payload and what the database knows to the rows and counters it deserves."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec

from kayan_workers.errors import PermanentError
from kayan_workers.ids import derive_id
from kayan_workers.processors import parents

if TYPE_CHECKING:
    from kayan_workers.processors.handle import JobHandle


class Payload(msgspec.Struct, rename="camel"):
    """A job of this queue. ``timestamp`` is when the event happened, ISO 8601 with a zone; what ``data`` holds depends on ``type``."""

    type: str
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    asset_id: str | None = None
    user_id: str | None = None
    data: dict[str, Any] | None = None


class Search(msgspec.Struct, rename="camel"):
    """``data`` of a SEARCH."""

    query: str
    filters: Any = None
    result_count: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None


class Activity(msgspec.Struct, rename="camel"):
    """``data`` of an ACTIVITY."""

    type: str
    description: str | None = None
    collection_id: str | None = None


class ActivityRow(msgspec.Struct, rename="camel", omit_defaults=True):
    """A row of ``asset_activities``, by its columns' names."""

    id: str
    type: str
    description: str
    user_id: str
    created_at: datetime
    asset_id: str | None = None
    collection_id: str | None = None
    metadata: dict[str, Any] | None = None


class SearchRow(msgspec.Struct, rename="camel"):
    """A row of ``search_history``, by its columns' names."""

    id: str
    user_id: str
    query: str
    filters: Any
    result_count: int
    created_at: datetime


class CounterRow(msgspec.Struct, rename="camel"):
    """What a batch adds to a row of ``asset_analytics``, by its columns' names."""

    id: str
    asset_id: str
    date: date
    views: int
    downloads: int


Column = Literal["views", "downloads"]
Data = TypeVar("Data", Search, Activity)


class Effects(NamedTuple):
    """What one event leaves behind. ``skipped`` says what it would have left, had there been a user for it."""

    counter: tuple[str, date, Column] | None = None
    activity: ActivityRow | None = None
    search: SearchRow | None = None
    skipped: str | None = None

    def value(self) -> dict[str, object]:
        """What Bull keeps as the job's return value: the same on a second run as on the first. Events of one kind share it."""
        return _value(self.activity is not None, self.search is not None, self.counter is not None, self.skipped)


@lru_cache(maxsize=64)
def _value(activity: bool, search: bool, counter: bool, skipped: str | None) -> dict[str, object]:
    stored = {"asset_activities": activity, "search_history": search, "asset_analytics": counter}
    value: dict[str, object] = {"recorded": [table for table, there in stored.items() if there]}
    return value | {"skipped": skipped} if skipped else value


class World(NamedTuple):
    """What the database says about a batch before anything is written."""

    parents: parents.Parents
    activity_types: frozenset[str]


_FIRST_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
_SLACK = timedelta(days=1)
"""How far an event may lie ahead of our clock: more than any two clocks and zones differ."""
EVENT_TYPES = ("ASSET_VIEW", "ASSET_DOWNLOAD", "ASSET_SHARE", "SEARCH", "ACTIVITY")

_COUNTED: dict[str, tuple[Column, str, str]] = {
    "ASSET_VIEW": ("views", "ASSET_VIEWED", "Asset viewed"),
    "ASSET_DOWNLOAD": ("downloads", "ASSET_DOWNLOADED", "Asset downloaded"),
}

_NO_ACTIVITY = "{} without userId: an activity needs one"


def check(payload: Payload) -> None:
    """Raises PermanentError when an event is malformed or unknown, whatever the database holds."""
    _subject(payload)


def _subject(payload: Payload) -> Search | Activity | str:
    """What a sound event is about: a search, an activity of the app's own, or the asset of this id."""
    if payload.type not in EVENT_TYPES:
        raise PermanentError(f"type: not an analytics event; known are {', '.join(EVENT_TYPES)}")
    _check_time(payload.timestamp)
    match payload.type:
        case "SEARCH":
            search = _data(payload, Search)
            parents.require_storable({"data.query": search.query})
            parents.require_storable_json("data.filters", search.filters)
            return search
        case "ACTIVITY":
            activity = _data(payload, Activity)
            parents.require_storable({"data.description": activity.description})
            parents.require_storable_json("data", payload.data)
            return activity
        case _:
            if payload.asset_id is None:
                raise PermanentError(f"assetId: missing, and {payload.type} needs it")
            parents.require_storable_json("data", payload.data)
            return payload.asset_id


def _check_time(moment: datetime) -> None:
    """A time that no event has would put a row, and a day's counter, where nobody looks and no cleanup comes."""
    if not _FIRST_MOMENT <= moment <= datetime.now(UTC) + _SLACK:
        raise PermanentError("timestamp: no time at which an event can have happened; it must lie between 2000 and a day from now")


def effects_of(payload: Payload, job: JobHandle, world: World) -> Effects:
    """What an event is to leave behind. Raises PermanentError when it is malformed, unknown, or points at nothing."""
    match _subject(payload):
        case Search() as search:
            return _search(payload, search, job, world)
        case Activity() as activity:
            return _free_activity(payload, activity, job, world)
        case asset_id if payload.type in _COUNTED:
            return _counted(payload, asset_id, job, world)
        case asset_id:
            world.parents.require({"assetId": asset_id, "userId": payload.user_id})
            if payload.user_id is None:
                return Effects(skipped=_NO_ACTIVITY.format(payload.type))
            row = ActivityRow(
                _row_id("asset_activities", job), "ASSET_SHARED", "Asset shared", payload.user_id, _utc(payload.timestamp), asset_id,
                metadata=payload.data,
            )
            return Effects(activity=row)


def _counted(payload: Payload, asset_id: str, job: JobHandle, world: World) -> Effects:
    column, activity_type, description = _COUNTED[payload.type]
    world.parents.require({"assetId": asset_id})
    moment = _utc(payload.timestamp)
    counter = (asset_id, moment.date(), column)
    if payload.user_id is None:
        return Effects(counter)
    if not world.parents.exists("userId", payload.user_id):
        return Effects(counter, skipped=f"counted, but without an activity: userId {payload.user_id[:60]!r} no longer exists")
    return Effects(counter, ActivityRow(_row_id("asset_activities", job), activity_type, description, payload.user_id, moment, asset_id))


def _search(payload: Payload, search: Search, job: JobHandle, world: World) -> Effects:
    if payload.user_id is None:
        return Effects(skipped="a search without userId: search_history needs one")
    world.parents.require({"userId": payload.user_id})
    row_id = _row_id("search_history", job)
    row = SearchRow(row_id, payload.user_id, search.query, search.filters, search.result_count or 0, _utc(payload.timestamp))
    return Effects(search=row)


def _free_activity(payload: Payload, activity: Activity, job: JobHandle, world: World) -> Effects:
    if activity.type not in world.activity_types:
        raise PermanentError(f"data.type: not an AssetActivityType; known are {', '.join(sorted(world.activity_types))}")
    world.parents.require({"assetId": payload.asset_id, "collectionId": activity.collection_id, "userId": payload.user_id})
    if payload.user_id is None:
        return Effects(skipped=_NO_ACTIVITY.format(payload.type))
    description = activity.description or activity.type.replace("_", " ").capitalize()
    row = ActivityRow(
        _row_id("asset_activities", job), activity.type, description, payload.user_id, _utc(payload.timestamp), payload.asset_id,
        activity.collection_id, payload.data,
    )
    return Effects(activity=row)


def _row_id(table: str, job: JobHandle) -> str:
    return derive_id(table, job.queue, job.id, job.timestamp_ms)


def _utc(moment: datetime) -> datetime:
    """UTC wall time without a zone, which is what the app's TIMESTAMP(3) columns hold."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _data(payload: Payload, kind: type[Data]) -> Data:
    try:
        return msgspec.convert(payload.data or {}, kind)
    except msgspec.ValidationError as error:
        raise PermanentError(f"data of {payload.type}: {error}") from error
