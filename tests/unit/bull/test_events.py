"""Reading what is published. Wire document, section 4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.bull.events import QueueEvent, read_event

BASE = "bull:mail:"


@pytest.mark.parametrize(("channel", "message", "event"), [
    ("waiting@T", "7", QueueEvent("waiting", "7", token="T")),
    ("active@T", "7", QueueEvent("active", "7", token="T")),
    ("stalled@", "7", QueueEvent("stalled", "7")),
    ("duplicated@T", "order-1", QueueEvent("duplicated", "order-1", token="T")),
    ("progress", '{"jobId":"7","progress":{"pct":50}}', QueueEvent("progress", "7", {"pct": 50})),
    ("progress", "7,50", QueueEvent("progress", "7", 50)),
    ("completed", '{"jobId":"7","val":"{\\"ok\\":true}"}', QueueEvent("completed", "7", {"ok": True})),
    ("completed", '{"jobId":7}', QueueEvent("completed", "7")),
    ("completed", '{"jobId":"7","val":"{broken"}', QueueEvent("completed", "7")),
    ("failed", '{"jobId":"7","val":"smtp 550"}', QueueEvent("failed", "7", "smtp 550")),
    ("failed", '{"jobId":"7", "val": "job stalled"}', QueueEvent("failed", "7", "job stalled")),
    ("delayed", "1795431075530.0002", QueueEvent("delayed", value=1795431075530.0002)),
    ("drained", "", QueueEvent("drained")),
    ("paused", "paused", QueueEvent("paused")),
])
def test_each_channel_is_read(channel: str, message: str, event: QueueEvent):
    assert read_event(BASE, (BASE + channel).encode(), message.encode()) == event


@pytest.mark.parametrize(("channel", "message"), [
    ("completed", "{"), ("completed", "[]"), ("failed", '"x"'), ("failed", ""), ("progress", "nonsense"), ("delayed", "soon"), ("x", "1"),
])
def test_a_message_nobody_can_read_is_passed_over(channel: str, message: str):
    assert read_event(BASE, (BASE + channel).encode(), message.encode()) is None


@given(st.sampled_from(["completed", "failed", "progress", "delayed", "waiting@x", "what"]), st.binary())
def test_no_message_at_all_breaks_a_listener(channel: str, message: bytes):
    read_event(BASE, (BASE + channel).encode(), message)
