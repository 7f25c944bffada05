"""JSON as JSON.stringify prints it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import uuid
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.bull.stringify import stringify


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Box:
    when: dt.datetime
    size: float


class Note(msgspec.Struct, rename="camel"):
    file_key: str
    raw: bytes


NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(("value", "text"), [
    ({"a": 1, "b": [True, None]}, '{"a":1,"b":[true,null]}'),
    ("Grüße 🎬", '"Grüße 🎬"'),
    (1.0, "1"), (-0.0, "0"), (0.5, "0.5"), ([2.0, {"x": 3.0}], '[2,{"x":3}]'),
    (float("nan"), "null"), ({"x": [float("inf")]}, '{"x":[null]}'),
    (NOON, '"2026-01-02T12:00:00.000Z"'),
    ([dt.datetime(2026, 1, 2, 12, 0, 0, 5999, tzinfo=dt.timezone(dt.timedelta(hours=2)))], '["2026-01-02T10:00:00.005Z"]'),
    (dt.datetime(2026, 1, 2, 12), '"2026-01-02T12:00:00.000Z"'),  # noqa: DTZ001
    ({"file": b"\x00\xff"}, '{"file":{"type":"Buffer","data":[0,255]}}'),
    ({1: "a", 2.0: "b", None: "c", False: "d"}, '{"1":"a","2":"b","null":"c","false":"d"}'),
    ((1, (2.0,)), "[1,[2]]"),
    (Colour.RED, '"red"'),
    (uuid.UUID(int=0), '"00000000-0000-0000-0000-000000000000"'),
    (Box(NOON, 4.0), '{"when":"2026-01-02T12:00:00.000Z","size":4}'),
    ([Note("k", b"a")], '[{"fileKey":"k","raw":{"type":"Buffer","data":[97]}}]'),
    ("\ud800", '"\\ud800"'),
], ids=repr)
def test_a_value_is_printed_as_javascript_would(value: Any, text: str):
    assert stringify(value) == text


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError):
        stringify({"a": object()})


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN)
def test_every_json_value_reads_back_as_it_was(value: Any):
    assert json.loads(stringify(value)) == value


@given(PLAIN)
def test_the_value_itself_is_left_alone(value: Any):
    before = repr(value)
    stringify(value)
    assert repr(value) == before
