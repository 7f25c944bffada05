"""Payloads of notification, analytics and cleanup, from the JSON that the web app writes: what is taken, and which field is blamed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from kayan_workers.processors import analytics, cleanup, events, notification

NOTIFICATION = {"userId": "c1", "type": "TASK_ASSIGNED", "title": "New Task Assigned", "message": "m"}
ANALYTICS = {"type": "ASSET_VIEW", "assetId": "c1", "userId": "c2", "data": {"action": "upload"}, "timestamp": "2025-11-24T10:05:07.123Z"}


def from_json(value: Any, kind: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value), type=kind)


def test_a_notification_is_read_as_the_app_writes_it() -> None:
    payload = msgspec.json.decode(
        b'{"userId":"c1","type":"TASK_ASSIGNED","title":"New Task Assigned","message":"m","data":{"assignedBy":null},'
        b'"projectId":"c7","taskId":"c9"}',
        type=notification.Payload,
    )

    assert payload == notification.Payload("c1", "TASK_ASSIGNED", "New Task Assigned", "m", {"assignedBy": None}, "c7", "c9")


@pytest.mark.parametrize("field", ["data", "projectId", "taskId", "milestoneId", "meetingId"])
def test_an_optional_field_may_be_missing_or_null(field: str) -> None:
    assert msgspec.convert(NOTIFICATION | {field: None}, notification.Payload) == msgspec.convert(NOTIFICATION, notification.Payload)


def test_unknown_fields_are_ignored() -> None:
    assert msgspec.convert(NOTIFICATION | {"articleId": 5}, notification.Payload).user_id == "c1"


@pytest.mark.parametrize("decode", [msgspec.convert, from_json])
@pytest.mark.parametrize(
    ("changed", "blamed"),
    [
        ({"userId": None}, "$.userId"),
        ({"userId": 7}, "$.userId"),
        ({"userId": ["c1"]}, "$.userId"),
        ({"title": None}, "$.title"),
        ({"data": "text"}, "$.data"),
        ({"projectId": {}}, "$.projectId"),
    ],
)
def test_a_malformed_notification_is_refused_naming_the_field(decode: Any, changed: dict[str, Any], blamed: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        decode(NOTIFICATION | changed, notification.Payload)
    assert blamed in str(caught.value)


@pytest.mark.parametrize("field", ["userId", "type", "title", "message"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{field}`"):
        msgspec.convert({name: value for name, value in NOTIFICATION.items() if name != field}, notification.Payload)


def test_an_event_is_read_as_the_app_writes_it() -> None:
    for decode in (msgspec.convert, from_json):
        payload = decode(ANALYTICS, analytics.Payload)
        assert payload.timestamp == datetime(2025, 11, 24, 10, 5, 7, 123_000, tzinfo=UTC)
        assert (payload.asset_id, payload.user_id, payload.data) == ("c1", "c2", {"action": "upload"})


@pytest.mark.parametrize(
    ("timestamp", "utc"),
    [
        ("2025-11-24T10:05:07Z", datetime(2025, 11, 24, 10, 5, 7)),  # noqa: DTZ001
        ("2025-11-24T01:30:00.500+03:00", datetime(2025, 11, 23, 22, 30, 0, 500_000)),  # noqa: DTZ001
    ],
)
def test_a_timestamp_may_come_in_any_zone(timestamp: str, utc: datetime) -> None:
    assert events._utc(msgspec.convert(ANALYTICS | {"timestamp": timestamp}, analytics.Payload).timestamp) == utc


@pytest.mark.parametrize("timestamp", ["2025-11-24T10:05:07", "yesterday", "", None, "+275760-09-13T00:00:00.000Z"])
def test_a_timestamp_without_a_zone_or_without_sense_is_refused_by_name(timestamp: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.timestamp"):
        msgspec.convert(ANALYTICS | {"timestamp": timestamp}, analytics.Payload)


@pytest.mark.parametrize(
    ("changed", "blamed"), [({"assetId": 1}, "assetId"), ({"userId": {}}, "userId"), ({"data": []}, "data"), ({"type": None}, "type")]
)
def test_a_malformed_event_is_refused_naming_the_field(changed: dict[str, Any], blamed: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{blamed}"):
        msgspec.convert(ANALYTICS | changed, analytics.Payload)


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {}}, {"data": {"anything": 1}}])
def test_a_cleanup_needs_only_its_type(data: dict[str, Any]) -> None:
    payload = msgspec.convert({"type": "TEMP_FILES", **data}, cleanup.Payload)

    assert payload.type == "TEMP_FILES"
    assert payload.data is None or not payload.data.dry_run


def test_a_dry_run_is_a_plain_yes_or_nothing() -> None:
    payload = msgspec.convert({"type": "TEMP_FILES", "data": {"dryRun": True}}, cleanup.Payload)
    assert payload.data is not None
    assert payload.data.dry_run
    with pytest.raises(msgspec.ValidationError, match=r"\$\.data\.dryRun"):
        msgspec.convert({"type": "TEMP_FILES", "data": {"dryRun": "yes"}}, cleanup.Payload)


def test_counts_are_summed_by_asset_and_day() -> None:
    monday, tuesday = datetime(2025, 11, 24, tzinfo=UTC).date(), datetime(2025, 11, 25, tzinfo=UTC).date()
    counters = [
        ("b", monday, "views"), ("a", tuesday, "views"), ("b", monday, "downloads"), ("b", monday, "views"), ("a", monday, "downloads")
    ]

    rows = analytics.summed(counters)  # type: ignore[arg-type]

    assert sorted((row.asset_id, row.date, row.views, row.downloads) for row in rows) == [
        ("a", monday, 0, 1), ("a", tuesday, 1, 0), ("b", monday, 2, 1)]  # fmt: skip
