"""Which queue a channel belongs to."""

from __future__ import annotations

import pytest
from kayan_operator.queues.doorbell import base_of


@pytest.mark.parametrize(
    ("channel", "base"),
    [
        ("bull:mail:waiting@95262fd7-8d0c-4a7c-b5a5-8f0b8f2c9a0b", "bull:mail:"),
        ("bull:mail:waiting@pod/a:b", "bull:mail:"),
        ("bull:mail:waiting@", "bull:mail:"),
        ("bull:mail:delayed", "bull:mail:"),
        ("{bull}:mail:to:all:resumed", "{bull}:mail:to:all:"),
        ("bull:a@b:delayed", "bull:a@b:"),
        ("bull:a@b:waiting@x", "bull:a@b:"),
        ("bull:größe:delayed", "bull:größe:"),
    ],
)
def test_the_queue_is_what_stands_before_the_word(channel: str, base: str) -> None:
    assert base_of(channel.encode()) == base
