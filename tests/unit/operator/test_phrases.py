"""Whoever reads the operator's lines as text reads sentences: each event that its sources can log has one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import kayan_operator
import pytest
from kayan_operator.phrases import PHRASES
from kayan_workers import logs
from logged import logged

CARRIED = {
    "namespace": "kayan", "scaler": "email", "name": "email", "lease": "kayan-operator", "server": "default", "budget": "kayan/fleet",
    "error": "why",
}
"""What loggers carry, or what is put together elsewhere."""
EVENTS = sorted(set(logged(Path(kayan_operator.__file__).parent)), key=lambda event: (event[0], sorted(event[1])))


def text_of(event: str, fields: dict[str, Any]) -> str:
    stream = io.StringIO()
    logs.configure(form="text", stream=stream, phrases=PHRASES)
    logs.get().info(event, **fields)
    return stream.getvalue()


@pytest.mark.parametrize(("event", "given"), EVENTS, ids=[f"{name} {' '.join(sorted(fields))}" for name, fields in EVENTS])
def test_every_event_is_a_sentence(event: str, given: frozenset[str]) -> None:
    fields = dict.fromkeys(given - {"exc_info"}, 1) | CARRIED
    assert event not in text_of(event, fields), f"{event} has no phrase, or one with a field that it is not given"


def test_no_phrase_is_left_of_an_event_that_is_gone() -> None:
    assert PHRASES.keys() == {name for name, _ in EVENTS if name in PHRASES}
    assert len(PHRASES) > 20
